"""Whether the server can serve: looked into rarely, however often it is asked."""

import sqlite3
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio import CapacityLimiter

from app.engine import Engine
from app.errors import RequestError
from app.jobs.queue import JobQueue
from app.registry import Registry
from app.schemas import Readiness, ReadinessCheck

GOOD_FOR_S = 1.0  # what was fine is believed for so long
BAD_FOR_S = 0.05
PATIENCE_S = 5.0  # a disk that takes longer does not work

Found = tuple[
    list[str], dict[str, str], list[ReadinessCheck]
]  # runs, broken ones, what was looked into


class Inspector:
    """Asks all that has to work. Only for the event loop."""

    def __init__(
        self,
        registry: Registry,
        engine: Engine,
        queue: JobQueue,
        data: Path,
        is_stopping: Callable[[], bool],
    ) -> None:
        """`data` is the folder that uploads and jobs are kept in."""
        self._registry, self._engine, self._queue = registry, engine, queue
        self._data, self._is_stopping = data, is_stopping
        self._one_look = CapacityLimiter(1)
        self._found: Found = [], {}, []
        self._until = 0.0  # when what was found is to be looked into again

    async def readiness(self) -> Readiness:
        """How it is at this moment, and of what lies on the disk at most GOOD_FOR_S ago."""
        runs, broken, looked_into = await self._disk()
        stopping = "the server has been told to stop" if self._is_stopping() else None
        checks = [_check("running", stopping), _check("engine", self._of_the_engine())]
        checks += looked_into
        ready = all(check.ok for check in checks)
        return Readiness(ready=ready, runs=runs, broken=broken, checks=checks)

    async def _disk(self) -> Found:
        if time.monotonic() >= self._until:
            with anyio.move_on_after(PATIENCE_S) as patience:
                await anyio.to_thread.run_sync(
                    self._look, limiter=self._one_look, abandon_on_cancel=True
                )
            if patience.cancelled_caught:
                late = f"the disk has not answered in {PATIENCE_S:g} seconds"
                return [], {}, [_check(name, late) for name in ("runs", "data", "jobs")]
        return self._found

    def _look(self) -> None:
        if time.monotonic() < self._until:  # somebody else has just looked
            return
        checks = [
            _check("runs", self._of_runs()),
            _check("data", self._of_the_data()),
            _check("jobs", self._of_jobs()),
        ]
        runs, broken = self._registry.listing()  # some may only now have turned out to be broken
        self._found = [run.id for run in runs], broken, checks
        fine = all(check.ok for check in checks)
        self._until = time.monotonic() + (GOOD_FOR_S if fine else BAD_FOR_S)

    def _of_the_engine(self) -> str | None:
        """What is wrong with it, if something is; so for all that follow."""
        return self._engine.trouble or (None if self._engine.is_warm else "it is warming up")

    def _of_runs(self) -> str | None:
        ids = [run.id for run in self._registry.runs()]
        if not ids:
            return "there is no run that can be read"
        loaded = self._registry.loaded_bytes() > 0 or any(map(self._loads, ids))
        return None if loaded else "no run can be loaded"

    def _loads(self, id: str) -> bool:
        try:
            with self._registry.lend(id):
                return True
        except RequestError:
            return False

    def _of_the_data(self) -> str | None:
        try:
            with tempfile.TemporaryFile(dir=self._data) as file:
                file.write(b"\n")
        except OSError as error:
            return f"nothing can be written to it: {error.strerror}"
        return None

    def _of_jobs(self) -> str | None:
        if not self._queue.is_watching():
            return "nothing looks after the jobs any more"
        try:
            self._queue.store.active_jobs()
        except (sqlite3.Error, ValueError) as error:
            return f"their list cannot be read: {error}"
        return None


def _check(name: str, trouble: str | None) -> ReadinessCheck:
    return ReadinessCheck(name=name, ok=trouble is None, reason=trouble)
