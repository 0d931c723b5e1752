"""The queue: gives every device one job at a time, in order, and finds out how each one ends.

A thread looks at all that runs a few times a second. What it knows is in the store, so a server
that is started again goes on where another was stopped or killed.
"""

import logging
import secrets
import shutil
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.errors import Conflict, RequestError, UnknownJob
from app.jobs.launcher import OVER, RESUMABLE, Device, Launcher, LaunchFailed, State, Status
from app.jobs.progress import read_progress
from app.jobs.store import Job, JobStore, RunTaken, Sweep, Unchanged, now
from app.logs.context import fields
from model.atomic_file import write_atomically
from model.job import JobSpec
from model.run_folder import RunFolder

LOOK_S = 0.3
TROUBLE_S = 5
CLOSE_S = 3  # how long a look may take that nobody waits for any more
STOP_S = 60  # how long a job may take to keep what it has
STARTING_S = 10  # how long a job may be running without a handle, before it is given up

log = logging.getLogger("sidelight")


class JobQueue:
    """All methods may be called from any thread."""

    def __init__(
        self,
        launcher: Launcher,
        data: Path,
        checkpoints: Path,
        source_of: Callable[[str], str],
        job_seconds: int = 0,
    ) -> None:
        """`data` gets a folder `jobs`; `source_of` a text's id is what `load_corpus` takes.

        A job may run for `job_seconds`, counted anew by each server; 0 for any time. Nothing runs
        before `start`.
        """
        self.folder = data / "jobs"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.store = JobStore(self.folder / "jobs.sqlite3")
        self._launcher, self._checkpoints, self._source_of = launcher, checkpoints, source_of
        self._job_seconds = job_seconds
        self.ended: Counter[State] = Counter()  # jobs, since this server started
        self._counting = threading.Lock()
        self._wake = threading.Event()
        self._closing = False
        self._seen_since: dict[str, float] = {}
        self._out_of_time: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Look no more. What runs goes on, and is found again by the next server."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_S)
        if not self._thread.is_alive():  # else it ends with the process
            self.store.close()

    def is_watching(self) -> bool:
        """Whether the thread that starts jobs and finds out how they end is at work."""
        return self._thread.is_alive()

    def silent_s(self) -> float:
        """Seconds since a running job last noted its progress, of the one where it is longest."""
        running = (job for job in self.store.active_jobs() if job.state == "running")
        return max((_age_s(self.folder_of(job) / "progress.json") for job in running), default=0.0)

    def devices(self) -> list[Device]:
        """Where jobs run, the kind that is taken by itself first."""
        return self._launcher.devices()

    def devices_for(self, wanted: str) -> list[Device]:
        """Those that suit `cuda`, `cuda:1`, `cpu` …; `auto` takes none but the first one's kind."""
        kind = self.devices()[0].kind if wanted == "auto" else wanted
        return [device for device in self.devices() if kind in (device.id, device.kind)]

    def run_ids(self) -> set[str]:
        """Of the runs that are being made, or wait to be."""
        return self.store.active_run_ids()

    def jobs_on(self, corpus: str) -> list[str]:
        """Ids of the jobs that are not over and need that text."""
        return [job.id for job in self.store.active_jobs() if job.corpus == corpus]

    def job(self, id: str) -> Job:
        """Raises UnknownJob."""
        job = self.store.job(id)
        if job is None:
            raise UnknownJob(f"there is no job {id!r}", param="id", code="unknown_job")
        return job

    def submit(self, jobs: Sequence[Job], sweep: Sweep | None = None) -> list[Job]:
        """Put them at the end of the queue, all or none. Raises Conflict for a run that exists."""
        for job in jobs:
            self.require_free(job)
        try:
            self.store.add(jobs, sweep)
        except RunTaken as error:
            raise _taken(str(error)) from None
        self._wake.set()
        return list(jobs)

    def require_free(self, job: Job) -> None:
        """Raises Conflict for a run that exists, or that a job is to make."""
        if self.is_taken(job.run_id):
            raise _taken(job.run_id)

    def is_taken(self, run_id: str) -> bool:
        """Whether there is a run of that id, or a job that is to make it."""
        return run_id in self.run_ids() or (self._checkpoints / run_id).exists()

    def cancel(self, id: str) -> Job:
        """A waiting job is over at once; one that runs keeps what it has first. Raises Conflict."""
        job = self.job(id)
        if job.is_over:
            raise Conflict(f"job {id!r} is over already: it is {job.state}", code="job_over")
        with suppress(Unchanged):
            job = self.store.change(
                id, ("queued",), state="cancelled", message="it had not begun", ended=now()
            )
            self._tell_end(job)
            if job.handle:  # it waits in the launcher's own queue
                self._launcher.stop(self.folder_of(job), job.handle)
            return job
        self._stop(job, "keeping what was trained …")
        self._wake.set()
        return self.job(id)

    def _stop(self, job: Job, message: str) -> None:
        """Let a running job keep what it has and end."""
        with suppress(Unchanged):
            job = self.store.change(job.id, ("running",), stopping=now(), message=message)
            if job.handle:
                self._launcher.stop(self.folder_of(job), job.handle)

    def resume(self, id: str) -> Job:
        """Put a job that did not come to its end back into the queue. Raises Conflict."""
        job = self.job(id)
        try:
            if self.run_of(job).is_finished():
                raise Unchanged
            job = self.store.queue_again(id, RESUMABLE)
        except RunTaken:
            raise _taken(job.run_id) from None
        except Unchanged:
            message = f"job {id!r} is {job.state}; only one that stopped early can go on"
            raise Conflict(message, code="job_not_resumable") from None
        self._wake.set()
        return job

    def remove(self, id: str) -> None:
        """Forget a job that is over; its run stays. Raises Conflict."""
        job = self.job(id)
        if not job.is_over:
            raise Conflict(f"job {id!r} is {job.state}: cancel it first", code="job_active")
        self.store.remove(id)
        shutil.rmtree(self.folder_of(job), ignore_errors=True)

    def log(self, id: str) -> str:
        job = self.job(id)
        return self._launcher.log(self.folder_of(job), job.handle) if job.handle else ""

    def folder_of(self, job: Job) -> Path:
        return self.folder / job.id

    def run_of(self, job: Job) -> RunFolder:
        return RunFolder(self._checkpoints / job.run_id)

    # The thread

    def _watch(self) -> None:
        while not self._closing:
            self._wake.clear()
            pause_s = LOOK_S
            try:
                self._look()
            except Exception:  # a full disk, for one, is no reason to stop looking
                log.exception("the jobs could not be brought up to date; trying again")
                pause_s = TROUBLE_S
            self._wake.wait(pause_s)

    def _look(self) -> None:
        active = self.store.active_jobs()
        names = (_starting, _running, _stopping)
        moments = {name(job) for job in active for name in names}
        self._seen_since = {m: since for m, since in self._seen_since.items() if m in moments}
        for job in active:
            if job.state == "running" or job.handle:
                self._follow(job)
        for job in self.store.active_jobs():
            if job.state == "queued" and not job.handle:
                self._begin(job)

    def _follow(self, job: Job) -> None:
        """Bring a started job's state up to date."""
        folder = self.folder_of(job)
        if job.handle is None:
            if self._seconds_since(_starting(job)) > STARTING_S:
                self._end(job, Status("interrupted", "the server stopped while it was starting"))
            return
        status = self._launcher.status(folder, job.handle)
        if status.state in OVER:
            self._end(job, status)
        elif job.stopping and self._seconds_since(_stopping(job)) > STOP_S:
            self._launcher.kill(folder, job.handle)
        elif self._is_out_of_time(job):
            self._out_of_time.add(job.id)
            self._stop(job, f"{self._time_is_up()}; keeping what was trained …")
        elif (status.state, status.message) != (job.state, job.message) and not job.stopping:
            with suppress(Unchanged):
                self.store.change(
                    job.id, ("queued", "running"), state=status.state, message=status.message
                )

    def _is_out_of_time(self, job: Job) -> bool:
        if not self._job_seconds or job.state != "running" or job.stopping:
            return False
        return self._seconds_since(_running(job)) > self._job_seconds

    def _time_is_up(self) -> str:
        return f"the {self._job_seconds} seconds that a job may take are up"

    def _seconds_since(self, moment: str) -> float:
        """Since this server has first asked for it: the clock of the day may jump meanwhile."""
        return time.monotonic() - self._seen_since.setdefault(moment, time.monotonic())

    def _end(self, job: Job, status: Status) -> None:
        if self.run_of(job).is_finished():  # whatever happened after that
            status = Status("done")
        elif status.state == "cancelled" and not job.stopping:
            status = Status("interrupted", "the process was told to stop")
        elif status.state == "interrupted" and job.stopping:
            status = Status("cancelled", "it did not stop by itself and was ended")
        message = self._time_is_up() if job.id in self._out_of_time else status.message
        self._out_of_time.discard(job.id)
        if status.state in ("cancelled", "failed", "interrupted"):
            message = f"{message}; {self._where_it_goes_on(job)}"
        with suppress(Unchanged):  # another server has seen it too
            job = self.store.change(
                job.id,
                ("queued", "running"),
                state=status.state,
                message=message.strip("; "),
                ended=now(),
                progress=read_progress(self.folder_of(job)),
            )
            self._tell_end(job)
        self._wake.set()

    def _tell_end(self, job: Job) -> None:
        with self._counting:
            self.ended[job.state] += 1
        level = logging.WARNING if job.state in ("failed", "interrupted") else logging.INFO
        told = fields(job=job.id, run=job.run_id, state=job.state, attempt=job.attempt)
        log.log(level, "job %s is over: %s", job.id, job.message or job.state, extra=told)

    def _where_it_goes_on(self, job: Job) -> str:
        if self.run_of(job).state.exists():
            return "resume it to go on from where it stopped"
        return "resume it to begin again"

    def _begin(self, job: Job) -> None:
        """Start a waiting job if a device for it is free."""
        devices = self.devices_for(job.device_wanted)
        if not devices:
            self._say_that_it_waits(job)
        for device in devices:
            fields = {"attempt": job.attempt + 1, "started": now(), "message": ""}
            with suppress(Unchanged):  # cancelled meanwhile, or another server was quicker
                if claimed := self.store.claim(job.id, device.id, device.capacity, **fields):
                    self._start(claimed, device)
                    return

    def _say_that_it_waits(self, job: Job) -> None:
        """The device was there when it was asked for; it may be again, or never."""
        there = ", ".join(device.id for device in self.devices())
        message = (
            f"it waits for {job.device_wanted!r}, which is not here now; there are {there}: "
            "start the server again where it is, or cancel the job and begin another"
        )
        if job.message != message:
            with suppress(Unchanged):
                self.store.change(job.id, ("queued",), message=message)

    def _start(self, job: Job, device: Device) -> None:
        try:
            folder = self._prepare(job, device)
            handle = self._launcher.start(folder, device.id)
        except (LaunchFailed, RequestError, OSError) as error:
            self._end(job, Status("failed", str(error)))
            return
        job = self.store.change(job.id, handle=handle)
        told = fields(job=job.id, run=job.run_id, device=device.id, attempt=job.attempt)
        log.info("job %s has started", job.id, extra=told)
        if job.stopping:  # cancelled amid the start
            self._launcher.stop(folder, handle)

    def _prepare(self, job: Job, device: Device) -> Path:
        """The job's folder with its specification, and without an earlier attempt's outcome."""
        folder = self.folder_of(job)
        folder.mkdir(exist_ok=True)
        for name in ("outcome.json", "progress.json"):
            (folder / name).unlink(missing_ok=True)
        spec = JobSpec(
            plan=job.plan,
            folder=(self._checkpoints / job.run_id).resolve(),
            corpus=self._source_of(job.corpus),
            corpus_name=job.corpus,
            device=device.kind if device.kind in ("cpu", "mps", "cuda") else "auto",
        )
        write_atomically(folder / "spec.json", spec.model_dump_json(indent=2).encode())
        return folder


def new_id() -> str:
    return secrets.token_hex(6)


def _taken(run_id: str) -> Conflict:
    message = f"run_id: there is a run {run_id!r} already, or a job makes it; choose another id"
    return Conflict(message, param="run_id", code="run_exists")


def _starting(job: Job) -> str:
    return f"{job.id} starting {job.attempt}"


def _running(job: Job) -> str:
    return f"{job.id} running {job.attempt}"


def _stopping(job: Job) -> str:
    return f"{job.id} stopping {job.attempt}"


def _age_s(path: Path) -> float:
    """Since it was written; 0 where there is none yet."""
    try:
        return max(0.0, time.time() - path.stat().st_mtime)
    except OSError:
        return 0.0
