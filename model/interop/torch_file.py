"""What torch saved, read without executing anything.

`torch.load` comes last, and with `weights_only=True`. That keeps code out, and yet lets a few bytes
end the process (a dict whose key is a deep tuple) or ask for gigabytes (a huge tensor that repeats
one number). So the pickle is first worked out by `plain_pickle`, with tensors as descriptions.
"""

import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch

from model.interop.errors import UnreadableModel
from model.interop.files import CHUNK
from model.interop.foreign_text import shown
from model.interop.plain_pickle import MOST_BYTES, NotPlain, PlainPickle, asked_for
from model.interop.zip_file import opened

DATA, PICKLE = "data/", "data.pkl"
MOST_NOTE_BYTES = 4096  # of what torch notes beside: versions, the order of bytes
PROTOCOL = b"\x80\x02"
LITTLE_ENDIAN = b"little"
MOST_DIMENSIONS = 8

# Bytes of a number by the name of what holds it.
STORAGES = {
    "torch.FloatStorage": 4,
    "torch.DoubleStorage": 8,
    "torch.HalfStorage": 2,
    "torch.BFloat16Storage": 2,
    "torch.LongStorage": 8,
    "torch.IntStorage": 4,
    "torch.ShortStorage": 2,
    "torch.CharStorage": 1,
    "torch.ByteStorage": 1,
    "torch.BoolStorage": 1,
}
ORDERED_DICT = "collections.OrderedDict"
TENSOR, PARAMETER = "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_parameter"
CALLED = {ORDERED_DICT, TENSOR, PARAMETER}
MODULES = "torch.nn.modules."  # what every pickled module is made of

SAVE_WEIGHTS = (
    "torch.save no more than model.state_dict(), or for nanoGPT {'model': …, 'model_args': …}"
)
NO_MEMORY = "can't allocate memory"  # torch's word for it
SAVE_AGAIN = "torch.load it and torch.save it once more"


def read_torch_file(path: Path, file: str) -> dict[str, Any]:
    """The dict that torch saved, its tensors in memory: whoever shortens a mapped file ends us.

    `file` is what messages call it. Raises UnreadableModel, OSError, MemoryError.
    """
    with opened(path, file) as archive:
        content = _Content.of(archive, file, path.stat().st_size)
        _require_described(content, file)
        _require_unchanged(archive)
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=False)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 (a foreign file may fail in any of its ways)
        if NO_MEMORY in str(error):
            raise MemoryError from None
        raise UnreadableModel(
            f"{file}: torch cannot load it ({shown(error)}); {SAVE_AGAIN}"
        ) from None
    if not isinstance(loaded, dict):
        raise UnreadableModel(f"{file}: it holds no dict; {SAVE_WEIGHTS}")
    return loaded


class _Content(NamedTuple):
    """A checkpoint's pickle, and how many bytes each of its storages has."""

    pickle: bytes
    storages: dict[str, int]

    @classmethod
    def of(cls, archive: zipfile.ZipFile, file: str, size: int) -> "_Content":
        """Of a file of `size` bytes. Raises UnreadableModel for what torch has not written so."""
        top = archive.namelist()[0].partition("/")[0]  # where torch looks, too
        inner = [entry for entry in archive.infolist() if entry.filename.startswith(f"{top}/")]
        entries = {entry.filename.removeprefix(f"{top}/"): entry for entry in inner}
        if "constants.pkl" in entries:
            raise UnreadableModel(f"{file}: it is a TorchScript model; {SAVE_WEIGHTS}")
        if problem := _problem(archive, entries, size):
            raise UnreadableModel(f"{file}: {problem}; {SAVE_AGAIN}")
        sizes = {name: entry.file_size for name, entry in entries.items()}
        storages = {n.removeprefix(DATA): b for n, b in sizes.items() if n.startswith(DATA)}
        return cls(archive.read(entries[PICKLE]), storages)


