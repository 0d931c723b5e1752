"""Folders that nobody sees until what they hold is whole, and that go where it never is."""

import fcntl
import logging
import os
import shutil
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

HIDDEN = ".incoming-"

log = logging.getLogger("sidelight")


class HiddenFolder:
    """An empty folder at `path`, inside `parent`; unless it is renamed meanwhile, it goes again.

    It is locked as long as this process lives, so that `remove_leftovers` of another one tells
    what is being made from what is left of something.
    """

    def __init__(self, parent: Path) -> None:
        """Raises OSError."""
        parent.mkdir(parents=True, exist_ok=True)
        self.path = Path(tempfile.mkdtemp(prefix=HIDDEN, dir=parent))
        self._lock = _locked(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_leftovers(parent: Path) -> None:
    """Delete what a process left in `parent` that was stopped in the middle of something."""
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
