"""Jobs that begin at once, for the tests of what jobs do: most of a short one is Python and torch.

They are real processes all the same, forked from one that has imported what a job needs.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
REAP_S = 0.02


class Nursery:
    """Stands in for the module `subprocess` where jobs are started."""

    DEVNULL, STDOUT = subprocess.DEVNULL, subprocess.STDOUT

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.job_fixtures"]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._lock = threading.Lock()

    def ask(self, **request: Any) -> int:
        with self._lock:
            print(json.dumps(request), file=self._process.stdin, flush=True)
            return int(self._process.stdout.readline())

    def Popen(  # noqa: N802
        self,
        command: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        stdout: IO[bytes],
        stdin: int,
        stderr: int,
        start_new_session: bool,
    ) -> "Child":
        *python, spec = command
        assert python == [sys.executable, "-m", "model.job"]
        assert start_new_session and (stdin, stderr) == (self.DEVNULL, self.STDOUT)
        return Child(self, self.ask(spec=spec, cwd=str(cwd), env=env, log=stdout.name))

    def close(self) -> None:
        """What it has begun goes on."""
        self._process.communicate(timeout=60)


class Child:
    """What is used of a `Popen`."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self._nursery, self.pid = nursery, pid
        self.returncode: int | None = None

    def wait(self) -> int:
        self.returncode = self._nursery.ask(wait=self.pid)
        return self.returncode


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def jobs_begin_at_once(nursery: Nursery) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("app.jobs.processes.subprocess", nursery)
        yield


@pytest.fixture
def jobs_begin_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """For a test among others with `jobs_begin_at_once`."""
    monkeypatch.setattr("app.jobs.processes.subprocess", subprocess)


# The process that they are forked from. It has one thread, and waits at once for whoever ends.


def serve() -> None:
    import_what_a_job_needs()
    ended: dict[int, int] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ)
        while True:
            reap(ended)
            if not selector.select(REAP_S):
                continue
            line = sys.stdin.readline()
            if not line:
                return
            request = json.loads(line)
            print(answer(request, ended), flush=True)


def answer(request: dict[str, Any], ended: dict[int, int]) -> int:
    """The id of a new process, or the exit status of one that is over or about to be."""
    if "spec" in request:
        return begin(**request)
    while request["wait"] not in ended:
        time.sleep(REAP_S)
        reap(ended)
    return ended.pop(request["wait"])


def reap(ended: dict[int, int]) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            ended[pid] = os.waitstatus_to_exitcode(status)


def begin(spec: str, cwd: str, env: dict[str, str], log: str) -> int:
    """Fork, and be in the child what `python -m model.job SPEC` is."""
    if pid := os.fork():
        return pid
    status = 1
    try:
        os.setsid()
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        for path, mode, numbers in ((os.devnull, os.O_RDONLY, [0]), (log, os.O_WRONLY, [1, 2])):
            opened = os.open(path, mode | os.O_APPEND)
            for number in numbers:
                os.dup2(opened, number)
            os.close(opened)
        from model import job

        status = job.main(spec)
        sys.stdout.flush()
    except BaseException:  # noqa: BLE001 it must not come back as a second nursery
        traceback.print_exc()
    finally:
        os._exit(status)


def import_what_a_job_needs() -> None:
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    import torch
    import torch._dynamo  # optimizers import it at their first step

    import model.job
    import model.starting
    import model.training  # noqa: F401
    from model.config import GPTConfig
    from model.decoding import generate
    from model.families import build_model

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # none may run here: a fork would have them in name only
    tiny = build_model(GPTConfig(vocab_size=2, block_size=2, n_layer=1, n_head=1, n_embd=2))
    list(generate(tiny, [0], 1))  # numba imports most of itself at the first call
    torch.set_num_threads(threads)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is for the tests
    serve()
