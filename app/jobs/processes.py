"""Jobs as processes of this machine, each in a session of its own, to outlive the server."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import psutil

from app.jobs.identity import birth_of, is_of
from app.jobs.launcher import Device, LaunchFailed, Status
from app.settings import ROOT
from model.device import device_name, present_devices
from model.job import EXIT_DISK_FULL, read_outcome

LOG = "log.txt"
LOG_CHARACTERS = 100_000
LOG_BYTES = 10_000_000  # a longer one loses all but its end
SECRETS = {"SIDELIGHT_API_KEY"}  # no job is to know them
MARK = "SIDELIGHT_JOB"  # in the environment of a job's process and of what it starts: its folder


class Processes:
    """A `Launcher`. A handle is the process' id and when it was born: ids alone are used again."""

    def __init__(self, wanted: str = "auto") -> None:
        """`wanted`: `auto` for all devices of this machine, or some, with commas between them.

        Raises ValueError for one that is not there.
        """
        present = present_devices()
        chosen = present if wanted == "auto" else [name.strip() for name in wanted.split(",")]
        if unknown := [name for name in chosen if name not in present]:
            raise ValueError(f"there is no {unknown[0]!r} here, only {', '.join(present)}")
        self._devices = [Device(name, device_name(name)) for name in chosen]
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def devices(self) -> list[Device]:
        return self._devices

    def start(self, folder: Path, device: str) -> str:
        command = [sys.executable, "-m", "model.job", str(folder / "spec.json")]
        try:
            with (folder / LOG).open("ab") as log:
                child = subprocess.Popen(
                    command,
                    cwd=ROOT,
                    env=_environment(device) | {MARK: str(folder)},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            handle = f"{child.pid} {birth_of(child.pid)}"
        except (OSError, psutil.Error) as error:
            raise LaunchFailed(f"the process could not be started: {error}") from error
        self._children[handle] = child
        return handle

    def status(self, folder: Path, handle: str) -> Status:
        self._wait_for_the_dead()
        if self._process(handle):
            _keep_short(folder / LOG)
            return Status("running")
        child = self._children.get(handle)
        if child is None:
            _kill_marked(_pid(handle), folder)
        code = child.returncode if child else None
        if outcome := read_outcome(folder):
            return Status(outcome.state, outcome.message)
        if code == EXIT_DISK_FULL:
            return Status("failed", "the disk is full: make room, then resume")
        if code is not None and code > 0:
            return Status("failed", f"{self._last_line(folder)} (exit status {code})")
        if code is not None and code < 0:
            name = signal.Signals(-code).name
            reason = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            return Status("interrupted", f"the process was ended by {name}{reason}")
        return Status("interrupted", "the process is gone")

    def stop(self, folder: Path, handle: str) -> None:
        if process := self._process(handle):
            with suppress(psutil.Error):  # it has come to its end just now
                process.terminate()

    def kill(self, folder: Path, handle: str) -> None:
        if process := self._process(handle):
            _kill_session(process.pid)

    def log(self, folder: Path, handle: str) -> str:
        return read_end(folder / LOG)

    def _process(self, handle: str) -> psutil.Process | None:
        """The process while it lives; one that is dead but not yet waited for lives no more."""
        pid = _pid(handle)
        try:
            process = psutil.Process(pid)
            is_it = is_of(handle.split(" ", 1)[1], pid)
            return process if is_it and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.Error:
            return None

    def _wait_for_the_dead(self) -> None:
        """Also for those whose end another server has noted: nobody else can."""
        for handle, child in self._children.items():
            if child.returncode is None and not self._process(handle):
                child.wait()
                _kill_session(child.pid)  # what it started must not outlive it

    def _last_line(self, folder: Path) -> str:
        lines = read_end(folder / LOG).strip().splitlines()
        return lines[-1] if lines else "the process failed and left no word"


def read_end(path: Path) -> str:
    """The last part of a text file; nothing where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LOG_CHARACTERS))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _pid(handle: str) -> int:
    return int(handle.split(maxsplit=1)[0])


def _keep_short(log: Path) -> None:
    """Cut a log that grows without end; its process goes on writing behind what is left."""
    with suppress(OSError):
        size = log.stat().st_size
        if size > LOG_BYTES:
            end = read_end(log)
            words = f"[{size:,} bytes were too many for a log; this is what came last]\n"
            with log.open("r+b") as file:  # the process appends, wherever the end is
                file.truncate(0)
                file.write((words + end).encode())


def _environment(device: str) -> dict[str, str]:
    """The process sees only its own GPU, as the first one, or none; and no key of the server's."""
    kind, _, number = device.partition(":")
    visible = ""
    if kind == "cuda":
        known = os.environ.get("CUDA_VISIBLE_DEVICES")
        visible = known.split(",")[int(number or 0)] if known else number or "0"
    inherited = {name: value for name, value in os.environ.items() if name not in SECRETS}
    return inherited | {"CUDA_VISIBLE_DEVICES": visible, "PYTHONUNBUFFERED": "1"}


def _kill_session(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _kill_marked(leader: int, folder: Path) -> None:
    """End what is left of a session whose leader died while no server looked.

    By now all ids may be somebody else's: what has the job's mark in its environment is its own.
    """
    for pid in psutil.pids():
        with suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader and _is_marked(pid, folder):
                os.kill(pid, signal.SIGKILL)


def _is_marked(pid: int, folder: Path) -> bool:
    return psutil.Process(pid).environ().get(MARK) == str(folder)
