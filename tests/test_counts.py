"""How many there may be of everything that a client can make: one more is refused, and says why."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.hidden_folder import HIDDEN
from app.jobs.queue import JobQueue
from app.main import create_app
from app.settings import Settings
from tests.conftest import LiveServer, wait_until, write_run

TEXT = "To be, or not to be: that is the question.\n" * 50
TINY = {
    "model": {"n_layer": 1, "n_head": 1, "n_embd": 8, "block_size": 8},
    "train": {"max_iters": 1},
}
JOB = {"config": TINY, "title": "Tiny"}


@pytest.fixture(autouse=True)
def _nothing_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JobQueue, "start", lambda _: None)


@contextmanager
def served(tmp_path: Path, **fields: Any) -> Iterator[TestClient]:
    """One run, and bounds."""
    checkpoints = tmp_path / "checkpoints"
    if not checkpoints.exists():
        write_run(checkpoints, "baseline")
    settings = Settings(checkpoints=checkpoints, data=tmp_path / "data", devices="cpu", **fields)
    with TestClient(create_app(settings)) as client:
        yield client


def refused(answer: httpx.Response, status: int, code: str) -> str:
    """Why, as a person reads it."""
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["code"] == code
    if status in {429, 503}:
        assert int(answer.headers["Retry-After"]) > 0
    message: str = error["message"]
    return message


def upload(client: TestClient, number: int) -> httpx.Response:
    return client.post(f"/api/corpora?name=text-{number}", content=TEXT + str(number))


def test_jobs_that_wait_or_run(tmp_path: Path) -> None:
    with served(tmp_path, max_jobs=3) as client:
        for _ in range(2):
            assert client.post("/api/jobs", json=JOB).status_code == 202
        sweep = {"config": TINY, "title": "Two", "grid": {"train.seed": [1, 2]}}
        for path in ("/api/sweeps", "/api/sweeps/check"):
            told = refused(client.post(path, json=sweep), 503, "too_many_jobs")
            assert "2 jobs" in told
            assert "3 in all" in told
        last = client.post("/api/jobs", json=JOB)
        assert last.status_code == 202
        for path in ("/api/jobs", "/api/jobs/check"):
            refused(client.post(path, json=JOB), 503, "too_many_jobs")
        assert len(client.get("/api/jobs").json()["jobs"]) == 3
        client.post(f"/api/jobs/{last.json()['id']}/cancel")
        assert client.post("/api/jobs", json=JOB).status_code == 202, "one was over"


def test_runs_and_those_that_are_to_be(tmp_path: Path) -> None:
    with served(tmp_path, max_runs=2) as client:
        archive = client.get("/api/runs/baseline/export").content
        assert client.post("/api/jobs", json=JOB).status_code == 202
        told = refused(client.post("/api/jobs", json=JOB), 507, "too_many_runs")
        assert "2 runs" in told
        refused(client.post("/api/runs?id=copy", content=archive), 507, "too_many_runs")
        assert [run["id"] for run in client.get("/api/runs").json()["runs"]] == ["baseline"]


def test_folders_that_are_broken_count_as_runs(tmp_path: Path) -> None:
    with served(tmp_path, max_runs=2) as client:
        (tmp_path / "checkpoints" / "broken").mkdir()
        (tmp_path / "checkpoints" / "broken" / "config.json").write_text("{")
        refused(client.post("/api/jobs", json=JOB), 507, "too_many_runs")


def test_texts(tmp_path: Path) -> None:
    with served(tmp_path, max_corpora=2) as client:
        assert [upload(client, number).status_code for number in range(2)] == [201, 201]
        assert "2 texts" in refused(upload(client, 2), 507, "too_many_texts")
        assert client.delete("/api/corpora/text-0").status_code == 204
        assert upload(client, 2).status_code == 201


def test_bytes_of_all_texts(tmp_path: Path) -> None:
    with served(tmp_path, max_corpora_bytes=2 * len(TEXT)) as client:
        assert upload(client, 0).status_code == 201
        told = refused(upload(client, 1), 507, "too_many_bytes")
        assert f"{2 * len(TEXT):,} bytes" in told
        folders = {each.name for each in (tmp_path / "data" / "corpora").iterdir()}
        assert folders == {"text-0"}


def test_uploads_that_come_in(shared_checkpoints: Path, tmp_path: Path) -> None:
    go_on = threading.Event()

    def slowly(number: int) -> Iterator[bytes]:
        yield TEXT.encode()
        go_on.wait(20)
        yield str(number).encode()

    def slow_upload(number: int) -> int:
        content = slowly(number)
        return httpx.post(f"{server.url}/api/corpora?name={number}", content=content).status_code

    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, max_uploads=2)
    with LiveServer(settings) as server, ThreadPoolExecutor(2) as pool:
        try:
            coming = [pool.submit(slow_upload, number) for number in range(2)]
            wait_until(lambda: len(list(tmp_path.glob(f"corpora/{HIDDEN}*"))) == 2)
            for path in ("/api/corpora", "/api/runs"):
                told = refused(server.http.post(path, content=TEXT), 503, "too_many_uploads")
                assert "2 uploads" in told
            assert server.http.get("/api/corpora").status_code == 200, "a look is free"
        finally:
            go_on.set()
        assert [each.result() for each in coming] == [201, 201]
        assert server.http.post("/api/corpora", content=TEXT + "2").status_code == 201


def test_requests_of_a_minute_that_change_something(tmp_path: Path) -> None:
    with served(tmp_path, client_requests_per_minute=4) as client:
        assert upload(client, 0).status_code == 201
        assert client.post("/api/jobs/check", json=JOB).status_code == 200
        assert client.patch("/api/runs/baseline", json={"outcome": "Yes."}).status_code == 200
        assert client.get("/api/runs/baseline/export").status_code == 200
        for method, path in [
            ("POST", "/api/corpora"),
            ("DELETE", "/api/corpora/text-0"),
            ("POST", "/api/jobs"),
            ("POST", "/api/sweeps"),
            ("POST", "/api/runs"),
            ("PATCH", "/api/runs/baseline"),
            ("GET", "/api/runs/baseline/export"),
        ]:
            refused(client.request(method, path), 429, "client_limit")
        for path in (
            "/api/corpora",
            "/api/corpora/text-0",
            "/api/jobs",
            "/api/sweeps",
            "/api/runs",
        ):
            assert client.get(path).status_code == 200, "a look is free"


@pytest.mark.parametrize(
    ("most", "status", "code"),
    [
        ({"client_streams": 2}, 429, "client_limit"),
        ({"client_streams": 0, "max_streams": 2}, 503, "too_many_streams"),
    ],
)
def test_streams_of_events(
    shared_checkpoints: Path, tmp_path: Path, most: dict[str, int], status: int, code: str
) -> None:
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, devices="cpu", **most)
    with LiveServer(settings) as server:
        id = server.http.post("/api/jobs", json=JOB).json()["id"]
        path = f"/api/jobs/{id}/events"
        with server.http.stream("GET", path) as one:
            with server.http.stream("GET", path) as other:
                assert (one.status_code, other.status_code) == (200, 200)
                lines = one.iter_lines()  # one that is let go of closes the stream
                assert next(lines).startswith("event: state")
                assert "2 streams" in refused(server.http.get(path), status, code)
            watching = server.app.state.watchers.following
            wait_until(lambda: watching() == {id: 1})
            with server.http.stream("GET", path) as again:
                assert again.status_code == 200
        wait_until(lambda: watching() == {})
