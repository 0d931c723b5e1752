"""Zips from somewhere else: what is in one, and nothing of it that could do harm."""

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from model.interop.errors import UnreadableModel
from model.interop.foreign_text import shown

MOST_DIRECTORY_BYTES = 8 << 20  # the list of what is in it, which is held in memory
END, END_OF_64 = struct.Struct("<4s4H2LH"), struct.Struct("<4sQ2H2L4Q")
LOCATOR_OF_64 = struct.Struct("<4sLQL")
LONGEST_COMMENT = 0xFFFF
IN_64 = 0xFFFFFFFF
ENCRYPTED = 0x41
KNOWN_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
ODD_NAME = re.compile(r"^/|^[A-Za-z]:|\\|[\x00-\x1f\x7f]|(^|/)\.{1,2}(/|$)|//")


@contextmanager
def opened(path: Path, file: str) -> Iterator[zipfile.ZipFile]:
    """A zip in which every entry has a plain name of its own; `file` is what messages call it.

    Raises UnreadableModel, also for whatever goes wrong with the zip inside the block; OSError.
    """
    try:
        _require_one_directory(path, file)
        with zipfile.ZipFile(path) as archive:
            _require_plain(archive.infolist(), file)
            yield archive
    except (
        *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
        *(NotImplementedError, RuntimeError, ValueError, OverflowError),
    ) as error:
        if isinstance(error, UnreadableModel):
            raise
        raise UnreadableModel(
            f"{file}: damaged or cut off ({shown(error)}); copy it anew"
        ) from None


def _require_plain(entries: list[zipfile.ZipInfo], file: str) -> None:
    seen: set[str] = set()
    for entry in entries:
        if problem := _problem(entry):
            entry_name = shown(entry.orig_filename)
            raise UnreadableModel(f"{file}: {entry_name} {problem}; make the zip anew")
        # Some file systems, and torch, do not tell capitals from small letters.
        if (name := entry.filename.rstrip("/").casefold()) in seen:
            raise UnreadableModel(
                f"{file}: {shown(entry.filename)} is in it twice, perhaps with other capitals; "
                "make the zip anew"
            )
        seen.add(name)


def _problem(entry: zipfile.ZipInfo) -> str | None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if entry.orig_filename != entry.filename or ODD_NAME.search(entry.filename.rstrip("/")):
        return "is a name that may lead out of the folder"
    if not entry.filename.strip("/"):
        return "is no name"
    if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
        return "is a link, or no file at all"
    if entry.flag_bits & ENCRYPTED:
        return "is encrypted"
    if entry.compress_type not in KNOWN_METHODS:
        return "is compressed in a way that is not read here"
    return None


def _require_one_directory(path: Path, file: str) -> None:
    """Its list of entries must be short, and where every program looks for it.

    Otherwise one program could be shown other entries than the next.
    """
    size = path.stat().st_size
    with path.open("rb") as archive:
        archive.seek(
            max(0, size - END.size - LONGEST_COMMENT - END_OF_64.size - LOCATOR_OF_64.size)
        )
        tail = archive.read()
    place = tail.rfind(b"PK\x05\x06")
    if place < 0 or len(tail) - place < END.size:
        raise zipfile.BadZipFile("it has no end")
    *_, length, offset, comment = END.unpack_from(tail, place)
    end = size - len(tail) + place
    if end + END.size + comment != size:
        raise zipfile.BadZipFile("something follows its end")
    locator = place - LOCATOR_OF_64.size
    if tail[max(0, locator) : place].startswith(b"PK\x06\x07"):
        end -= LOCATOR_OF_64.size + END_OF_64.size
        if LOCATOR_OF_64.unpack_from(tail, locator)[2] != end:
            raise zipfile.BadZipFile("its end is somewhere else")
        *_, length64, offset64 = END_OF_64.unpack_from(tail, locator - END_OF_64.size)
        if length not in {IN_64, length64} or offset not in {IN_64, offset64}:
            raise zipfile.BadZipFile("it has two ends")
        length, offset = length64, offset64
    if offset + length != end:
        raise zipfile.BadZipFile("its list of files is not before its end")
    if length > MOST_DIRECTORY_BYTES:
        raise UnreadableModel(f"{file}: it has too many files")
