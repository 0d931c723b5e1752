"""Jobs on a Ray cluster, through its job server; Ray is imported only where it is asked."""

import logging
import math
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any, Generic, TypeVar

from app.jobs.launcher import OVER, Device, LaunchFailed, Status
from model.job import EXIT_CANCELLED, EXIT_DISK_FULL, read_outcome

ANSWER_S = 10  # how long the cluster may take to answer
JOBS_S, NODES_S = 1.0, 10.0  # how old the lists of jobs and of nodes may be
MOST_NODES = 10_000

log = logging.getLogger("sidelight")

T = TypeVar("T")


class Unreachable(LaunchFailed):
    """The cluster does not answer; it may do so again later."""


class RayCluster:
    """A `Launcher`. A handle is the id that a job was submitted under.

    The cluster keeps the queue. Job folders, run folders and texts must be on storage that every
    node sees under the same path, and `python` must be there with Sidelight installed.
    """

    program = ("-m", "model.job")  # what Python is given before the path of spec.json

    def __init__(
        self,
        address: str,
        *,
        cpus: float = 1,
        gpus: float | None = None,
        python: str | None = None,
        stop_s: int = 60,
    ) -> None:
        """`cpus` and `gpus` for each job; `gpus` None asks for one where the cluster has any.

        A job that is stopped has `stop_s` seconds to keep what it has. Nothing is asked of the
        cluster yet.
        """
        self._address = address.rstrip("/")
        self._cpus, self._gpus, self._stop_s = cpus, gpus, stop_s
        self._python = python or sys.executable
        self._jobs = _Recent(self._list_jobs, JOBS_S)
        self._nodes = _Recent(self._list_nodes, NODES_S)
        self._known: dict[str, Status] = {}  # by handle, how each was when last seen
        self._stopped: set[str] = set()  # submissions that were told to stop

    def devices(self) -> list[Device]:
        """The cluster as a whole; with room for nothing while it does not answer."""
        try:
            return [Device("ray", f"Ray cluster, {self._size()}", capacity=None)]
        except Unreachable as error:
            return [Device("ray", str(error), capacity=0)]
        except LaunchFailed as error:
            return [Device("ray", str(error), capacity=None)]

    def start(self, folder: Path, device: str) -> str:
        self._jobs.forget()
        taken = self._jobs()
        names = (f"sidelight-{folder.name}-{attempt}" for attempt in count(1))
        handle = next(name for name in names if name not in taken)
        _stop_note(folder, handle).unlink(missing_ok=True)  # of a cluster that is no more
        self._submit(folder, handle, handle)
        self._known[handle] = Status("queued")
        return handle

    def status(self, folder: Path, handle: str) -> Status:
        """While the cluster does not answer, how the job was when it last did."""
        if outcome := read_outcome(folder):
            return Status(outcome.state, outcome.message)
        try:
            status = self._look(folder, handle)
        except LaunchFailed as error:
            known = self._known.get(handle, Status("running"))
            return Status(known.state, str(error))
        self._known[handle] = status
        if status.state in OVER:
            del self._known[handle]
        return status

    def stop(self, folder: Path, handle: str) -> None:
        """Ray sends SIGTERM at once to a job that runs, to one that waits when its turn comes."""
        try:
            jobs = self._jobs()
            submission = _newest(jobs, handle)
            if submission in self._stopped or submission not in jobs:
                return
            if jobs[submission].status == "PENDING":
                _stop_note(folder, handle).touch()
            with self._answers():
                self._client.stop_job(submission)
        except LaunchFailed as error:
            log.warning("job %s could not be stopped: %s", folder.name, error)
        else:
            self._stopped.add(submission)

    def kill(self, folder: Path, handle: str) -> None:
        """The same as `stop`: Ray itself ends what goes on for longer than `stop_s`."""
        self.stop(folder, handle)

    def log(self, folder: Path, handle: str) -> str:
        try:
            submission = _newest(self._jobs(), handle)
            with self._answers():
                lines = str(self._client.get_job_logs(submission)).splitlines(keepends=True)
        except LaunchFailed as error:
            return f"{error}\n"
        return "".join(line for line in lines if not _is_of_ray(line))

    # What the cluster says of a job

    def _look(self, folder: Path, handle: str) -> Status:
        jobs = self._jobs()
        submission = _newest(jobs, handle)
        if submission not in jobs:
            return Status("interrupted", "the Ray cluster, started anew, no longer knows the job")
        details = jobs[submission]
        if details.status == "RUNNING":
            return Status("running")
        if outcome := read_outcome(folder):  # written since this look began
            return Status(outcome.state, outcome.message)
        if _stop_note(folder, handle).exists():
            return Status("cancelled", "it had not begun")
        gave_up = details.error_type == "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"
        if gave_up:  # after RAY_JOB_START_TIMEOUT_SECONDS; it goes on waiting all the same
            self._submit(folder, handle, _after(submission, handle))
        if gave_up or details.status == "PENDING":
            return Status("queued", self._what_it_waits_for())
        return _ending(details)

    def _submit(self, folder: Path, handle: str, submission: str) -> None:
        """Raises LaunchFailed."""
        gpus = self._gpus_asked()
        environment = {"RAY_JOB_STOP_WAIT_TIME_S": str(self._stop_s)}
        if not gpus:  # without GPUs of its own it must not take another job's
            environment["CUDA_VISIBLE_DEVICES"] = ""
        with self._answers():
            self._client.submit_job(
                entrypoint=self._command(folder.resolve(), handle),
                submission_id=submission,
                entrypoint_num_cpus=self._cpus,
                entrypoint_num_gpus=gpus or None,
                runtime_env={"env_vars": environment},
            )
        self._stopped.discard(submission)
        self._jobs.forget()

    def _command(self, folder: Path, handle: str) -> str:
        """For the node's shell: nothing where it was stopped before its turn came, else the job."""
        path = folder / "spec.json"
        spec = shlex.quote(str(path))
        elsewhere = f"{path} cannot be read on this node: is it on storage that all nodes share?"
        return (
            f"if [ -e {shlex.quote(str(_stop_note(folder, handle)))} ]; then exit {EXIT_CANCELLED};"
            f" elif [ ! -r {spec} ]; then echo {shlex.quote(elsewhere)}; exit 1; fi;"
            f" cd {shlex.quote(str(folder))} &&"
            f" exec {shlex.join([self._python, *self.program])} {spec}"
        )

    # What the cluster has

    def _size(self) -> str:
        nodes = self._nodes()
        totals = [(sum(node.get(kind, 0) for node in nodes), kind) for kind in ("CPU", "GPU")]
        amounts = [(len(nodes), "node"), *totals]
        return ", ".join(_amount(number, kind) for number, kind in amounts if number)

    def _gpus_asked(self) -> float:
        if self._gpus is None:
            return 1.0 if any(node.get("GPU") for node in self._nodes()) else 0.0
        return self._gpus

    def _what_it_waits_for(self) -> str:
        gpus = self._gpus_asked()
        wanted = [_amount(n, kind) for n, kind in ((self._cpus, "CPU"), (gpus, "GPU")) if n]
        text = " and ".join(wanted)
        if any(n.get("CPU", 0) >= self._cpus and n.get("GPU", 0) >= gpus for n in self._nodes()):
            return f"waiting for {text} on the Ray cluster"
        return f"waiting for a node with {text}: the Ray cluster has none"

    # Asking it

    @cached_property
    def _client(self) -> Any:
        """Raises ImportError, and what a client raises that does not reach the cluster."""
        from ray.job_submission import JobSubmissionClient

        class Client(JobSubmissionClient):  # type: ignore[misc]
            """Waits for an answer, but not for ever."""

            def _do_request(self, *args: Any, **options: Any) -> Any:
                return super()._do_request(*args, **{"timeout": ANSWER_S} | options)

        return Client(self._address)

    def _list_jobs(self) -> dict[str, Any]:
        with self._answers():
            return {job.submission_id: job for job in self._client.list_jobs()}

    def _list_nodes(self) -> list[dict[str, float]]:
        """The resources of each node that is alive."""
        self._jobs()  # fails at once where the cluster is known not to answer
        with self._answers():
            from ray.util.state import list_nodes

            nodes = list_nodes(address=self._address, timeout=ANSWER_S, limit=MOST_NODES)
        alive = [node.resources_total for node in nodes if node.state == "ALIVE"]
        if not alive:
            raise Unreachable(f"the Ray cluster at {self._address} has no node yet")
        return alive

    @contextmanager
    def _answers(self) -> Iterator[None]:
        """Whatever goes wrong is a LaunchFailed that says what to do."""
        try:
            yield
        except ImportError:
            message = "jobs go to a Ray cluster, but Ray is missing: pip install 'sidelight[ray]'"
            raise LaunchFailed(message) from None
        except OSError as error:
            log.debug("the Ray cluster does not answer: %s", error)
            raise Unreachable(
                f"the Ray cluster at {self._address} does not answer: start it with "
                "`ray start --head`, or correct SIDELIGHT_RAY_ADDRESS"
            ) from None
        except Exception as error:  # Ray has many, and no kind of its own for them
            message = f"the Ray cluster at {self._address} refused: {_last_line(str(error))}"
            raise LaunchFailed(message) from error


