"""Jobs on a machine where clocks jump, GPUs vanish, and processes do as they please."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import torch

from app.errors import UnknownJob
from app.jobs import processes as processes_module
from app.jobs import queue as queue_module
from app.jobs.identity import birth_of, is_of
from app.jobs.launcher import Device, Status
from app.jobs.processes import MARK, Processes
from app.jobs.queue import JobQueue
from app.jobs.store import now
from model import device as device_module
from model.device import DeviceSilent, device_memory, device_name
from tests.conftest import wait_until
from tests.test_queue import Pretended, job


@contextmanager
def queue_with(launcher: Pretended, root: Path) -> Iterator[JobQueue]:
    queue = JobQueue(launcher, root / "data", root / "checkpoints", str)
    queue.start()
    try:
        yield queue
    finally:
        queue.close()


@contextmanager
def process(*code: str, **options: object) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "\n".join(code)], **options) as child:
        try:
            yield child
        finally:
            child.kill()


def other_cpu() -> Pretended:
    return Pretended(Device("cpu", "cpu"))


# Clocks


@pytest.mark.parametrize("hours", [-30, 30])
def test_a_clock_that_jumps_makes_a_living_job_no_dead_one(tmp_path, monkeypatch, hours) -> None:
    with process("input()", stdin=subprocess.PIPE) as child:
        handle = f"{child.pid} {birth_of(child.pid)}"
        told = psutil.Process.create_time

        def jumped(process: psutil.Process) -> float:
            return told(process) + 3600 * hours

        monkeypatch.setattr(psutil.Process, "create_time", jumped)
        monkeypatch.setattr(time, "time", lambda t=time.time: t() + 3600 * hours)
        assert Processes("cpu").status(tmp_path, handle) == Status("running")


def test_an_id_that_is_used_again_is_another_process() -> None:
    with process("input()", stdin=subprocess.PIPE) as child:
        birth = birth_of(child.pid)
        ticks, _, boot = birth.partition("@")
        assert is_of(birth, child.pid)
        assert not is_of(f"{int(ticks) - 1}@{boot}", child.pid)
        assert not is_of(f"{ticks}@another-start-of-the-machine", child.pid)
        assert is_of(str(psutil.Process(child.pid).create_time()), child.pid), "an older server's"
        assert not is_of("0.0", child.pid) and not is_of("garbage", child.pid)
    assert not is_of(birth, child.pid)


@pytest.mark.parametrize("hours", [-30, 0, 30])
def test_a_stopping_job_has_its_time_whatever_the_clock_says(tmp_path, monkeypatch, hours) -> None:
    monkeypatch.setattr(queue_module, "STOP_S", 0.8)
    monkeypatch.setattr(queue_module, "LOOK_S", 0.02)
    monkeypatch.setattr(
        queue_module, "now", lambda: (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    )
    launcher = other_cpu()
    killed: list[float] = []
    launcher.kill = lambda *_: killed.append(time.monotonic())  # type: ignore[method-assign]
    with queue_with(launcher, tmp_path) as queue:
        (made,) = queue.submit([job("run")])
        wait_until(lambda: launcher.running)
        queue.cancel(made.id)
        asked = time.monotonic()
        wait_until(lambda: killed)
        assert killed[0] - asked > 0.4
        assert queue.job(made.id).state == "running", "until it is dead"
        launcher.end(made.id, Status("interrupted", "gone"))
        wait_until(lambda: queue.job(made.id).state == "cancelled")


def test_a_job_whose_start_was_cut_short_is_given_up(tmp_path, monkeypatch) -> None:
    """A server was killed between its note that the job runs, and the handle."""
    monkeypatch.setattr(queue_module, "STARTING_S", 0.2)
    monkeypatch.setattr(queue_module, "LOOK_S", 0.02)
    launcher = other_cpu()
    with queue_with(launcher, tmp_path) as queue:
        (first, made) = queue.submit([job("first"), job("run")])
        wait_until(lambda: launcher.running)
        queue.store.change(made.id, state="running", started="2999-01-01T00:00:00+00:00")
        wait_until(lambda: queue.job(made.id).state == "interrupted")
        assert "the server stopped while it was starting" in queue.job(made.id).message
        assert queue.job(first.id).state == "running"


# GPUs


def test_a_job_for_a_gpu_that_is_gone_waits_and_says_so(tmp_path) -> None:
    gpu = Pretended(Device("cuda:0", "A GPU"), Device("cpu", "cpu"))
    with queue_with(gpu, tmp_path) as queue:
        busy, waits = queue.submit([job("busy", "cuda:0"), job("waits", "cuda:0")])
        wait_until(lambda: gpu.running)
    without = other_cpu()
    without.ended[busy.id] = Status("failed", "the GPU failed: it fell off the bus")
    with queue_with(without, tmp_path) as queue:
        wait_until(lambda: "not here now" in queue.job(waits.id).message)
        message = queue.job(waits.id).message
        assert "'cuda:0'" in message and "there are cpu" in message and "cancel" in message
        assert queue.job(waits.id).state == "queued"
        wait_until(lambda: queue.job(busy.id).state == "failed")
        (other,) = queue.submit([job("other")])
        wait_until(lambda: other.id in without.running, 5)  # nobody waits behind it
    with queue_with(Pretended(Device("cuda:0", "A GPU")), tmp_path) as queue:
        wait_until(lambda: queue.job(waits.id).state == "running")
        assert queue.job(waits.id).message == ""


def test_a_gpu_that_does_not_answer_is_named(monkeypatch) -> None:
    def silent(*_: object) -> None:
        raise RuntimeError("CUDA error: unknown error\nCUDA kernel errors might be …\n")

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", silent)
    monkeypatch.setattr(torch.cuda, "get_device_properties", silent)
    assert device_name("cuda:0") == "cuda:0, which does not answer"
    with pytest.raises(DeviceSilent, match="^cuda:0 does not answer: CUDA error: unknown error$"):
        device_memory("cuda:0")
    assert [each.id for each in Processes("auto").devices()] == ["cuda:0", "cpu"]
    assert device_module.first_line(RuntimeError()) == "RuntimeError"


def test_a_gpu_that_breaks_while_it_trains_is_told(tmp_path, monkeypatch) -> None:
    from model import job as job_module
    from model.job import JobSpec
    from tests.training_fixtures import plan_of

    def breaks(*_: object) -> bool:
        raise RuntimeError("CUDA error: an illegal memory access\nFor debugging consider …")

    monkeypatch.setattr(job_module, "_train", breaks)
    spec = JobSpec(plan=plan_of(), folder=tmp_path / "run", corpus="x", corpus_name="x")
    (tmp_path / "spec.json").write_text(spec.model_dump_json())
    outcome, status = job_module._outcome_of(tmp_path, lambda: False)
    assert (outcome.state, status) == ("failed", 1)
    assert outcome.message == "the GPU failed: CUDA error: an illegal memory access"


# Processes


def test_a_job_that_prints_without_end_fills_no_disk(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(processes_module, "LOG_BYTES", 300_000)
    path = tmp_path / "log.txt"
    with (
        path.open("ab") as log,
        process("while True: print('x' * 999)", stdout=log) as child,
    ):
        handle, launcher = f"{child.pid} {birth_of(child.pid)}", Processes("cpu")
        printed = 0
        for _ in range(5):
            wait_until(lambda: path.stat().st_size > 300_000)
            printed += path.stat().st_size
            assert launcher.status(tmp_path, handle) == Status("running")
        os.kill(child.pid, signal.SIGSTOP)
        wait_until(lambda: psutil.Process(child.pid).status() == psutil.STATUS_STOPPED)
        launcher.status(tmp_path, handle)
        assert path.stat().st_size < 300_000 < printed
        assert b"\0" not in path.read_bytes()
        assert "bytes were too many for a log" in path.read_text().splitlines()[0]


def test_what_a_dead_job_has_started_is_ended_by_the_next_server(tmp_path) -> None:
    """Its server was killed with it; nobody else knows of what they left."""
    code = (
        "import subprocess, sys, time",
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])",
        "print(child.pid, flush=True)",
        "time.sleep(600)",
    )
    marked = os.environ | {MARK: str(tmp_path)}
    options = {"env": marked, "stdout": subprocess.PIPE, "start_new_session": True}
    with process(*code, **options) as leader:
        assert leader.stdout is not None
        stray = psutil.Process(int(leader.stdout.readline()))
        handle = f"{leader.pid} {birth_of(leader.pid)}"
        leader.kill()
        leader.wait()
        assert stray.is_running()
        elsewhere = tmp_path / "other"
        assert Processes("cpu").status(elsewhere, handle).state == "interrupted"
        assert stray.is_running(), "it is not another job's"
        assert Processes("cpu").status(tmp_path, handle).state == "interrupted"
        wait_until(lambda: not stray.is_running() or stray.status() == psutil.STATUS_ZOMBIE)


@pytest.mark.slow
@pytest.mark.usefixtures("jobs_begin_at_once")
def test_nobody_stays_unburied(tmp_path) -> None:
    """A job's end may have been noted by another server, which cannot wait for its process."""
    launcher = Processes("cpu")
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "spec.json").write_text("{")
    launcher.start(tmp_path / "first", "cpu")
    second = launcher.start(tmp_path / "second", "cpu")
    wait_until(lambda: launcher.status(tmp_path / "second", second).state == "failed", 30)
    wait_until(
        lambda: (
            launcher.status(tmp_path / "second", second)
            and all(child.returncode is not None for child in launcher._children.values())
        ),
        30,
    )


