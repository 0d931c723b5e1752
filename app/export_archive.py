"""A run on its way out: one zip of whatever the format consists of."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from app.errors import InvalidRequest, ServerLimit
from app.hidden_folder import HiddenFolder
from app.registry import Run, unusable
from model.interop.errors import NotExportable
from model.interop.exporting import ExportFormat, export_run, require_exportable
from model.plain_file import open_plain
from model.run_folder import BrokenRun

EXPORTS = "exports"  # the folder, inside that of the data, where they are made
COMPRESSED = {".json", ".jsonl", ".md", ".txt"}  # weights are noise to a compressor
CHUNK = 1 << 20
RETRY_AFTER_S = 5


class Outgoing:
    """The archives that are being sent: at most so many bytes of the disk, or one of them.

    Only for the event loop.
    """

    def __init__(self, most_bytes: int) -> None:
        self.bytes, self._most_bytes = 0, most_bytes

    def require_room(self, size: int) -> None:
        """Raises ServerLimit."""
        if self.bytes and self.bytes + size > self._most_bytes:
            has = "many exports that are not read yet"
            raise ServerLimit(has, "too_many_answers", RETRY_AFTER_S)

    @contextmanager
    def sending(self, size: int) -> Iterator[None]:
        self.bytes += size
        try:
            yield
        finally:
            self.bytes -= size


class ArchiveResponse(StreamingResponse):
    """Sends an archive, and closes it however that ends: a client may leave in the middle."""

    media_type = "application/zip"

    def __init__(
        self, archive: BinaryIO, size: int, outgoing: Outgoing, headers: dict[str, str]
    ) -> None:
        super().__init__(chunks(archive), headers={"Content-Length": str(size), **headers})
        self._archive, self._size, self._outgoing = archive, size, outgoing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._archive, self._outgoing.sending(self._size):
            await super().__call__(scope, receive, send)


def export_archive(
    run: Run, format: ExportFormat, step: int | None, room: Path
) -> tuple[BinaryIO, int]:
    """The zip as a file without a name, which goes when it is closed, and its size in bytes.

    What is made on the way is made inside `room`. Raises what `check_export` does,
    UnusableRun, OSError.
    """
    check_export(run, format, step)
    if format != "run":
        step = run.available(step)
    with HiddenFolder(room) as scratch:
        try:
            files = export_run(run.folder, format, scratch.path, step)
        except BrokenRun as error:
            raise unusable(run.id, str(error)) from None
        archive = tempfile.TemporaryFile(dir=room)  # noqa: SIM115 - the caller closes it
        try:
            write_zip(files, archive)
        except BaseException:
            archive.close()
            raise
    size = archive.seek(0, os.SEEK_END)
    archive.seek(0)
    return archive, size


def check_export(run: Run, format: ExportFormat, step: int | None) -> None:
    """Raises UnknownRun for a step that the run does not have, InvalidRequest."""
    run.require_step(step)
    try:
        require_exportable(run.config, format, step)
    except NotExportable as error:
        raise InvalidRequest(str(error), param="format", code="not_exportable") from None


def write_zip(files: dict[str, Path], archive: BinaryIO | Path) -> None:
    """Raises OSError, also for a link: what it leads to is nobody's to take out."""
    with zipfile.ZipFile(archive, "w") as out:
        for name, path in files.items():
            with open_plain(path.parent, path.name) as file:
                entry = zipfile.ZipInfo.from_file(path, name)
                compressed = Path(name).suffix in COMPRESSED
                entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
                entry.file_size = os.fstat(file.fileno()).st_size
                with out.open(entry, "w") as packed:
                    shutil.copyfileobj(file, packed, CHUNK)


def chunks(archive: BinaryIO) -> Iterator[bytes]:
    """All of it."""
    while chunk := archive.read(CHUNK):
        yield chunk
