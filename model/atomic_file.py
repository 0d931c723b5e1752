"""Files that are never torn."""

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write `data` so that `path` holds all of it or what it held before, even after a crash.

    Raises OSError and leaves nothing behind when it cannot, as on a full disk or where the folder
    is gone: it is never made anew.
    """
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(beside, mode)
        os.replace(beside, path)
    except BaseException:
        remove_if_there(beside)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def remove_if_there(path: str | Path) -> None:
    """Unlike Path.unlink, says nothing of a folder that is gone either."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return
