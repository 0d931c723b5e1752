"""A run as files that other programs read."""

from pathlib import Path
from typing import Literal

from model.config import ModelConfig
from model.interop.errors import NotExportable
from model.run_folder import RunFolder

ExportFormat = Literal["run", "safetensors", "huggingface", "onnx"]


def formats_of(config: ModelConfig) -> list[ExportFormat]:
    """Those that a model of that configuration can be taken out in."""
    return ["run", "safetensors"]


def export_run(
    folder: RunFolder, format: ExportFormat, scratch: Path, step: int | None = None
) -> dict[str, Path]:
    """The files, by their names in the export; those that had to be made are in `scratch`.

    Raises NotExportable, BrokenRun, OSError.
    """
    raise NotExportable(format)
