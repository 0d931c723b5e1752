"""A place for jobs where nothing is trained: a test says what becomes of each."""

from pathlib import Path

from app.jobs.launcher import Device, LaunchFailed, Status


class FakeLauncher:
    """A job runs until the test ends it or it is told to stop; the handle is its id."""

    def __init__(self) -> None:
        self._ended: dict[str, Status] = {}

    def end(self, id: str, status: Status) -> None:
        self._ended[id] = status

    def devices(self) -> list[Device]:
        return [Device("cpu", "CPU")]

    def start(self, folder: Path, device: str) -> str:
        self._ended.pop(folder.name, None)
        return folder.name

    def status(self, folder: Path, handle: str) -> Status:
        return self._ended.get(handle, Status("running"))

    def stop(self, folder: Path, handle: str) -> None:
        self._ended[handle] = Status("cancelled", "it was told to")

    def kill(self, folder: Path, handle: str) -> None:
        self.stop(folder, handle)

    def log(self, folder: Path, handle: str) -> str:
        return f"the log of {handle}\n"


class NothingStarts(FakeLauncher):
    """Every job fails at once, so that all its streams come to their end."""

    def start(self, folder: Path, device: str) -> str:
        raise LaunchFailed("nothing is started here")