# Folders


@pytest.mark.parametrize("garbage", ["a file", "outcome", "spec", "text"])
def test_a_job_s_folder_with_garbage_is_used_or_fails_by_itself(tmp_path, garbage) -> None:
    launcher = other_cpu()
    queue = JobQueue(launcher, tmp_path / "data", tmp_path / "checkpoints", str)
    (made,) = queue.submit([job("run")])
    (after,) = queue.submit([job("after")])
    folder = queue.folder_of(made)
    match garbage:
        case "a file":
            folder.write_text("not a folder")
        case "outcome":
            (folder / "outcome.json").mkdir(parents=True)
        case "spec":
            (folder / "spec.json").mkdir(parents=True)
        case _:
            folder.mkdir()
            for name in ("outcome.json", "progress.json", "spec.json", "log.txt", "x"):
                (folder / name).write_bytes(b"\xff\x00garbage")
    queue.start()
    try:
        if garbage == "text":
            wait_until(lambda: made.id in launcher.running)
            assert not (folder / "outcome.json").exists()
            launcher.end(made.id, Status("done"))
        else:
            wait_until(lambda: queue.job(made.id).state == "failed")
            assert queue.job(made.id).message
        wait_until(lambda: after.id in launcher.running)
        queue.remove(made.id)
        queue.log(after.id)
    finally:
        queue.close()


def test_a_job_is_forgotten_while_its_log_is_read(tmp_path) -> None:
    queue = JobQueue(Processes("cpu"), tmp_path / "data", tmp_path / "checkpoints", str)
    (made,) = queue.submit([job("run")])
    queue.store.change(made.id, state="failed", handle="1 0", ended=now())
    folder = queue.folder_of(made)
    folder.mkdir()
    (folder / "log.txt").write_text("a line\n" * 20_000)
    read: list[str] = []
    gone = threading.Event()

    def keep_reading() -> None:
        while True:
            try:
                read.append(queue.log(made.id))
            except UnknownJob:
                return gone.set()

    threads = [threading.Thread(target=keep_reading, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(read) > 20)
    queue.remove(made.id)
    assert gone.wait(5)
    for thread in threads:
        thread.join(5)
    assert read and not folder.exists()
    assert all(not text or text.endswith("a line\n") for text in read)
    queue.close()
