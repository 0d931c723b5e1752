"""A text on its way to the disk: checked, hashed and counted while it arrives."""

import codecs
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from model.corpus import BYTE_ORDER_MARK, CorpusError, not_utf8, require_learnable
from model.text_statistics import TextStatistics

TEXT_FILE = "text.txt"
PREVIEW_CHARACTERS = 500
HIDDEN = ".incoming-"

log = logging.getLogger("sidelight")


class IncomingText:
    """Writes a hidden folder with a `text.txt`; unless it is renamed meanwhile, it goes in the end.

    The folder is locked as long as this process lives, so that `remove_leftovers` of another one
    tells an upload from what is left of one.
    """

    def __init__(self, parent: Path, name: str) -> None:
        """`name` is what messages call the text. Raises OSError."""
        self.name = name
        self.statistics = TextStatistics()
        self.bytes = 0
        self.preview = ""
        self._hash = hashlib.sha256()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._read = 0  # bytes, a byte order mark among them
        parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=parent))
        self._lock = _locked(self.folder)
        self._file = (self.folder / TEXT_FILE).open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a full disk, which is known by now
            self._file.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        os.close(self._lock)

    @property
    def sha256(self) -> str:
        """Of what is on the disk, which is without a byte order mark."""
        return self._hash.hexdigest()

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises CorpusError where they are no text, OSError."""
        self._keep(chunk, is_last=False)

    def finish(self) -> None:
        """Put it on the disk whole. Raises CorpusError if nothing can be learned from it."""
        self._keep(b"", is_last=True)
        require_learnable(self.name, self.statistics)
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def _keep(self, chunk: bytes, *, is_last: bool) -> None:
        pending, _ = self._utf8.getstate()
        try:
            text = self._utf8.decode(chunk, final=is_last)
        except UnicodeDecodeError as error:
            raise not_utf8(self.name, error, self._read - len(pending)) from None
        if (place := chunk.find(0)) >= 0:
            raise CorpusError(
                f"{self.name} is not UTF-8 text: byte 0x00 at offset {self._read + place}, as in a "
                "binary file or in UTF-16; save it as UTF-8"
            )
        self._read += len(chunk)
        if not self.statistics.characters:
            text = text.lstrip(BYTE_ORDER_MARK)
        self.statistics.add(text)
        self.preview = (self.preview + text[:PREVIEW_CHARACTERS])[:PREVIEW_CHARACTERS]
        data = text.encode()
        self.bytes += len(data)
        self._hash.update(data)
        self._file.write(data)


def remove_leftovers(parent: Path) -> None:
    """Delete what a server left that was stopped during an upload or a deletion."""
    for folder in parent.glob(f"{HIDDEN}*"):
        try:
            lock = _locked(folder)
        except OSError:  # another process is at it, or it is no folder
            continue
        log.info("removing what is left of an upload: %s", folder)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> int:
    """A descriptor that holds the lock until it is closed. Raises OSError if another has it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
