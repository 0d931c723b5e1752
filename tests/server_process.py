"""The server as a process of its own, to be stopped, killed and started again.

As a program, `python -m tests.server_process TRICK,… ARGUMENTS`, it is the `sidelight` command with
a machine that has become worse by the tricks.
"""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from tests.conftest import wait_until
from tests.training_fixtures import TEXT

ROOT = Path(__file__).resolve().parents[1]
START_S = 60  # beside other tests; a server alone takes about two


class ServerProcess:
    """`sidelight serve` on a free port."""

    def __init__(self, root: Path, *tricks: str, **settings: object) -> None:
        """`root` has or gets the folders `checkpoints` and `data`."""
        self.data = root / "data"
        given = {"checkpoints": root / "checkpoints", "data": self.data, **settings}
        own = {f"SIDELIGHT_{name.upper()}": str(value) for name, value in given.items()}
        self._errors = root / "stderr.txt"
        with self._errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.server_process", ",".join(tricks), "serve"],
                cwd=ROOT,
                env=os.environ | {"SIDELIGHT_PORT": "0"} | own,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        began = time.monotonic()
        self.url = self._address()
        self.http = httpx.Client(base_url=self.url, timeout=30)
        wait_until(lambda: self.http.get("/readyz").status_code != 503, START_S)
        self.ready_after_s = time.monotonic() - began

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.process.kill()
        self.process.communicate()

    @property
    def errors(self) -> str:
        """All that it and those before it have said on stderr."""
        return self._errors.read_text()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> float:
        """Ask it to stop and wait; returns how long that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(30)
        return time.monotonic() - began

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def _address(self) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if " at http" in line:
                return line.split(" at ")[1].split()[0]
        raise AssertionError(f"the server did not start: {self.errors}")


def begin_job(server: ServerProcess, run_id: str = "made", **train: Any) -> str:
    """A job that trains a tiny run for longer than any test lasts, if `train` says nothing else."""
    text = server.http.post("/api/corpora", content=TEXT.encode() * 20)
    config = {
        "model": {"kind": "gpt", "block_size": 16, "n_layer": 1, "n_head": 1, "n_embd": 8},
        "train": {"max_iters": 1_000_000, "batch_size": 4, "eval_interval": 100} | train,
    }
    asked = {"config": config, "run_id": run_id, "corpus": text.json()["id"]}
    made = server.http.post("/api/jobs", json=asked)
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


def job_process(data: Path, id: str) -> psutil.Process | None:
    """That of a job of the server with that data; None once it is over."""
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("SIDELIGHT_JOB") == str(data / "jobs" / id):
            return process
    return None


def end_jobs(root: Path) -> None:
    """They outlive their server."""
    for process in psutil.process_iter(["environ"]):
        if (process.info["environ"] or {}).get("SIDELIGHT_JOB", "").startswith(str(root)):
            process.kill()


def write_slowly() -> None:
    """So that a text lasts for as long as a test needs."""
    from model.cpu_batch import CpuBatch

    write = CpuBatch._write

    def slow_write(batch: CpuBatch, *given: object) -> None:
        time.sleep(0.02)
        write(batch, *given)

    CpuBatch._write = slow_write


def read_for_ever() -> None:
    """So that a request for attention lasts longer than anybody waits."""
    from app.reading import Reader

    Reader.read = lambda *_: time.sleep(600)


def have_little_memory() -> None:
    """What is there when the server is ready, and a little more."""
    from app import serving

    startup = serving.Server.startup

    def limit() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + 150 * 10**6
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    async def start_and_limit(*given: Any, **named: Any) -> None:
        await startup(*given, **named)
        limit()

    serving.Server.startup = start_and_limit


TRICKS = {
    "slow-writing": write_slowly,
    "endless-reading": read_for_ever,
    "little-memory": have_little_memory,
}


if __name__ == "__main__":
    from app.cli import cli

    _, tricks, *arguments = sys.argv
    for trick in filter(None, tricks.split(",")):
        TRICKS[trick]()
    cli(arguments, prog_name="sidelight")
