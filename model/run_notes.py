"""The notes of a run that its author writes: what was expected, what happened, and the verdict.

They are a part of `config.json`, all else of which stays as the training left it.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TypedDict

from model.config import RunConfig, Verdict
from model.run_folder import RunFolder

_editing = threading.Lock()


class Notes(TypedDict, total=False):
    """Some of them, as `RunConfig` has them."""

    hypothesis: str
    outcome: str
    verdict: Verdict | None


class NotesChanged(Exception):
    """A note is no longer what its editor has read; `name` tells which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the {name} has been changed meanwhile")
        self.name = name


def edit_notes(folder: RunFolder, changes: Notes, read: Notes | None = None) -> RunConfig:
    """Change the notes that `changes` names, and no other; returns what the folder says then.

    `read` has notes as their editor knows them: where one of them differs by now, nothing is
    changed. Edits wait for one another. Raises NotesChanged, RunBusy while a process trains the
    run, BrokenRun, OSError where the disk refuses, and pydantic's ValidationError.
    """
    unfinished = folder.state.path.is_dir()
    with _alone(folder), folder.state.locked() if unfinished else nullcontext():
        before = folder.read_config()
        known = before.model_dump()
        for name, value in (read or {}).items():
            if known[name] != value:
                raise NotesChanged(name)
        after = RunConfig.model_validate(known | changes)
        if after != before:
            folder.write_config(after)
    return after


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """No other edit begins before this one is over, in this process or another on the machine.

    The lock is on the folder itself and leaves no file. Network file systems may have none for
    folders; then it keeps apart what one process does.
    """
    with _editing:
        descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
