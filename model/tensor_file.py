"""Tensors of a safetensors file, checked and read into memory: nothing of the file stays mapped.

A mapped file is read as it is used, for as long as the model lives: whoever copies another file
over it changes the model midway, and whoever shortens it ends the process (SIGBUS). What a file
claims is compared with its size and with the shapes that are expected before a number is read.
"""

import json
import math
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BufferedReader

import torch
from torch import Tensor

LENGTH = 8  # bytes of the header's length, little-endian
MOST_HEADER_BYTES = 8 << 20
MOST_DIMENSIONS = 8
SHOWN = 60
LISTED = 3
METADATA = "__metadata__"

TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}

Shape = tuple[int, ...]


class UnreadableTensors(ValueError):
    """A file of tensors is torn, or not of the model; the message says what is wrong."""


@dataclass(frozen=True)
class _Place:
    """A tensor's numbers are the bytes from `begin` to `end` behind the header."""

    dtype: torch.dtype
    shape: Shape
    begin: int
    end: int


class TensorFile:
    """A file whose header has been read: what is in it, and then the tensors themselves."""

    def __init__(self, file: BufferedReader) -> None:
        """Raises UnreadableTensors, OSError."""
        self._file, self._status = file, os.fstat(file.fileno())
        header = _header(file, self._status.st_size)
        self._bytes = self._status.st_size - file.tell()
        self._places = {name: _place(name, entry) for name, entry in header.items()}
        _require_no_gaps(self._places, self._bytes)

    @property
    def bytes(self) -> int:
        """What the tensors take."""
        return self._bytes

    def require(self, expected: Mapping[str, Tensor], optional: Collection[str] = ()) -> None:
        """Raises UnreadableTensors unless these are the tensors, by name, shape and kind."""
        if missing := [n for n in expected if n not in self._places and n not in optional]:
            raise UnreadableTensors(f"{_listed(missing)} missing")
        if extra := [name for name in self._places if name not in expected]:
            raise UnreadableTensors(f"{_listed(extra)} left over: the model has no such part")
        for name, place in self._places.items():
            wanted = expected[name]
            if place.shape != tuple(wanted.shape):
                message = f"{name} is {_by(place.shape)}, and the model's {_by(wanted.shape)}"
                raise UnreadableTensors(message)
            if place.dtype.is_floating_point != wanted.is_floating_point():
                kind = str(place.dtype).removeprefix("torch.")
                raise UnreadableTensors(f"{name} holds {kind}, which the model does not")

    def read(self) -> dict[str, Tensor]:
        """The tensors, all in one piece of memory. Raises UnreadableTensors, OSError, MemoryError.

        Whoever writes the file meanwhile makes it torn, and not a model of two halves.
        """
        try:
            whole = torch.empty(self._bytes, dtype=torch.uint8)
        except RuntimeError:  # torch's word for no memory
            raise MemoryError from None
        room, filled = whole.numpy().data, 0
        while filled < self._bytes and (count := self._file.readinto(room[filled:])):
            filled += count
        after = os.fstat(self._file.fileno())
        if filled < self._bytes or _version(after) != _version(self._status):
            raise UnreadableTensors("it was changed while it was read; ask once more")
        return {name: _tensor(whole, place) for name, place in self._places.items()}


def require_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raises UnreadableTensors, naming the first tensor that has what is no number."""
    for name, tensor in tensors.items():
        # Unlike `isfinite`, the extremes need no memory of its size.
        if tensor.numel() and not all(math.isfinite(it.item()) for it in tensor.aminmax()):
            raise UnreadableTensors(f"{name} has a number that is not finite")


def _header(file: BufferedReader, size: int) -> dict[str, object]:
    """What the file says of its tensors, by name; the file is then at their first byte."""
    length = int.from_bytes(file.read(LENGTH), "little")
    if size < LENGTH or length > size - LENGTH:
        raise UnreadableTensors("it is cut off, or no safetensors file")
    if length > MOST_HEADER_BYTES:
        raise UnreadableTensors(f"its header has {length:,} bytes: it is no safetensors file")
    try:
        header = json.loads(file.read(length))
    except (ValueError, RecursionError):
        raise UnreadableTensors("its header is no JSON: it is no safetensors file") from None
    if not isinstance(header, dict):
        raise UnreadableTensors("its header is no list of tensors")
    header.pop(METADATA, None)
    return header


def _place(name: str, entry: object) -> _Place:
    match entry:
        case {"dtype": str() as kind, "shape": list() as shape, "data_offsets": [begin, end]}:
            if kind not in TYPES:
                message = f"{_shown(name)} holds {_shown(kind)}, which is not read here"
                raise UnreadableTensors(message)
            numbers = (*shape, begin, end)
            if len(shape) <= MOST_DIMENSIONS and all(_is_count(number) for number in numbers):
                dtype = TYPES[kind]
                if end - begin == math.prod(shape) * dtype.itemsize:
                    return _Place(dtype, tuple(shape), begin, end)
    raise UnreadableTensors(f"its header does not say what {_shown(name)} is")


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < 2**62


def _require_no_gaps(places: Mapping[str, _Place], size: int) -> None:
    """Every byte must belong to one tensor, and to one only."""
    end = 0
    for place in sorted(places.values(), key=lambda place: (place.begin, place.end)):
        if place.begin != end:
            raise UnreadableTensors("its tensors overlap, or leave something out")
        end = place.end
    if end != size:
        raise UnreadableTensors(f"its tensors have {end:,} bytes, and the file {size:,} of them")


def _tensor(whole: Tensor, place: _Place) -> Tensor:
    numbers = whole[place.begin : place.end]
    if place.begin % place.dtype.itemsize:
        numbers = numbers.clone()
    return numbers.view(place.dtype).view(place.shape)


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_mtime_ns, status.st_size


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    first = ", ".join(_shown(name) for name in names[:LISTED])
    return f"{first}{more} {'is' if len(names) == 1 else 'are'}"


def _shown(name: str) -> str:
    return name if len(name) <= SHOWN else f"{name[:SHOWN]}…"


def _by(shape: Shape | torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"
