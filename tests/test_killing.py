"""A server that is killed in the midst of everything, and what the next one finds."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Self

import httpx
import pytest

from model.run_folder import RunFolder
from tests.conftest import wait_until, write_run
from tests.server_process import ServerProcess, begin_job, end_jobs, job_process

pytestmark = pytest.mark.slow

LONG = {"model": "baseline", "prompt": "To be", "max_tokens": 5000, "stream": True}


class Load:
    """Requests of all kinds, again and again, until the server is gone or the block ends."""

    def __init__(self, url: str) -> None:
        self._url, self._over = url, False
        self.answered = dict.fromkeys(("stream", "attention", "notes", "upload"), 0)
        self._threads = [
            threading.Thread(target=self._repeat, args=(name,), daemon=True)
            for name in self.answered
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        for thread in self._threads:
            thread.join(20)

    def _repeat(self, name: str) -> None:
        with suppress(httpx.HTTPError), httpx.Client(base_url=self._url, timeout=20) as http:
            for number in count():
                if self._over:
                    return
                getattr(self, f"_{name}")(http, number)
                self.answered[name] += 1

    def _stream(self, http: httpx.Client, _: int) -> None:
        with http.stream("POST", "/v1/completions", json=LONG) as answer:
            for _line in answer.iter_lines():
                self.answered["stream"] += 1

    def _attention(self, http: httpx.Client, number: int) -> None:
        http.post("/api/attention", json={"run": "case-1", "text": f"To be {'a' * (number % 9)}"})

    def _notes(self, http: httpx.Client, number: int) -> None:
        http.patch("/api/runs/baseline", json={"hypothesis": f"note {number} " * 200})

    def _upload(self, http: httpx.Client, number: int) -> None:
        """A text, slowly enough to be killed in the middle."""
        pieces = (f"Text {number} has line {line}.\n".encode() * 2000 for line in range(40))
        http.post("/api/corpora", params={"name": f"text-{number % 3}"}, content=pieces)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    write_run(tmp_path / "checkpoints", "baseline", steps=(10, 50))
    write_run(tmp_path / "checkpoints", "case-1", seed=1)
    yield tmp_path
    end_jobs(tmp_path)


def runs(server: ServerProcess) -> dict[str, str]:
    listed = server.http.get("/api/runs").json()
    assert listed["broken"] == []
    return {run["id"]: run["title"] for run in listed["runs"]}


def job_ids(server: ServerProcess) -> list[str]:
    return [job["id"] for job in server.http.get("/api/jobs").json()["jobs"]]


def require_whole(root: Path, id: str) -> None:
    """Everything of a run that is there can be read."""
    folder = RunFolder(root / "checkpoints" / id)
    assert folder.read_metrics() is not None and folder.read_samples() is not None
    for step in folder.snapshot_steps():
        assert folder.load_model(step)


def test_nothing_is_lost_but_what_was_in_flight(root: Path) -> None:
    folder = RunFolder(root / "checkpoints" / "going")
    with ServerProcess(root, "slow-writing") as server:
        id = begin_job(server, "going", max_iters=3000, snapshots=20)
        wait_until(lambda: len(folder.snapshot_steps()) > 3 and folder.state.exists(), 60)
        listed, jobs = runs(server), job_ids(server)
        with Load(server.url) as load:
            wait_until(lambda: all(load.answered.values()), 30)
            server.kill()
    (root / "data" / "corpora" / ".incoming-of-a-crash").mkdir(exist_ok=True)
    with ServerProcess(root, "slow-writing") as server:
        found = server.http.get(f"/api/jobs/{id}").json()
        assert found["state"] in ("running", "done"), found
        require_as_before(root, server, listed, jobs)
        with Load(server.url) as load:
            wait_until(lambda: all(load.answered.values()), 30)
            if process := job_process(server.data, id):
                process.kill()
            server.kill()
    with ServerProcess(root) as server:
        require_as_before(root, server, listed, jobs)
        _wait_for(server, id, "interrupted", "done")
        found = server.http.get(f"/api/jobs/{id}").json()
        if found["state"] == "interrupted":
            assert "resume it" in found["message"]
            server.http.post(f"/api/jobs/{id}/resume")
            _wait_for(server, id, "done")
        assert folder.is_finished() and server.http.get("/api/runs/going").json()["steps"]
        require_as_before(root, server, listed, jobs)
        assert server.http.get("/readyz").json()["ready"]


def require_as_before(
    root: Path, server: ServerProcess, listed: dict[str, str], jobs: list[str]
) -> None:
    assert runs(server) == listed and job_ids(server) == jobs
    for id in listed:
        require_whole(root, id)
    assert not list((root / "data" / "corpora").glob(".incoming-*")), "leftovers are removed"
    for corpus in server.http.get("/api/corpora").json()["corpora"][1:]:
        assert (root / "data" / "corpora" / corpus["id"]).is_dir()
    note = server.http.get("/api/runs/baseline").json()["hypothesis"]
    assert note == "It learns." or len(set(note.split("note ")[1:])) == 1, "never torn"


def _wait_for(server: ServerProcess, id: str, *states: str) -> None:
    wait_until(lambda: server.http.get(f"/api/jobs/{id}").json()["state"] in states, 90)
