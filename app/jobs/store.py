"""The jobs and sweeps there are, in one SQLite file: what a restarted server finds again."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.jobs.launcher import OVER, State
from model.config import RunPlan

TABLES = """
CREATE TABLE IF NOT EXISTS jobs (
  number INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of the queue
  id TEXT NOT NULL UNIQUE,
  run_id TEXT NOT NULL,
  state TEXT NOT NULL,
  sweep TEXT,
  document TEXT NOT NULL  -- the rest, as JSON
);
CREATE TABLE IF NOT EXISTS sweeps (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  document TEXT NOT NULL
);
"""


class RunTaken(Exception):
    """Another job makes the run of that id, or is about to."""


class Unchanged(Exception):
    """The job is not in a state in which it could be changed so."""


@dataclass(frozen=True)
class Job:
    """One run to be made. Times are ISO 8601, in UTC."""

    id: str
    plan: RunPlan
    corpus: str  # `tinyshakespeare`, or the id of an uploaded text
    params: int
    preset: str | None = None
    device_wanted: str = "auto"
    sweep: str | None = None
    values: dict[str, Any] = field(default_factory=dict)  # by which it differs in its sweep
    created: str = ""
    state: State = "queued"
    message: str = ""
    attempt: int = 0  # how often it has been started
    device: str | None = None
    handle: str | None = None
    stopping: str | None = None  # since when it has been asked to stop
    started: str | None = None
    ended: str | None = None
    progress: dict[str, Any] | None = None  # the last that was known when it ended

    @property
    def run_id(self) -> str:
        return self.plan.id

    @property
    def is_over(self) -> bool:
        return self.state in OVER


@dataclass(frozen=True)
class Sweep:
    """Jobs that were begun as one; `fields` are those that differ."""

    id: str
    title: str
    hypothesis: str
    fields: list[str]
    created: str


class JobStore:
    """All methods may be called from any thread and any process. Raise sqlite3.Error."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
        self._connection.isolation_level = None  # transactions begin where `_changing` says
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.executescript(TABLES)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def add(self, jobs: Sequence[Job], sweep: Sweep | None = None) -> None:
        """All or none. Raises RunTaken, naming the run."""
        with self._changing() as connection:
            if sweep:
                row = (sweep.id, json.dumps(vars(sweep)))
                connection.execute("INSERT INTO sweeps (id, document) VALUES (?, ?)", row)
            for job in jobs:
                _require_free(connection, job)
                connection.execute(
                    "INSERT INTO jobs (id, run_id, state, sweep, document) VALUES (?, ?, ?, ?, ?)",
                    (job.id, job.run_id, job.state, job.sweep, _document(job)),
                )

    def jobs(self) -> list[Job]:
        """All, the oldest first: the order of the queue."""
        return self._jobs("")

    def active_jobs(self) -> list[Job]:
        """Those that are not over."""
        return self._jobs("WHERE state IN ('queued', 'running')")

    def jobs_of(self, sweep: str) -> list[Job]:
        return self._jobs("WHERE sweep = ?", (sweep,))

    def job(self, id: str) -> Job | None:
        rows = self._rows("SELECT document FROM jobs WHERE id = ?", (id,))
        return _job(rows[0][0]) if rows else None

    def sweeps(self) -> list[Sweep]:
        """The newest first."""
        rows = self._rows("SELECT document FROM sweeps ORDER BY number DESC")
        return [Sweep(**json.loads(row[0])) for row in rows]

    def change(self, id: str, only_from: Sequence[State] = (), **fields: Any) -> Job:
        """Set some fields of a job, if its state is one of `only_from` where that is given.

        Raises Unchanged, also where the job is gone.
        """
        with self._changing() as connection:
            return _changed(connection, id, only_from, fields)

    def claim(self, id: str, device: str, capacity: int | None, **fields: Any) -> Job | None:
        """Let a waiting job run on a device, unless `capacity` jobs do already."""
        with self._changing() as connection:
            (running,) = connection.execute(
                "SELECT count(*) FROM jobs WHERE state = 'running' "
                "AND json_extract(document, '$.device') = ?",
                (device,),
            ).fetchone()
            if capacity is not None and running >= capacity:
                return None
            fields = fields | {"state": "running", "device": device}
            return _changed(connection, id, ("queued",), fields)

    def queue_again(self, id: str, only_from: Sequence[State]) -> Job:
        """The last place in the queue. Raises Unchanged, or RunTaken by another job."""
        with self._changing() as connection:
            fresh = {"message": "", "handle": None, "stopping": None, "ended": None}
            job = _changed(connection, id, only_from, fresh)
            _require_free(connection, job)
            job = _changed(connection, id, (), {"state": "queued"})
            connection.execute(
                "UPDATE jobs SET number = (SELECT max(number) + 1 FROM jobs) WHERE id = ?", (id,)
            )
            return job

    def remove(self, id: str) -> None:
        with self._changing() as connection:
            connection.execute("DELETE FROM jobs WHERE id = ?", (id,))
            connection.execute(
                "DELETE FROM sweeps WHERE id NOT IN (SELECT sweep FROM jobs WHERE sweep NOT NULL)"
            )

    def _jobs(self, where: str, values: Sequence[Any] = ()) -> list[Job]:
        query = f"SELECT document FROM jobs {where} ORDER BY number"  # noqa: S608
        return [_job(row[0]) for row in self._rows(query, values)]

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which no other process can get between."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _require_free(connection: sqlite3.Connection, job: Job) -> None:
    """Raises RunTaken if a job that is not over makes the same run."""
    query = "SELECT 1 FROM jobs WHERE run_id = ? AND state IN ('queued', 'running')"
    if connection.execute(query, (job.run_id,)).fetchone():
        raise RunTaken(job.run_id)


def _changed(
    connection: sqlite3.Connection, id: str, only_from: Sequence[State], fields: dict[str, Any]
) -> Job:
    row = connection.execute("SELECT document FROM jobs WHERE id = ?", (id,)).fetchone()
    before = _job(row[0]) if row else None
    if before is None or (only_from and before.state not in only_from):
        raise Unchanged(before.state if before else "gone")
    job = replace(before, **fields)
    connection.execute(
        "UPDATE jobs SET state = ?, document = ? WHERE id = ?", (job.state, _document(job), id)
    )
    return job


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _document(job: Job) -> str:
    return json.dumps(vars(job) | {"plan": job.plan.model_dump(mode="json")})


def _job(document: str) -> Job:
    fields = json.loads(document)
    return Job(**fields | {"plan": RunPlan.model_validate(fields["plan"])})
