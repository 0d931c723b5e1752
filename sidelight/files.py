"""Files on their way to a server and from it, without being held in memory."""

import os
import secrets
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

CHUNK = 1 << 20
LONGEST_NAME = 200  # that a server takes; the end says most


@contextmanager
def whole(path: Path, media_type: str) -> Iterator[tuple[Iterator[bytes], dict[str, str]]]:
    """A file's bytes and the headers that announce them. Raises OSError."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        headers = {"Content-Type": media_type, "Content-Length": str(size)}
        yield _parts(file), headers


def zipped(files: Mapping[str, Path]) -> Iterator[bytes]:
    """A zip of files, by the names they get in it: stored, as weights hardly compress.

    Raises OSError.
    """
    made = _Made()
    with zipfile.ZipFile(made, "w") as archive:
        for name, path in files.items():
            about = zipfile.ZipInfo.from_file(path, name, strict_timestamps=False)
            with path.open("rb") as file, archive.open(about, "w") as entry:
                for part in _parts(file):
                    entry.write(part)
                    yield made.taken()
    yield made.taken()


@contextmanager
def written_beside(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name once it is whole, and is gone if it never is. Raises OSError."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with beside.open("xb") as file:
            yield file
        beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _parts(file: BinaryIO) -> Iterator[bytes]:
    return iter(partial(file.read, CHUNK), b"")


class _Made:
    """What a zip is written to: it cannot go back, as what was made is sent already."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, part: bytes) -> int:
        self._parts.append(bytes(part))
        return len(part)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """There is nothing to let go of."""

    def taken(self) -> bytes:
        """All since the last time."""
        made = b"".join(self._parts)
        self._parts.clear()
        return made
