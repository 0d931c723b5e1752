"""What was given, whatever it is: a file, a zip or a folder becomes files with plain names."""

import os
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeVar

from model.interop.errors import UnreadableModel
from model.interop.foreign_text import shown
from model.interop.limits import require_size
from model.interop.zip_file import opened
from model.run_folder import SNAPSHOT_NAME
from model.run_limits import MOST_CONFIG_BYTES

CONFIG, WEIGHTS, SNAPSHOTS = "config.json", "model.safetensors", "snapshots"
VOCABULARIES = ("vocabulary.json", "meta.pkl", "tokenizer.json")
KNOWN = {CONFIG, WEIGHTS, "metrics.jsonl", "samples.jsonl", *VOCABULARIES}
CHECKPOINT, CHECKPOINTS = "ckpt.pt", (".pt", ".pth")
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
CHUNK = 1 << 20
WHAT_IS_READ = (
    "give nanoGPT's or the exercise's .pt file, a folder of Hugging Face's GPT-2, a Sidelight "
    "run's folder, or a zip of one"
)
SMALLER = "a checkpoint is smaller without its optimizer"

Where = TypeVar("Where")


@dataclass(frozen=True)
class Files:
    """`name` is what their owner calls all of it."""

    name: str
    paths: dict[str, Path]  # those that are needed
    names: frozenset[str]  # all that there are
    checkpoint: str | None = None  # which of them torch pickled, if the model is of that kind


def find_files(source: Path, name: str, scratch: Path, most_bytes: int) -> Files:
    """The files of a model, those of a zip unpacked into the folder `scratch`, which is made.

    Raises UnreadableModel for what is no model, or more than `most_bytes`; OSError.
    """
    if source.is_dir():
        listed = _listed(source)
        paths, checkpoint = needed(listed, name)
        total = sum(path.stat().st_size for path in paths.values())
        require_size(name, total, most_bytes, SMALLER)
        return Files(name, paths, frozenset(listed), checkpoint)
    if not source.is_file():
        raise UnreadableModel(f"{name}: neither a file nor a folder")
    require_size(name, source.stat().st_size, most_bytes, SMALLER)
    if problem := _no_zip(source):
        raise UnreadableModel(f"{name}: {problem}")
    with opened(source, name) as archive:
        entries = _entries(archive)
        if "data.pkl" in entries:  # as torch writes it
            file = name.rpartition("/")[2] or CHECKPOINT
            return Files(name, {file: source}, frozenset({file}), file)
        chosen, checkpoint = needed(entries, name)
        total = sum(entry.file_size for entry in chosen.values())
        require_size(name, total, most_bytes, SMALLER)
        return Files(name, _unpack(archive, chosen, scratch), frozenset(entries), checkpoint)


def peek_config(source: Path, name: str) -> bytes:
    """What a folder's or a zip's `config.json` says; nothing where it has none.

    Raises UnreadableModel, OSError.
    """
    if source.is_dir():
        listed = _listed(source)
        return _beginning(listed[CONFIG].open("rb")) if CONFIG in listed else b""
    with opened(source, name) as archive:
        entries = _entries(archive)
        return _beginning(archive.open(entries[CONFIG])) if CONFIG in entries else b""


def needed(found: dict[str, Where], name: str) -> tuple[dict[str, Where], str | None]:
    """Of all files those that a model needs, and which of them is a checkpoint, if one is.

    Raises UnreadableModel where no model is among them.
    """
    known = {file: where for file, where in found.items() if file in KNOWN or _is_snapshot(file)}
    if CONFIG in known:
        return known, None
    checkpoint = _only_checkpoint(found, name)
    chosen = {file: known[file] for file in VOCABULARIES if file in known}
    return chosen | {checkpoint: found[checkpoint]}, checkpoint


def _only_checkpoint(names: Collection[str], name: str) -> str:
    if CHECKPOINT in names:
        return CHECKPOINT
    checkpoints = sorted(n for n in names if "/" not in n and n.endswith(CHECKPOINTS))
    if len(checkpoints) > 1:
        listed = ", ".join(map(shown, checkpoints[:5]))
        raise UnreadableModel(f"{name}: it has {listed}; give the one that is the model")
    if not checkpoints:
        has = f"it has {WEIGHTS}, but no {CONFIG}" if WEIGHTS in names else "no model is in it"
        raise UnreadableModel(f"{name}: {has}; {WHAT_IS_READ}")
    return checkpoints[0]


def _is_snapshot(name: str) -> bool:
    folder, _, file = name.rpartition("/")
    return folder == SNAPSHOTS and SNAPSHOT_NAME.fullmatch(file) is not None


def _listed(folder: Path) -> dict[str, Path]:
    """Files by name, a level deep for snapshots; where all are in one folder, of that.

    Hugging Face keeps folders of links to files elsewhere; a link to a folder must stay inside.
    """
    content = list(_visible({path.name: path for path in folder.iterdir()}).values())
    if len(content) == 1 and content[0].is_dir() and not content[0].is_symlink():
        folder = content[0]
    found = {path.name: path for path in folder.iterdir() if path.is_file()}
    inner = folder / SNAPSHOTS
    if inner.is_dir() and inner.resolve().is_relative_to(folder.resolve()):
        found |= {f"{SNAPSHOTS}/{path.name}": path for path in inner.iterdir() if path.is_file()}
    return _visible(found)


def _entries(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Files by name; where all are in one folder, by their names in it."""
    found = _visible({e.filename: e for e in archive.infolist() if not e.is_dir()})
    tops = {name.partition("/")[0] for name in found}
    if len(tops) == 1 and all("/" in name for name in found):
        return {name.partition("/")[2]: entry for name, entry in found.items()}
    return found


def _visible(found: dict[str, Where]) -> dict[str, Where]:
    """Without hidden files, and without what macOS adds to a zip."""
    return {
        name: where
        for name, where in found.items()
        if not any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
    }


def _beginning(file: IO[bytes]) -> bytes:
    with file:
        return file.read(MOST_CONFIG_BYTES)


def _unpack(
    archive: zipfile.ZipFile, chosen: dict[str, zipfile.ZipInfo], scratch: Path
) -> dict[str, Path]:
    """Each under a number: what an entry is called never reaches the disk."""
    scratch.mkdir()
    paths = {name: scratch / str(number) for number, name in enumerate(chosen)}
    for name, entry in chosen.items():
        with archive.open(entry) as packed:
            copy_to(paths[name], packed, entry.file_size)
    return paths


def copy_to(path: Path, content: IO[bytes], most_bytes: int) -> None:
    """Write a new file, down to the disk. Raises UnreadableModel for more than it should be."""
    with path.open("xb") as file:
        while chunk := content.read(CHUNK):
            most_bytes -= len(chunk)
            if most_bytes < 0:
                raise UnreadableModel("a file has more bytes than it says; try once more")
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())


def _no_zip(source: Path) -> str:
    """What a file is that is not even a zip, and what to do about it; nothing for one that is."""
    with source.open("rb") as file:
        start = file.read(len(OLD_TORCH))
    if not start:
        return "it is empty"
    if start.startswith(b"PK"):
        return ""
    if start == OLD_TORCH:
        return "PyTorch wrote it as it did before 1.6; torch.load it and torch.save it once more"
    if start.startswith(b"\x80"):
        return "it is a pickle, which is not read here; torch.save the state dict"
    if start[8:9] == b"{":
        return f"weights alone do not say which model they are of; zip {CONFIG} and {WEIGHTS}"
    return f"it is no model; {WHAT_IS_READ}"
