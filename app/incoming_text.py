"""A text on its way to the disk: checked, hashed and counted while it arrives."""

import codecs
import hashlib
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from app.hidden_folder import HiddenFolder
from model.corpus import BYTE_ORDER_MARK, CorpusError, not_utf8, require_learnable
from model.text_statistics import TextStatistics

TEXT_FILE = "text.txt"
PREVIEW_CHARACTERS = 500


class IncomingText(HiddenFolder):
    """Writes a `text.txt` in a hidden folder, which goes in the end unless it has been renamed."""

    def __init__(self, parent: Path, name: str) -> None:
        """`name` is what messages call the text. Raises OSError."""
        self.name = name
        self.statistics = TextStatistics()
        self.bytes = 0
        self.preview = ""
        self._hash = hashlib.sha256()
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._read = 0  # bytes, a byte order mark among them
        super().__init__(parent)
        self._file = (self.path / TEXT_FILE).open("wb")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # a full disk, which is known by now
            self._file.close()
        super().__exit__(kind, error, trace)

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
