"""Which job runs where and when, with devices that this machine need not have."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.launcher import Device, LaunchFailed, Status
from app.jobs.processes import _environment
from app.jobs.queue import JobQueue, new_id
from app.jobs.store import Job, now
from tests.conftest import wait_until
from tests.training_fixtures import plan_of


class Pretended:
    """A launcher whose jobs end when the test says so."""

    def __init__(self, *devices: Device) -> None:
        self._devices = list(devices)
        self.running: dict[str, str] = {}  # handle -> device
        self.ended: dict[str, Status] = {}
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.fails = False

    def devices(self) -> list[Device]:
        return self._devices

    def start(self, folder: Path, device: str) -> str:
        if self.fails:
            raise LaunchFailed("no room for a process")
        assert (folder / "spec.json").is_file()
        self.running[folder.name] = device
        self.started.append(folder.name)
        return folder.name

    def status(self, folder: Path, handle: str) -> Status:
        return self.ended.get(handle, Status("running"))

    def end(self, handle: str, status: Status) -> None:
        del self.running[handle]
        self.ended[handle] = status

    def stop(self, folder: Path, handle: str) -> None:
        self.stopped.append(handle)

    kill = stop

    def log(self, folder: Path, handle: str) -> str:
        return ""


@pytest.fixture
def gpus() -> Pretended:
    names = ("cuda:0", "cuda:1", "cpu")
    return Pretended(*(Device(name, name) for name in names))


@pytest.fixture
def queue(tmp_path: Path, gpus: Pretended) -> Iterator[JobQueue]:
    queue = JobQueue(gpus, tmp_path / "data", tmp_path / "checkpoints", str)
    queue.start()
    yield queue
    queue.close()


def job(run_id: str, device: str = "auto") -> Job:
    plan = plan_of(run_id)
    created = now()
    return Job(new_id(), plan, "text", 1, device_wanted=device, created=created)


def states(queue: JobQueue) -> list[str]:
    return [each.state for each in queue.store.jobs()]


def test_each_gpu_has_one_job_and_the_cpu_none_that_did_not_ask(queue, gpus) -> None:
    jobs = queue.submit([job(f"run-{i}") for i in range(4)])
    wait_until(lambda: gpus.running == {jobs[0].id: "cuda:0", jobs[1].id: "cuda:1"})
    assert states(queue) == ["running", "running", "queued", "queued"]
    (asked,) = queue.submit([job("on-cpu", "cpu")])
    wait_until(lambda: gpus.running.get(asked.id) == "cpu")
    gpus.end(jobs[1].id, Status("done"))
    wait_until(lambda: gpus.running.get(jobs[2].id) == "cuda:1")
    assert states(queue) == ["running", "done", "running", "queued", "running"]


def test_a_job_waits_for_the_gpu_that_it_wants(queue, gpus) -> None:
    first, second = queue.submit([job("first", "cuda:1"), job("second", "cuda:1")])
    wait_until(lambda: gpus.running == {first.id: "cuda:1"})
    gpus.end(first.id, Status("failed", "it broke"))
    wait_until(lambda: gpus.running == {second.id: "cuda:1"})
    assert queue.job(first.id).message.startswith("it broke; resume")


def test_a_resumed_job_goes_to_the_end_of_the_queue(queue, gpus) -> None:
    first, *others = queue.submit([job(f"run-{i}", "cpu") for i in range(3)])
    wait_until(lambda: first.id in gpus.running)
    gpus.end(first.id, Status("interrupted", "gone"))
    wait_until(lambda: queue.job(first.id).state == "interrupted")
    queue.resume(first.id)
    del gpus.ended[first.id]
    for other in others:
        wait_until(lambda o=other: o.id in gpus.running)
        gpus.end(other.id, Status("done"))
    wait_until(lambda: first.id in gpus.running)
    assert gpus.started == [first.id, *(other.id for other in others), first.id]
    assert queue.job(first.id).attempt == 2


def test_a_job_whose_time_is_up_keeps_what_it_has_and_may_go_on(tmp_path, gpus) -> None:
    queue = JobQueue(gpus, tmp_path / "data", tmp_path / "checkpoints", str, job_seconds=1)
    queue.start()
    (made,) = queue.submit([job("run", "cpu")])
    wait_until(lambda: gpus.stopped == [made.id])
    assert queue.job(made.id).stopping
    assert queue.job(made.id).message.startswith("the 1 seconds that a job may take are up; keep")
    gpus.end(made.id, Status("cancelled"))
    wait_until(lambda: queue.job(made.id).is_over)
    assert queue.job(made.id).message.startswith("the 1 seconds that a job may take are up; resume")
    queue.resume(made.id)
    del gpus.ended[made.id]
    wait_until(lambda: queue.job(made.id).attempt == 2 and made.id in gpus.running)
    queue.close()


def test_a_start_that_fails_says_why(queue, gpus) -> None:
    gpus.fails = True
    (made,) = queue.submit([job("run")])
    wait_until(lambda: queue.job(made.id).state == "failed")
    assert "no room for a process" in queue.job(made.id).message


def test_a_place_with_a_queue_of_its_own_gets_them_all(tmp_path) -> None:
    cluster = Pretended(Device("ray", "a cluster", capacity=None))
    queue = JobQueue(cluster, tmp_path / "data", tmp_path / "checkpoints", str)
    queue.start()
    try:
        queue.submit([job(f"run-{i}") for i in range(5)])
        wait_until(lambda: len(cluster.running) == 5)
    finally:
        queue.close()


def test_two_servers_never_start_a_job_twice(tmp_path, gpus) -> None:
    queues = [JobQueue(gpus, tmp_path / "data", tmp_path / "ck", str) for _ in range(2)]
    for queue in queues:
        queue.start()
    try:
        jobs = [queues[i % 2].submit([job(f"run-{i}", "cpu")])[0] for i in range(6)]
        for each in jobs:
            wait_until(lambda e=each: e.id in gpus.running)
            assert list(gpus.running.values()) == ["cpu"]
            gpus.end(each.id, Status("done"))
        wait_until(lambda: set(states(queues[0])) == {"done"})
        assert gpus.started == [each.id for each in jobs]
    finally:
        for queue in queues:
            queue.close()


@pytest.mark.parametrize(
    ("device", "known", "visible"),
    [
        ("cpu", None, ""),
        ("cuda:0", None, "0"),
        ("cuda:1", None, "1"),
        ("cuda:1", "3,5", "5"),
        ("cpu", "3,5", ""),
    ],
)
def test_a_process_sees_its_own_gpu_alone(monkeypatch, device, known, visible) -> None:
    if known is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", known)
    assert _environment(device)["CUDA_VISIBLE_DEVICES"] == visible


def test_starts_and_ends_are_counted_and_told(queue, gpus, tmp_path, caplog) -> None:
    caplog.set_level("INFO", "sidelight")
    done, failed, waiting, other = queue.submit([job(f"run-{i}", "cpu") for i in range(4)])
    wait_until(lambda: done.id in gpus.running)
    queue.cancel(waiting.id)
    (tmp_path / "data" / "jobs" / done.id / "progress.json").write_text("{}")
    assert 0 <= queue.silent_s() < 10
    gpus.end(done.id, Status("done"))
    wait_until(lambda: failed.id in gpus.running)
    gpus.end(failed.id, Status("failed", "it broke"))
    wait_until(lambda: other.id in gpus.running and queue.ended["failed"])
    assert queue.ended == {"done": 1, "failed": 1, "cancelled": 1}
    told = [(record.levelname, record.fields["job"]) for record in caplog.records]
    assert told.count(("INFO", done.id)) == 2, "its start and its end"
    assert ("WARNING", failed.id) in told and ("INFO", waiting.id) in told
