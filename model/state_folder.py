"""`<run>/state/`: what only an unfinished run has, so that it can go on; gone when it is done."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from model.atomic_file import remove_if_there, write_atomically
from model.plain_file import require_no_link
from model.train_state import TrainState

BEST_NAME = re.compile(r"best-(\d+)\.safetensors")
TEMPORARY = ".*"  # what a kill amid a write left beside the file it was to become


class RunBusy(Exception):
    """Another process is training this run."""


class StateFolder:
    """`run` is the run's folder, which must be there before anything is written."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self.path = run / "state"

    @property
    def training(self) -> Path:
        return self.path / "training.safetensors"

    def exists(self) -> bool:
        """Whether there is something to go on from."""
        return self.training.is_file()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """For the one process that trains the run, as long as it does. Raises RunBusy, OSError."""
        for folder in (self.run, self.path, self.run / "snapshots"):
            require_no_link(folder)  # nothing of somebody else's is written to, or tidied up
        self.path.mkdir(exist_ok=True)
        lock = FileLock(self.path / "lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise RunBusy(f"run {self.run.name!r} is being trained by another process") from None
        try:
            _remove_unfinished(self.run)
            yield
        finally:
            lock.release()

    def write(self, state: TrainState) -> None:
        write_atomically(self.training, state.to_bytes())

    def read(self) -> TrainState:
        """Raises UnusableState."""
        return TrainState.read(str(self.training))

    def write_best(self, step: int, weights: bytes) -> None:
        """Keep the weights of the lowest loss so far; earlier ones stay until `keep_best`."""
        write_atomically(self._best(step), weights)

    def read_best(self, step: int) -> bytes:
        """Raises OSError."""
        return self._best(step).read_bytes()

    def keep_best(self, step: int | None) -> None:
        """Remove the best weights of all other steps."""
        for name in os.listdir(self.path):
            if (found := BEST_NAME.fullmatch(name)) and int(found[1]) != step:
                remove_if_there(self.path / name)

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def _best(self, step: int) -> Path:
        return self.path / f"best-{step:06d}.safetensors"


def _remove_unfinished(run: Path) -> None:
    for folder in (run, run / "snapshots", run / "state"):
        for path in folder.glob(TEMPORARY):
            remove_if_there(path)
