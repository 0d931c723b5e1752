"""Files that are what they seem: read without following a link or waiting for a pipe's writer."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

LINK = "it is a link, and links are not followed; put what it leads to in its place"
OTHERS = {
    stat.S_IFDIR: "a folder is in its place",
    stat.S_IFIFO: "a pipe is in its place",
    stat.S_IFSOCK: "a socket is in its place",
    stat.S_IFLNK: LINK,
}


def open_plain(folder: str | Path, name: str) -> BufferedReader:
    """The file `name` of `folder`, perhaps of a folder in it, as `snapshots/x`.

    Neither may be a link, nor what lies between them; whatever leads to `folder` may. A hard link
    cannot be told from a file. Raises OSError, whose `strerror` says what is wrong.
    """
    with _inside(folder, name) as (here, last):
        _require_plain(os.stat(last, dir_fd=here, follow_symlinks=False))
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=here)
    file = os.fdopen(descriptor, "rb")
    try:
        _require_plain(os.fstat(descriptor))  # another may have taken its place
    except OSError:
        file.close()
        raise
    return file


def read_plain(folder: str | Path, name: str, most_bytes: int) -> bytes:
    """All of such a file. Raises OSError, also for more than `most_bytes`."""
    with open_plain(folder, name) as file:
        size = os.fstat(file.fileno()).st_size
        if size > most_bytes:
            message = f"it has {size:,} bytes, and at most {most_bytes:,} are read"
            raise OSError(errno.EFBIG, message)
        return file.read(size)


def plain_size(folder: str | Path, name: str) -> int:
    """Bytes of such a file, without a look into it. Raises OSError."""
    with _inside(folder, name) as (here, last):
        status = os.stat(last, dir_fd=here, follow_symlinks=False)
    _require_plain(status)
    return status.st_size


def require_no_link(path: str | Path) -> None:
    """Raises OSError for a link; what is not there is none."""
    if os.path.islink(path):  # noqa: PTH114 (a thousand runs are asked: see `_file_stamp`)
        raise OSError(errno.ELOOP, LINK)


@contextmanager
def _inside(folder: str | Path, name: str) -> Iterator[tuple[int, str]]:
    """A descriptor of the folder that the file is in, and the file's name there."""
    *between, last = name.split("/")
    here = _opened_folder(os.fspath(folder), None)
    try:
        for part in between:
            above, here = here, _opened_folder(part, here)
            os.close(above)
        yield here, last
    finally:
        os.close(here)


def _opened_folder(path: str, inside: int | None) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=inside)
    except NotADirectoryError:
        if stat.S_ISLNK(os.stat(path, dir_fd=inside, follow_symlinks=False).st_mode):
            raise OSError(errno.ELOOP, f"{Path(path).name} in its path: {LINK}") from None
        raise


def _require_plain(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(errno.EINVAL, OTHERS.get(kind, "a device is in its place"))
