"""What the queue asks of the place where jobs run: processes on this machine, or a Ray cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

State = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]
RESUMABLE: tuple[State, ...] = ("failed", "cancelled", "interrupted")
OVER: tuple[State, ...] = ("done", *RESUMABLE)


@dataclass(frozen=True)
class Device:
    """A place for `capacity` jobs at a time; None where the place keeps a queue of its own."""

    id: str  # "cpu", "mps", "cuda:0", "ray"
    name: str  # as a person knows it
    capacity: int | None = 1

    @property
    def kind(self) -> str:
        """The id without the number that one of several has."""
        return self.id.split(":")[0]


@dataclass(frozen=True)
class Status:
    """What became of a started job; `message` says why, and what to do about it."""

    state: State
    message: str = ""


class Launcher(Protocol):
    """A started job is known by its handle, a text that survives a restart of the server.

    Each job has a folder with its `spec.json`; the process that `start` begins runs
    `python -m model.job <folder>/spec.json` and leaves `outcome.json` there when it ends.
    """

    def devices(self) -> list[Device]:
        """Where jobs can run, the one that is taken by itself first."""

    def start(self, folder: Path, device: str) -> str:
        """Begin the job of that folder; returns its handle. Raises LaunchFailed."""

    def status(self, folder: Path, handle: str) -> Status:
        """How it is. May take a moment; called often."""

    def stop(self, folder: Path, handle: str) -> None:
        """Ask it to keep what it has and to end; returns at once."""

    def kill(self, folder: Path, handle: str) -> None:
        """End it and whatever it started, at once."""

    def log(self, folder: Path, handle: str) -> str:
        """What it printed."""


class LaunchFailed(Exception):
    """A job could not be begun; the text says why."""
