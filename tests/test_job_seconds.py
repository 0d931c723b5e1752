"""A job that would train for hours, where the server lets one train for seconds."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.jobs.queue import JobQueue
from app.jobs.store import Job
from app.settings import Settings
from model.run_folder import RunFolder
from tests.conftest import LiveServer, wait_until
from tests.training_fixtures import TEXT

SECONDS = 3
LONG_S = 60  # for what takes none, beside other tests
TIME_IS_UP = f"the {SECONDS} seconds that a job may take are up"
ENDLESS = {
    "model": {"kind": "gpt", "block_size": 16, "n_layer": 1, "n_head": 1, "n_embd": 8},
    "train": {"max_iters": 10_000_000, "batch_size": 4, "eval_interval": 50, "snapshots": 20},
}

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("jobs_begin_at_once")]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    folders = {"checkpoints": tmp_path / "checkpoints", "data": tmp_path / "data"}
    with LiveServer(Settings(**folders, devices="cpu", job_seconds=SECONDS)) as server:
        yield server
        for job in queue_of(server).store.active_jobs():  # of a test that failed
            queue_of(server).cancel(job.id)


def queue_of(server: LiveServer) -> JobQueue:
    queue: JobQueue = server.app.state.queue
    return queue


def ended(server: LiveServer, id: str) -> Job:
    """The job once it is over, and its process too, which has been seen at work."""
    queue = queue_of(server)
    attempt = queue.job(id).attempt
    wait_until(lambda: queue.job(id).handle and queue.job(id).state == "running", LONG_S)
    process = psutil.Process(int((queue.job(id).handle or "").split()[0]))
    assert process.is_running(), attempt
    wait_until(lambda: queue.job(id).is_over, SECONDS + LONG_S)
    assert not process.is_running()
    return queue.job(id)


def kept_steps(folder: RunFolder) -> list[int]:
    """Of the snapshots, each of which is whole."""
    steps = folder.snapshot_steps()
    for step in steps:
        assert folder.load_model(step).size
    return steps


def test_it_ends_in_time_and_keeps_what_it_has(server: LiveServer) -> None:
    corpus = server.http.post("/api/corpora?name=text", content=TEXT.encode() * 20).json()["id"]
    asked = {"config": ENDLESS, "run_id": "made", "corpus": corpus}
    id = server.http.post("/api/jobs", json=asked).json()["id"]
    job = ended(server, id)
    folder = queue_of(server).run_of(job)
    first = kept_steps(folder)
    assert (job.state, job.message) == (
        "cancelled",
        f"{TIME_IS_UP}; resume it to go on from where it stopped",
    )
    told = server.http.get(f"/api/jobs/{id}").json()
    assert (told["state"], told["message"]) == (job.state, job.message)
    assert len(first) > 2 and folder.state.read().step == first[-1] > 50
    assert not folder.is_finished()

    assert server.http.post(f"/api/jobs/{id}/resume").status_code == 202
    again = ended(server, id)
    assert (again.state, again.attempt) == ("cancelled", 2)
    assert again.message.startswith(TIME_IS_UP)
    later = kept_steps(folder)
    assert later[: len(first)] == first and later[-1] > first[-1], "it went on from there"
