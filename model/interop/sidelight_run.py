"""A run of Sidelight's, from another of its folders: all that counts, under another id."""

from pathlib import Path

from pydantic import ValidationError

from model.config import RunConfig
from model.interop.errors import UnreadableModel
from model.interop.files import CONFIG, SNAPSHOTS, Files, copy_to
from model.interop.foreign_model import first_problem
from model.interop.limits import require_size
from model.run_folder import RunFolder
from model.run_limits import MOST_HISTORY_BYTES, MOST_VOCABULARY_BYTES

LEFT_OUT = {CONFIG, "meta.pkl", "vocabulary.json"}
HELD_IN_MEMORY = {
    "metrics.jsonl": MOST_HISTORY_BYTES,
    "samples.jsonl": MOST_HISTORY_BYTES,
    "tokenizer.json": MOST_VOCABULARY_BYTES,
}


def read_config(content: bytes) -> RunConfig:
    """Raises UnreadableModel."""
    try:
        return RunConfig.model_validate_json(content)
    except ValidationError as error:
        raise UnreadableModel(f"{CONFIG}: {first_problem(error)}") from None


def copy_run(files: Files, config: RunConfig, folder: RunFolder, title: str | None) -> None:
    """Write the run into `folder`, whose name is its id. Raises UnreadableModel, OSError.

    What only the machine needs that trains it (`state/`) is left out.
    """
    for name, most_bytes in HELD_IN_MEMORY.items():
        if name in files.paths:
            require_size(name, files.paths[name].stat().st_size, most_bytes)
    if any(name.startswith(f"{SNAPSHOTS}/") for name in files.paths):
        (folder.path / SNAPSHOTS).mkdir()
    for name, path in files.paths.items():
        if name not in LEFT_OUT:
            _copy(path, folder.path / name)
    update = {"id": folder.id, "title": title or config.title}
    folder.write_config(config.model_copy(update=update))


def _copy(path: Path, to: Path) -> None:
    with path.open("rb") as file:
        copy_to(to, file, path.stat().st_size)