class _Recent(Generic[T]):
    """The answer to a question that is not asked more often than every `seconds`."""

    def __init__(self, ask: Callable[[], T], seconds: float) -> None:
        self._ask, self._seconds = ask, seconds
        self._lock = threading.Lock()
        self._answer: T | LaunchFailed | None = None
        self._asked = -math.inf

    def __call__(self) -> T:
        """Raises LaunchFailed, again and again until it is asked anew."""
        with self._lock:
            if self._answer is None or time.monotonic() - self._asked > self._seconds:
                try:
                    self._answer = self._ask()
                except LaunchFailed as error:
                    self._answer = error
                self._asked = time.monotonic()
            if isinstance(self._answer, LaunchFailed):
                raise self._answer.with_traceback(None)
            return self._answer

    def forget(self) -> None:
        with self._lock:
            self._answer = None


def _after(submission: str, handle: str) -> str:
    """The id under which a job is submitted again: `handle.2`, then `handle.3` and so on."""
    return f"{handle}.{int(submission.removeprefix(handle).strip('.') or 1) + 1}"


def _newest(jobs: dict[str, Any], handle: str) -> str:
    submission = handle
    while (following := _after(submission, handle)) in jobs:
        submission = following
    return submission


def _stop_note(folder: Path, handle: str) -> Path:
    """A file that is there once a job has been stopped while it waited for its turn."""
    return folder / f"{handle}.stopped"


