"""A run as files that other programs read."""

from pathlib import Path
from typing import Literal

from torch import Tensor

from model.config import GPTConfig, ModelConfig, NGramConfig, RunConfig
from model.interop.errors import NotExportable
from model.interop.to_huggingface import missing_in_gpt2, write_huggingface
from model.interop.to_onnx import INSTALL, is_installed, write_onnx
from model.interop.weights_file import write_weights_file
from model.language_model import LanguageModel
from model.parameter_count import parameter_count
from model.run_folder import PARTS, RunFolder

ExportFormat = Literal["run", "safetensors", "huggingface", "onnx"]

WEIGHTS = "model.safetensors"
SMALL = ("config.json", "tokenizer.json")
MOST_ONNX_NUMBERS = 500_000_000  # protobuf, which ONNX is written in, ends at 2 GiB


def formats_of(config: ModelConfig) -> list[ExportFormat]:
    """Those that a model of that configuration can be taken out in, with the packages there are."""
    formats: list[ExportFormat] = ["run", "safetensors", "huggingface", "onnx"]
    return [format for format in formats if _obstacle(config, format) is None]


def export_run(
    folder: RunFolder, format: ExportFormat, scratch: Path, step: int | None = None
) -> dict[str, Path]:
    """The files, by their names in the export; those that had to be made are in `scratch`.

    Of a `run` they are all that the folder has; of the other formats, the weights at `step`, the
    final ones if None. Raises NotExportable, BrokenRun, OSError.
    """
    run = folder.read_config()
    require_exportable(run, format, step)
    if format == "run":
        return _whole_run(folder)
    tokenizer, tensors = folder.read_tokenizer(), _stored(folder.load_model(step))
    match format:
        case "safetensors":
            write_weights_file(tensors, scratch / WEIGHTS)
            unchanged = {name: folder.path / name for name in SMALL}
            return unchanged | {WEIGHTS: scratch / WEIGHTS}
        case "huggingface":
            names = write_huggingface(run, step, tensors, tokenizer, scratch)
        case "onnx":
            names = write_onnx(run, step, tensors, tokenizer, scratch)
    return {name: scratch / name for name in names}


def require_exportable(run: RunConfig, format: ExportFormat, step: int | None) -> None:
    """Raises NotExportable where `export_run` would, without a look at the weights."""
    if (obstacle := _obstacle(run.model, format)) is not None:
        possible = ", ".join(formats_of(run.model))
        raise NotExportable(f"{format}: {obstacle}; {run.id} can be taken out as {possible}")
    if format == "run" and step is not None:
        raise NotExportable(f"run: has all snapshots, not only step {step}; leave the step out")


def _obstacle(config: ModelConfig, format: ExportFormat) -> str | None:
    """Why such a model cannot be taken out in `format`, if it cannot."""
    if format == "huggingface" and (missing := missing_in_gpt2(config)):
        return f"GPT-2 does not have {', '.join(missing)}"
    if format == "onnx" and not is_installed():
        return f"the package that writes it is missing: {INSTALL}"
    if format == "onnx" and isinstance(config, NGramConfig):
        return "an n-gram model has counts, and no network"
    if format == "onnx" and parameter_count(config) > MOST_ONNX_NUMBERS:
        return f"a file can have at most {MOST_ONNX_NUMBERS:,} numbers"
    return None


def _whole_run(folder: RunFolder) -> dict[str, Path]:
    """The files of the folder, but for what only the training needs. Raises BrokenRun."""
    folder.require_snapshots()
    names = [name for name in PARTS if (folder.path / name).is_file()]
    snapshots = [folder.weights_path(step) for step in folder.snapshot_steps()]
    paths = [*(folder.path / name for name in names), *snapshots]
    return {f"{folder.id}/{path.relative_to(folder.path).as_posix()}": path for path in paths}


def _stored(model: LanguageModel) -> dict[str, Tensor]:
    """The weights by their names; an output layer that is the embedding too is stored as that."""
    tensors = dict(model.state_dict())
    if isinstance(model.config, GPTConfig) and model.config.tie_weights:
        del tensors["lm_head.weight"]
    return tensors
