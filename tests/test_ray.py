"""Jobs on a real Ray cluster."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.jobs.launcher import Device, LaunchFailed, Status
from app.jobs.queue import JobQueue
from app.jobs.ray_cluster import RayCluster
from app.jobs.store import Job
from app.settings import Settings
from model.config import GPTConfig, RunPlan, TrainConfig
from tests.ray_fixtures import (
    START_TIMEOUT_S,
    RayHead,
    StandInCluster,
    Work,
    free_port,
    wait_for,
)

WorkOnRay = Callable[..., Work]


@pytest.mark.slow
def test_a_job_runs_to_its_end(work_on_ray: WorkOnRay, ray_head: RayHead) -> None:
    work = work_on_ray(gpus=0)
    assert work.cluster.devices() == [Device("ray", "Ray cluster, 1 node, 2 CPUs, 1 GPU", None)]
    folder = work.folder("long", seconds=60, message="all is well")
    handle = work.start(folder)
    assert folder.name in handle
    assert work.until(folder, handle, "queued", "running")
    assert work.until(folder, handle, "running") == Status("running")

    server_started_anew = StandInCluster(ray_head.address, gpus=0)
    assert server_started_anew.status(folder, handle) == Status("running")
    (folder / "end").touch()
    assert work.until(folder, handle) == Status("done", "all is well")
    assert work.cluster.log(folder, handle) == "gpus ''\n"


@pytest.mark.slow
def test_jobs_run_as_wide_as_the_cluster_and_the_others_wait(
    work_on_ray: WorkOnRay, ray_head: RayHead
) -> None:
    work = work_on_ray(gpus=0)
    folders = [work.folder(str(i), seconds=60) for i in range(3)]
    first, second, third = (work.start(folder) for folder in folders)
    work.until(folders[0], first, "running")
    work.until(folders[1], second, "running")
    waiting = Status("queued", "waiting for 1 CPU on the Ray cluster")
    assert work.cluster.status(folders[2], third) == waiting

    def is_given_up() -> bool:
        return told_by_ray(ray_head, third) == "FAILED"

    wait_for(is_given_up, START_TIMEOUT_S + 10, lambda: "Ray waits for ever")
    assert work.until(folders[2], third, "queued") == waiting  # submitted again
    (folders[0] / "end").touch()
    assert work.until(folders[0], first).state == "done"
    assert work.until(folders[2], third, "running") == Status("running")
    wait_for(lambda: "gpus" in work.cluster.log(folders[2], third), 10, lambda: "no log")
    (folders[2] / "end").touch()
    assert work.until(folders[2], third) == Status("done")


@pytest.mark.slow
def test_a_stopped_job_has_time_to_keep_what_it_has_and_no_more(work_on_ray: WorkOnRay) -> None:
    work, hasty = work_on_ray(gpus=0), work_on_ray(gpus=0, stop_s=1)
    patient = work.folder("patient", seconds=60, saving=4, message="kept")  # Ray grants 3 s
    stubborn = hasty.folder("stubborn", seconds=60, saving=60)
    first, second = work.start(patient), hasty.start(stubborn)
    for each, folder, handle in ((work, patient, first), (hasty, stubborn, second)):
        each.until(folder, handle, "running")
        wait_for((folder / "began").exists, 10, lambda: "it did not begin")
        each.cluster.stop(folder, handle)
        each.cluster.kill(folder, handle)
    message = "it was stopped before it could say what it kept"
    assert hasty.until(stubborn, second) == Status("cancelled", message)
    assert work.until(patient, first) == Status("cancelled", "kept")

    (patient / "outcome.json").unlink()  # resumed
    again = work.start(patient)
    assert again != first
    work.until(patient, again, "running")


@pytest.mark.slow
def test_a_job_that_is_stopped_while_it_waits_never_begins(
    work_on_ray: WorkOnRay, ray_head: RayHead
) -> None:
    work = work_on_ray(cpus=2, gpus=0)
    first, second = work.folder("first", seconds=60), work.folder("second")
    running, waiting = work.start(first), work.start(second)
    work.until(first, running, "running")
    message = "waiting for 2 CPUs on the Ray cluster"
    assert work.cluster.status(second, waiting) == Status("queued", message)
    work.cluster.stop(second, waiting)
    assert work.cluster.status(second, waiting) == Status("cancelled", "it had not begun")
    (first / "end").touch()
    assert work.until(first, running).state == "done"
    its_turn_is_over = {"STOPPED", "FAILED"}
    wait_for(lambda: told_by_ray(ray_head, waiting) in its_turn_is_over, 20, lambda: "no turn")
    assert not (second / "began").exists()
    assert work.cluster.status(second, waiting).state == "cancelled"


def told_by_ray(ray_head: RayHead, submission: str) -> str:
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(ray_head.address).get_job_status(submission).value


@pytest.mark.slow
def test_gpus_are_asked_for_as_resources(work_on_ray: WorkOnRay) -> None:
    work = work_on_ray()  # one each, as the cluster has any
    first, second = work.folder("first", seconds=60), work.folder("second")
    handles = work.start(first), work.start(second)
    work.until(first, handles[0], "running")
    message = "waiting for 1 CPU and 1 GPU on the Ray cluster"
    assert work.cluster.status(second, handles[1]) == Status("queued", message)
    (first / "end").touch()
    assert work.until(second, handles[1]).state == "done"
    assert "gpus '0'" in work.cluster.log(second, handles[1])

    greedy = work_on_ray(gpus=8)
    third = greedy.folder("third")
    message = "waiting for a node with 1 CPU and 8 GPUs: the Ray cluster has none"
    assert greedy.cluster.status(third, greedy.start(third)) == Status("queued", message)


@pytest.mark.slow
def test_a_failure_says_why(work_on_ray: WorkOnRay) -> None:
    work = work_on_ray(cpus=0.5, gpus=0)
    elsewhere = work_on_ray(cpus=0.5, gpus=0, python="/no/such/python")
    cases = {
        "told": ({"state": "failed", "message": "no text"}, "failed", "no text"),
        "raised": ({"raise": "so it is"}, "failed", "ValueError: so it is (exit status 1)"),
        "killed": (
            {"signal": signal.SIGKILL},
            "interrupted",
            "the process was ended by SIGKILL, perhaps for want of memory",
        ),
    }
    jobs = {name: work.folder(name, **spec) for name, (spec, _, _) in cases.items()}
    handles = {name: work.start(folder) for name, folder in jobs.items()}
    for name, (_, state, message) in cases.items():
        assert work.until(jobs[name], handles[name]) == Status(state, message)

    lost, gone = work.folder("lost", seconds=60), work.folder("gone")
    (gone / "spec.json").unlink()
    python = elsewhere.folder("python")
    of_lost, of_gone, of_python = work.start(lost), work.start(gone), elsewhere.start(python)
    wait_for((lost / "began").exists, 20, lambda: work.cluster.log(lost, of_lost))
    os.kill(int((lost / "began").read_text()), signal.SIGKILL)  # as when its node is gone
    message = "Ray lost the job: The actor is dead because its worker process has died"
    assert work.until(lost, of_lost) == Status("interrupted", message)

    status = work.until(gone, of_gone)
    assert status.state == "failed"
    assert "spec.json cannot be read on this node" in status.message
    assert "storage that all nodes share" in status.message

    status = elsewhere.until(python, of_python)
    assert status.state == "failed"
    assert "/no/such/python" in status.message


@pytest.mark.slow
def test_the_queue_trains_runs_as_wide_as_the_cluster(ray_head: RayHead, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("To be, or not to be: that is the question.\n" * 100)
    checkpoints = tmp_path / "checkpoints"
    queue = JobQueue(
        RayCluster(ray_head.address, gpus=0),
        tmp_path / "data",
        checkpoints,
        lambda _: str(tmp_path / "text.txt"),
    )
    queue.submit([Job(name, plan(name), corpus="text", params=1) for name in ("a", "b", "c")])
    queue.start()

    def states() -> list[str]:
        return [queue.job(name).state for name in ("a", "b", "c")]

    try:
        wait_for(lambda: queue.job("c").message.startswith("waiting for 1 CPU"), 30, states)
        wait_for(lambda: states() == ["running", "running", "queued"], 30, states)
        assert queue.cancel("c").state == "cancelled"
        wait_for((checkpoints / "a" / "config.json").exists, 30, lambda: queue.log("a"))
        queue.cancel("a")
        wait_for(lambda: queue.job("a").is_over, 30, states)
        assert queue.job("a").state == "cancelled", queue.job("a").message
        assert queue.resume("a").state == "queued"
        wait_for(lambda: queue.job("a").state == "running", 30, states)
        assert states() == ["running", "running", "cancelled"]
    finally:
        for name in ("a", "b"):
            queue.cancel(name)
        wait_for(lambda: all(queue.job(name).is_over for name in ("a", "b")), 30, states)
        queue.close()


def plan(name: str) -> RunPlan:
    train = TrainConfig(max_iters=100_000, eval_interval=10, eval_iters=1, batch_size=4)
    model = GPTConfig(vocab_size=20, block_size=8, n_layer=1, n_head=1, n_embd=8)
    return RunPlan(id=name, title=name, model=model, train=train)


@pytest.mark.slow
def test_the_cluster_knows_no_such_job(work_on_ray: WorkOnRay) -> None:
    work = work_on_ray()
    folder = work.folder("unknown")
    status = work.cluster.status(folder, "sidelight-unknown-1")
    assert status.state == "interrupted"
    assert "no longer knows the job" in status.message
    work.cluster.stop(folder, "sidelight-unknown-1")
    assert "does not exist" in work.cluster.log(folder, "sidelight-unknown-1")


@pytest.mark.slow
def test_a_cluster_that_does_not_answer_takes_no_job_and_loses_none(tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    cluster = RayCluster(f"http://127.0.0.1:{free_port()}")
    [device] = cluster.devices()
    assert device.capacity == 0
    assert "does not answer" in device.name
    with pytest.raises(LaunchFailed, match="SIDELIGHT_RAY_ADDRESS"):
        cluster.start(tmp_path, "ray")
    status = cluster.status(tmp_path, "sidelight-x-1")
    assert status.state == "running"
    assert "does not answer" in status.message
    cluster.stop(tmp_path, "sidelight-x-1")
    assert "does not answer" in cluster.log(tmp_path, "sidelight-x-1")

    outcome = {"state": "done", "message": "before the cluster went"}
    (tmp_path / "outcome.json").write_text(json.dumps(outcome))
    assert cluster.status(tmp_path, "sidelight-x-1") == Status("done", "before the cluster went")


def test_without_ray_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ["ray", *(name for name in sys.modules if name.startswith("ray."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(LaunchFailed, match=r"pip install 'sidelight\[ray\]'"):
        RayCluster("http://127.0.0.1:8265").start(tmp_path, "ray")


def test_the_address_is_a_web_address() -> None:
    with pytest.raises(ValueError, match="ray_address"):
        Settings(ray_address="127.0.0.1:8265")
