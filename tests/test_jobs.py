"""Jobs as real processes: their order, their ends, and what is left after each kind of trouble."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from app.errors import Conflict, UnknownJob
from app.jobs.launcher import Status
from app.jobs.processes import Processes
from app.jobs.queue import JobQueue, new_id
from app.jobs.store import Job, now
from model.config import TrainConfig
from model.job import JobSpec, read_outcome
from model.run_folder import RunFolder
from tests.conftest import wait_until
from tests.training_fixtures import FAST, SMALL, TEXT, go, plan_of, untimed

ROOT = Path(__file__).resolve().parents[1]
ENDLESS = TrainConfig(max_iters=10_000_000, batch_size=8, eval_interval=50, snapshots=40)
SLOW = 90  # seconds: a process imports torch first, beside others that do the same

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("jobs_begin_at_once")]


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text(TEXT)
    return path


@contextmanager
def queue_in(root: Path, text: Path) -> Iterator[JobQueue]:
    queue = JobQueue(Processes("cpu"), root / "data", root / "checkpoints", lambda _: str(text))
    queue.start()
    try:
        yield queue
    finally:
        queue.close()


@pytest.fixture
def queue(tmp_path: Path, text: Path) -> Iterator[JobQueue]:
    with queue_in(tmp_path, text) as queue:
        yield queue
        end_all(queue)


def end_all(queue: JobQueue) -> None:
    for job in queue.store.active_jobs():
        queue.cancel(job.id)
    wait_until(lambda: not queue.store.active_jobs(), SLOW)


def job(run_id: str = "run", train: TrainConfig = FAST, model=SMALL) -> Job:
    plan = plan_of(run_id, model, train)
    return Job(id=new_id(), plan=plan, corpus="text", params=1, created=now())


def process_of(queue: JobQueue, id: str) -> psutil.Process:
    wait_until(lambda: queue.job(id).handle is not None, SLOW)
    return psutil.Process(int((queue.job(id).handle or "").split()[0]))


def trained_for_a_while(queue: JobQueue, id: str) -> RunFolder:
    """Wait until there is something to go on from."""
    folder = queue.run_of(queue.job(id))
    wait_until(lambda: len(folder.read_metrics()) > 2 and folder.state.exists(), SLOW)
    return folder


def state_of(queue: JobQueue, id: str) -> str:
    return queue.job(id).state


def wait_for(queue: JobQueue, id: str, *states: str) -> Job:
    wait_until(lambda: state_of(queue, id) in states, SLOW)
    return queue.job(id)


@pytest.mark.usefixtures("jobs_begin_as_ever", "short_samples")
def test_a_job_makes_the_run_that_the_trainer_makes(queue, corpus, tmp_path) -> None:
    (made,) = queue.submit([job()])
    wait_for(queue, made.id, "done")
    folder = queue.run_of(made)
    by_hand = RunFolder(tmp_path / "by-hand" / "run")
    go(by_hand, plan_of(), corpus)
    assert untimed(folder) == untimed(by_hand)
    assert folder.is_finished()
    assert "step 40" in queue.log(made.id)


def test_one_job_at_a_time_in_order(queue) -> None:
    jobs = queue.submit([job(f"run-{i}") for i in range(3)])
    most = 0

    def all_done() -> bool:
        nonlocal most
        states = [state_of(queue, each.id) for each in jobs]
        most = max(most, states.count("running"))
        return set(states) == {"done"}

    wait_until(all_done, 3 * SLOW)
    assert most == 1
    starts = [queue.job(each.id).started for each in jobs]
    assert starts == sorted(starts)


def test_a_waiting_job_is_cancelled_at_once_and_never_begins(queue) -> None:
    first, second = queue.submit([job("first", ENDLESS), job("second")])
    wait_for(queue, first.id, "running")
    assert queue.cancel(second.id).state == "cancelled"
    with pytest.raises(Conflict, match="is over already"):
        queue.cancel(second.id)
    assert not queue.run_of(second).path.exists()


@pytest.mark.usefixtures("short_samples")
def test_a_cancelled_job_keeps_what_it_has_and_goes_on(queue, corpus, tmp_path) -> None:
    train = FAST.model_copy(update={"max_iters": 1500, "eval_interval": 100})
    (made,) = queue.submit([job(train=train)])
    folder = trained_for_a_while(queue, made.id)
    process = process_of(queue, made.id)
    queue.cancel(made.id)
    over = wait_for(queue, made.id, "cancelled")
    assert "resume" in over.message and not process.is_running()
    assert folder.state.exists() and folder.load_model(folder.snapshot_steps()[-1])
    queue.resume(made.id)
    wait_for(queue, made.id, "done")
    assert queue.job(made.id).attempt == 2
    unbroken = RunFolder(tmp_path / "unbroken" / "run")
    go(unbroken, plan_of(train=train), corpus)
    assert untimed(folder) == untimed(unbroken)
    with pytest.raises(Conflict, match="is done"):
        queue.resume(made.id)


def test_a_killed_job_is_interrupted_and_goes_on(queue) -> None:
    (made,) = queue.submit([job(train=ENDLESS)])
    folder = trained_for_a_while(queue, made.id)
    process_of(queue, made.id).send_signal(signal.SIGKILL)
    over = wait_for(queue, made.id, "interrupted")
    assert "SIGKILL" in over.message and "resume" in over.message
    kept = folder.read_metrics()
    assert kept and folder.load_model(folder.snapshot_steps()[-1])
    at = folder.state.read().step
    queue.resume(made.id)
    wait_until(lambda: (folder.read_metrics() or kept)[-1].step > kept[-1].step, SLOW)
    again = {metric.step: metric.val_loss for metric in folder.read_metrics()}
    assert at > 0 and all(again[metric.step] == metric.val_loss for metric in kept)
    assert not [path for path in folder.path.rglob(".*") if path.name.startswith(".")]


def test_a_job_outlives_the_server_and_is_followed_by_the_next(tmp_path, text) -> None:
    with queue_in(tmp_path, text) as first:
        (made,) = first.submit([job(train=ENDLESS)])
        folder = trained_for_a_while(first, made.id)
        process = process_of(first, made.id)
    steps = len(folder.read_metrics())
    wait_until(lambda: len(folder.read_metrics()) > steps + 2, SLOW)  # nobody needs to look
    with queue_in(tmp_path, text) as second:
        assert state_of(second, made.id) == "running"
        second.cancel(made.id)
        wait_for(second, made.id, "cancelled")
    assert not psutil.pid_exists(process.pid) or process.status() == psutil.STATUS_ZOMBIE


def test_a_job_that_died_while_no_server_looked_is_interrupted(tmp_path, text) -> None:
    with queue_in(tmp_path, text) as first:
        (made,) = first.submit([job(train=ENDLESS)])
        trained_for_a_while(first, made.id)
        process = process_of(first, made.id)
    process.kill()
    process.wait()
    with queue_in(tmp_path, text) as second:
        over = wait_for(second, made.id, "interrupted")
    assert "the process is gone" in over.message


def test_a_foreign_process_with_the_same_id_is_not_taken_for_the_job(tmp_path) -> None:
    own = psutil.Process()
    handle = f"{own.pid} {own.create_time() - 100}"
    assert Processes("cpu").status(tmp_path, handle) == Status("interrupted", "the process is gone")


def test_a_deleted_folder_fails_the_job_and_is_not_made_again(queue) -> None:
    (made,) = queue.submit([job(train=ENDLESS)])
    folder = trained_for_a_while(queue, made.id)
    shutil.rmtree(folder.path, ignore_errors=True)
    while folder.path.exists():  # a file was being written
        shutil.rmtree(folder.path, ignore_errors=True)
    over = wait_for(queue, made.id, "failed")
    assert "folder was deleted" in over.message
    assert not folder.path.exists()


def test_a_text_that_vanished_fails_the_job_by_its_name(queue, text) -> None:
    text.unlink()
    (made,) = queue.submit([job()])
    over = wait_for(queue, made.id, "failed")
    assert "there is no text file" in over.message and not queue.run_of(made).path.exists()


def test_a_changed_text_is_not_gone_on_with(queue, text) -> None:
    (made,) = queue.submit([job(train=ENDLESS)])
    trained_for_a_while(queue, made.id)
    queue.cancel(made.id)
    wait_for(queue, made.id, "cancelled")
    text.write_text(TEXT + "More.")
    queue.resume(made.id)
    assert "has changed" in wait_for(queue, made.id, "failed").message


def test_a_run_that_exists_is_not_trained_over(queue) -> None:
    queue.run_of(job("there")).create()
    with pytest.raises(Conflict, match="'there'") as taken:
        queue.submit([job("new"), job("there")])
    assert taken.value.param == "run_id"
    assert queue.store.jobs() == [], "all or none"
    queue.submit([job("once", ENDLESS)])
    with pytest.raises(Conflict, match="'once'"):
        queue.submit([job("once")])


def test_a_job_that_is_over_can_be_forgotten(queue) -> None:
    (made,) = queue.submit([job()])
    wait_for(queue, made.id, "running", "done")
    if state_of(queue, made.id) == "running":
        with pytest.raises(Conflict, match="cancel it first"):
            queue.remove(made.id)
    wait_for(queue, made.id, "done")
    queue.remove(made.id)
    with pytest.raises(UnknownJob, match=made.id):
        queue.job(made.id)
    assert queue.run_of(made).is_finished() and not queue.folder_of(made).exists()


# The process alone


def run_process(folder: Path, text: Path, checkpoints: Path, train=FAST, model=SMALL, **options):
    """`python -m model.job`, to its end."""
    folder.mkdir(parents=True)
    spec = JobSpec(
        plan=plan_of("run", model, train),
        folder=checkpoints / "run",
        corpus=str(text),
        corpus_name="text",
        device="cpu",
    )
    (folder / "spec.json").write_text(spec.model_dump_json())
    command = [sys.executable, "-m", "model.job", str(folder / "spec.json")]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=200, check=False, **options
    )


@pytest.mark.usefixtures("short_samples")
def test_a_full_disk_is_said_and_nothing_is_torn(tmp_path, text, corpus) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to be root and to mount a small disk")
    try:
        wide = SMALL.model_copy(update={"n_embd": 48})
        often = FAST.model_copy(update={"snapshots": 40})
        ended = run_process(disk / "job", text, disk / "checkpoints", often, wide)
        assert ended.returncode == 28, ended.stdout
        assert "the disk is full: make room, then resume" in ended.stdout
        run = RunFolder(disk / "checkpoints" / "run")
        assert run.snapshot_steps() and not run.is_finished()
        for step in run.snapshot_steps():
            assert run.load_model(step)
        assert not [path for path in run.path.rglob("*") if path.name.startswith(".")]
        status = Processes("cpu").status(disk / "job", "1 0")
        assert status.state in ("failed", "interrupted")
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        assert go(run, plan_of("run", wide, often), corpus), "with more room it goes on"
        assert run.is_finished()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_too_little_memory_is_said(tmp_path, text) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (3 * 2**30, 3 * 2**30))

    huge = SMALL.model_copy(update={"n_embd": 8192, "mlp_ratio": 16.0})
    ended = run_process(tmp_path / "job", text, tmp_path / "ck", model=huge, preexec_fn=limit)
    outcome = read_outcome(tmp_path / "job")
    assert ended.returncode == 1 and outcome is not None
    assert outcome.state == "failed" and "out of memory: lower batch_size" in outcome.message


def test_a_gpu_out_of_memory_is_said(tmp_path, text, monkeypatch) -> None:
    import torch

    from model import job as job_module

    def refuse(*_: object) -> bool:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(job_module, "_train", refuse)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    folder = tmp_path / "job"
    folder.mkdir()
    spec = JobSpec(plan=plan_of(), folder=tmp_path / "run", corpus="x", corpus_name="x")
    (folder / "spec.json").write_text(spec.model_dump_json())
    assert job_module.main(str(folder / "spec.json")) == 1
    outcome = json.loads((folder / "outcome.json").read_text())
    assert outcome["state"] == "failed" and "lower batch_size" in outcome["message"]


@pytest.mark.usefixtures("short_samples")
def test_killed_at_any_moment_it_goes_on(tmp_path, text, corpus) -> None:
    """Many times, at moments that no one chose."""
    processes = Processes("cpu")
    train = FAST.model_copy(update={"max_iters": 600, "eval_interval": 20, "snapshots": 30})
    folder = RunFolder(tmp_path / "ck" / "run")
    for attempt in range(6):
        job_folder = tmp_path / f"job-{attempt}"
        job_folder.mkdir()
        spec = JobSpec(
            plan=plan_of(train=train), folder=folder.path, corpus=str(text), corpus_name="text"
        )
        (job_folder / "spec.json").write_text(spec.model_dump_json())
        steps = folder.state.read().step if folder.state.exists() else -1
        handle = processes.start(job_folder, "cpu")

        def is_over(job_folder: Path = job_folder, handle: str = handle) -> bool:
            return processes.status(job_folder, handle).state != "running"

        try:
            wait_until(
                lambda s=steps, is_over=is_over: (
                    is_over() or (folder.state.exists() and folder.state.read().step > s)
                ),
                SLOW,
            )
        finally:
            processes.kill(job_folder, handle)
            wait_until(is_over, SLOW)
        if folder.is_finished():
            break
        for step in folder.snapshot_steps():
            assert folder.load_model(step)
        folder.read_metrics(), folder.read_samples(), folder.read_config()
    if not folder.is_finished():
        go(folder, plan_of(train=train), corpus)
    unbroken = RunFolder(tmp_path / "unbroken" / "run")
    go(unbroken, plan_of(train=train), corpus)
    assert untimed(folder) == untimed(unbroken)
    assert folder.weights_path().read_bytes() == unbroken.weights_path().read_bytes()