def _problem(
    archive: zipfile.ZipFile, entries: dict[str, zipfile.ZipInfo], size: int
) -> str | None:
    """What of a zip of `size` bytes is not as torch writes it; entries by their names inside."""
    all_entries = archive.infolist()
    sizes = {name: e.file_size for name, e in entries.items() if not name.startswith(DATA)}
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in all_entries):
        return "it was compressed, which torch never does"
    if not any(entry.CRC for entry in all_entries):
        return "it was saved without checksums"
    if sum(entry.file_size for entry in all_entries) > size:
        return "some of it is in it twice"
    pickle_size = sizes.pop(PICKLE, MOST_BYTES + 1)
    if pickle_size > MOST_BYTES or max(sizes.values(), default=0) > MOST_NOTE_BYTES:
        return "torch has not written it like this"
    order = entries.get("byteorder")
    if order is not None and archive.read(order) != LITTLE_ENDIAN:
        return "it comes from a big-endian machine"
    return None


def _require_described(content: _Content, file: str) -> None:
    """Raises UnreadableModel for a pickle that has more in it than tensors and plain data."""
    try:
        _Descriptions(content.storages).read(content.pickle)
    except NotPlain as error:
        asked = {error.asks_for or "", *asked_for(content.pickle)}
        if error.asks_for and any(name.startswith(MODULES) for name in asked):
            raise UnreadableModel(
                f"{file}: it is a whole pickled module ({shown(error.asks_for)}), which only its "
                f"own code could restore; {SAVE_WEIGHTS}"
            ) from None
        if error.asks_for:
            raise UnreadableModel(
                f"{file}: it asks for {shown(error.asks_for)}, which weights do not need and which "
                f"was not called; {SAVE_WEIGHTS}"
            ) from None
        raise UnreadableModel(f"{file}: {error}; {SAVE_WEIGHTS}") from None
    if not content.pickle.startswith(PROTOCOL):
        raise UnreadableModel(f"{file}: it was saved with another pickle_protocol; {SAVE_AGAIN}")


def _require_unchanged(archive: zipfile.ZipFile) -> None:
    """Compare all with its checksums, which torch does not; raises BadZipFile."""
    for entry in archive.infolist():
        with archive.open(entry) as stored:
            while stored.read(CHUNK):
                pass


class _Named(str):
    """The name of something that may be called."""

    __slots__ = ()


@dataclass(frozen=True)
class _Storage:
    numbers: int


class _Tensor:
    """Stands for a tensor, of which nothing but its being one matters any more."""


class _Descriptions(PlainPickle):
    """What torch pickled, worked out with no number of a tensor being read."""

    def __init__(self, storages: dict[str, int]) -> None:
        super().__init__()
        self._storages = storages

    def named(self, name: str) -> object:
        if name not in CALLED and name not in STORAGES:
            raise NotPlain(f"it asks for {shown(name)}", name)
        return _Named(name)

    def called(self, function: object, arguments: object) -> object:
        match function, arguments:
            case _Named(), () if function == ORDERED_DICT:
                return {}
            case _Named(), (_Tensor() as tensor, bool(), dict() as hooks) if (
                function == PARAMETER and not hooks
            ):
                return tensor
            case _Named(), (storage, offset, size, stride, bool(), dict() as hooks) if (
                function == TENSOR and not hooks and _is_inside(storage, offset, size, stride)
            ):
                return _Tensor()
        name = function if isinstance(function, _Named) else "something"
        raise NotPlain(f"it calls {name} with what makes no tensor, or one beyond its numbers")

    def built(self, target: object, state: object) -> None:
        """A state dict has versions of its modules besides, and nothing else."""
        if type(target) is not dict or type(state) is not dict or state.keys() - {"_metadata"}:
            raise NotPlain("it sets attributes")

    def stored(self, id: object) -> object:
        match id:
            case ("storage", _Named() as kind, str() as key, str(), int() as numbers):
                if STORAGES.get(kind, 0) * numbers == self._storages.get(key):
                    return _Storage(numbers)
        raise NotPlain("it refers to numbers that are not in it, or not so many")


def _is_inside(storage: object, offset: object, size: object, stride: object) -> bool:
    """Whether a tensor is no more than what is stored, each number once."""
    if not isinstance(storage, _Storage) or not isinstance(offset, int):
        return False
    if not isinstance(size, tuple) or not isinstance(stride, tuple):
        return False
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > MOST_DIMENSIONS:
        return False
    if not all(isinstance(number, int) and number >= 0 for number in numbers):
        return False
    if 0 in size:
        return True
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    return last < storage.numbers and math.prod(size) <= storage.numbers
