"""A real Ray cluster on this machine, and jobs on it: a head, started and ended here.

It has two CPUs and one GPU, which is a pretence. Without Ray these tests are skipped, with a line
that says so.
"""

import importlib.util
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.jobs.launcher import OVER, Status
from app.jobs.ray_cluster import RayCluster, _Recent

START_TIMEOUT_S = 10  # Ray gives up on a job that has waited so long; by itself after 15 minutes

# Ray reads these once, when it is imported. Without them its ports are open to the network.
os.environ.setdefault("RAY_AUTH_MODE", "token")
os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):  # Ray prefers these to any other address
    os.environ.pop(name, None)


@dataclass
class RayHead:
    address: str  # of its job server
    cluster: str  # where drivers and nodes join
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start_head(folder: Path, output: Path, give_up_s: float = 900) -> RayHead:
    """A head that keeps to this machine, with its files in `folder`, whose path must be short.

    Ray gives up on a job that has waited for `give_up_s`.
    """
    port, joining = free_port(), free_port()
    # Ray takes 127.0.0.1 for a mistake and looks for an address that others can reach.
    on_linux = sys.platform == "linux"
    host = ["--node-ip-address=127.0.0.2"] if on_linux else []
    command = [
        *(str(Path(sys.executable).with_name("ray")), "start", "--head", "--block"),
        *("--num-cpus=2", "--num-gpus=1", "--object-store-memory=80000000", *host),
        *(f"--port={joining}", f"--ray-client-server-port={free_port()}"),
        *("--dashboard-host=127.0.0.1", f"--dashboard-port={port}"),
        *("--dashboard-agent-listen-port=0", "--disable-usage-stats", f"--temp-dir={folder}"),
    ]
    environment = os.environ | {"RAY_JOB_START_TIMEOUT_SECONDS": str(give_up_s)}
    with output.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file)
    where = "127.0.0.2" if on_linux else "127.0.0.1"
    return RayHead(f"http://127.0.0.1:{port}", f"{where}:{joining}", process)


def answers(head: RayHead) -> bool:
    return RayCluster(head.address).devices()[0].capacity is None


def end_head(head: RayHead) -> list[psutil.Process]:
    """Kill it with all that it started; its own way takes half a minute. Returns what is left."""
    with suppress(psutil.NoSuchProcess):
        leader = psutil.Process(head.process.pid)
        everyone = [leader, *leader.children(recursive=True)]
        for process in everyone:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        head.process.wait()
        return psutil.wait_procs(everyone, timeout=10)[1]
    return []


def processes_with(text: str) -> list[str]:
    """Command lines that name `text`."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            found.append(" ".join(process.cmdline()))
    return [line for line in found if text in line]


@pytest.fixture(scope="session")
def ray_head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayHead]:
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    folder = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))  # a socket's path is short
    output = tmp_path_factory.mktemp("ray") / "head.txt"
    head = start_head(folder, output, START_TIMEOUT_S)
    try:
        wait_for(lambda: answers(head), 120, output.read_text)
        yield head
    finally:
        left = end_head(head)
        shutil.rmtree(folder, ignore_errors=True)
    assert not left
    assert not processes_with(str(folder))


def wait_for(is_so: Callable[[], bool], seconds: float, story: Callable[[], object]) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, story()
        time.sleep(0.05)


class StandInCluster(RayCluster):
    """Runs a stand-in for `model.job`, which does what its specification says."""

    program = (str(Path(__file__).with_name("stand_in_job.py")),)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._jobs = _Recent(self._list_jobs, 0.1)  # a job's end is not waited for long


class Work:
    """Job folders, and jobs followed to where they are wanted; none goes on after the test."""

    def __init__(self, cluster: RayCluster, root: Path) -> None:
        self.cluster, self._root = cluster, root
        self._prefix = secrets.token_hex(3)
        self.running: list[tuple[Path, str]] = []

    def folder(self, name: str, **spec: object) -> Path:
        folder = self._root / f"{self._prefix} {name}"  # a space, for the shell to trip over
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps(spec))
        return folder

    def start(self, folder: Path) -> str:
        handle = self.cluster.start(folder, "ray")
        self.running.append((folder, handle))
        return handle

    def until(self, folder: Path, handle: str, *states: str, seconds: float = 60) -> Status:
        """Its status once it is in one of the states; over, if none is given."""
        status = Status("queued")

        def is_there() -> bool:
            nonlocal status
            status = self.cluster.status(folder, handle)
            assert not states or status.state not in OVER or status.state in states, status
            return status.state in (states or OVER)

        wait_for(is_there, seconds, lambda: (status, self.cluster.log(folder, handle)))
        return status

    def end_all(self) -> None:
        for folder, handle in self.running:
            (folder / "end").touch()
            self.cluster.kill(folder, handle)
        for folder, handle in self.running:
            self.until(folder, handle)


@pytest.fixture
def work_on_ray(ray_head: RayHead, tmp_path: Path) -> Iterator[Callable[..., Work]]:
    """Called with what `RayCluster` takes besides its address."""
    begun: list[Work] = []

    def begin(**options: Any) -> Work:
        begun.append(Work(StandInCluster(ray_head.address, **options), tmp_path))
        return begun[-1]

    yield begin
    for work in begun:
        work.end_all()