def _ending(details: Any) -> Status:
    """How a job ended, by Ray's word alone: its process left none, or none that is seen yet."""
    if details.status == "SUCCEEDED":
        return Status("done")
    if details.status == "STOPPED":
        return Status("cancelled", "it was stopped before it could say what it kept")
    said = _last_line(details.message or "")
    code = details.driver_exit_code
    if details.error_type == "JOB_ENTRYPOINT_COMMAND_ERROR" and code is not None:
        if code == EXIT_CANCELLED:
            return Status("cancelled")
        if code == EXIT_DISK_FULL:
            return Status("failed", "the disk is full: make room, then resume")
        if code < 0:
            reason = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            name = signal.Signals(-code).name
            return Status("interrupted", f"the process was ended by {name}{reason}")
        return Status("failed", f"{said or 'the process left no word'} (exit status {code})")
    if details.error_type in ("RUNTIME_ENV_SETUP_FAILURE", "JOB_ENTRYPOINT_COMMAND_START_ERROR"):
        return Status("failed", said)
    return Status("interrupted", f"Ray lost the job: {said.split('. ')[0]}")


def _last_line(text: str) -> str:
    """The last that has a word in it and is not Ray's own."""
    lines = [line.strip() for line in text.splitlines() if any(map(str.isalnum, line))]
    return next((line for line in reversed(lines) if not _is_of_ray(line)), "")


def _is_of_ray(line: str) -> bool:
    """Whether Ray itself put that line among what the job printed."""
    begins = ("Running entrypoint for job", "Job entrypoint command failed")
    return line.startswith(begins) or "job_manager.py:" in line


def _amount(number: float, kind: str) -> str:
    return f"{number:g} {kind}{'' if number == 1 else 's'}"
