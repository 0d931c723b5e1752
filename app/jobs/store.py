"""The jobs and sweeps there are, in one SQLite file: what a restarted server finds again."""

import json
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from app.jobs.launcher import OVER, State
from model.config import RunPlan

ASIDE = ".unreadable-"
COMPANIONS = ("-wal", "-shm")  # what SQLite keeps beside a file

Document = TypeVar("Document")

log = logging.getLogger("sidelight")

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
    """All methods may be called from any thread and any process. Raise sqlite3.Error.

    A file that cannot be read is put aside, under a name that says when, and a new one begun.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            self._connection = _opened(path)
        except _Unreadable as error:
            aside = _put_aside(path)
            log.error("%s cannot be read (%s): it is now %s, and empty", path, error, aside.name)  # noqa: TRY400
            self._connection = _opened(path)

    def put_aside(self) -> list[str]:
        """Names of the files beside its own that could not be read, of this start and earlier."""
        names = [each.name for each in self._path.parent.glob(f"{self._path.name}{ASIDE}*")]
        return sorted(name for name in names if not name.endswith(COMPANIONS))

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

    def active_run_ids(self) -> set[str]:
        """Of the same, without reading all about them: a large sweep asks for each of its runs."""
        query = "SELECT run_id FROM jobs WHERE state IN ('queued', 'running')"
        return {row[0] for row in self._rows(query)}

    def jobs_of(self, sweep: str) -> list[Job]:
        return self._jobs("WHERE sweep = ?", (sweep,))

    def job(self, id: str) -> Job | None:
        rows = self._rows("SELECT document FROM jobs WHERE id = ?", (id,))
        return _read(_job, rows[0][0]) if rows else None

    def sweeps(self) -> list[Sweep]:
        """The newest first."""
        rows = self._rows("SELECT document FROM sweeps ORDER BY number DESC")
        return [sweep for row in rows if (sweep := _read(_sweep, row[0]))]

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
                "AND CASE WHEN json_valid(document) "
                "THEN json_extract(document, '$.device') END = ?",
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
        return [job for row in self._rows(query, values) if (job := _read(_job, row[0]))]

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
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # on a full disk SQLite has ended it itself
                    self._connection.execute("ROLLBACK")
                raise


class _Unreadable(Exception):
    """A file is no store, or none that holds together."""


def _opened(path: Path) -> sqlite3.Connection:
    """Raises _Unreadable, or sqlite3.Error where the trouble is not with what is in the file."""
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    connection.isolation_level = None  # transactions begin where `_changing` says
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(found)
        connection.executescript(TABLES)
        connection.execute("SELECT number, id, run_id, state, sweep, document FROM jobs LIMIT 1")
        connection.execute("SELECT number, id, document FROM sweeps LIMIT 1")
    except sqlite3.DatabaseError as error:
        connection.close()
        is_passing = isinstance(error, sqlite3.OperationalError) and "no such" not in str(error)
        if is_passing:  # a full disk, a lock, a folder that may not be written to
            raise
        raise _Unreadable(str(error)) from None
    return connection


def _put_aside(path: Path) -> Path:
    """Never deleted: somebody may get more out of it."""
    aside = path.with_name(f"{path.name}{ASIDE}{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    for suffix in ("", *COMPANIONS):
        with suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(aside.with_name(aside.name + suffix))
    return aside


def _read(read: Callable[[str], Document], document: str) -> Document | None:
    """None for one that another version wrote, or that something else has been done to."""
    try:
        return read(document)
    except (ValueError, TypeError, KeyError):
        log.exception("what the list of jobs holds cannot be read: %.200s", document)
        return None


def _sweep(document: str) -> Sweep:
    return Sweep(**json.loads(document))


def _require_free(connection: sqlite3.Connection, job: Job) -> None:
    """Raises RunTaken if a job that is not over makes the same run."""
    query = "SELECT 1 FROM jobs WHERE run_id = ? AND state IN ('queued', 'running')"
    if connection.execute(query, (job.run_id,)).fetchone():
        raise RunTaken(job.run_id)


def _changed(
    connection: sqlite3.Connection, id: str, only_from: Sequence[State], fields: dict[str, Any]
) -> Job:
    row = connection.execute("SELECT document FROM jobs WHERE id = ?", (id,)).fetchone()
    before = _read(_job, row[0]) if row else None
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
