"""What the machine runs out of is said as what it is, and the server goes on."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient

from app.jobs.launcher import LaunchFailed
from app.jobs.processes import Processes
from app.main import create_app
from app.settings import Settings
from app.shortages import shortage_of
from model.config import GPTConfig
from model.cpu_batch import CpuBatch
from model.device import DeviceSilent
from tests.conftest import CHARACTERS, wait_until, write_run
from tests.server_process import ServerProcess

PROMPT = {"model": "baseline", "prompt": "To be", "max_tokens": 5}
ATTENTION = {"run": "baseline", "text": "To be"}
JOB = {"preset": "baseline", "run_id": "made"}


@pytest.fixture
def api(shared_checkpoints: Path, tmp_path: Path) -> Iterator[TestClient]:
    shutil.copytree(shared_checkpoints, tmp_path / "checkpoints")
    folders = {"checkpoints": tmp_path / "checkpoints", "data": tmp_path / "data"}
    app = create_app(Settings(devices="cpu", **folders))
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def too_much_for_numpy() -> None:
    np.ones(1 << 60, np.uint8)


def too_much_for_torch(*_: object) -> None:
    torch.empty(1 << 50)


def too_much_for_the_disk(*_: object) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")


def too_much_for_sqlite() -> None:
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        connection.execute("INSERT INTO t VALUES (?)", (b"x" * 100_000,))


def no_database(*_: object) -> None:
    with sqlite3.connect("/etc/passwd") as connection:
        connection.execute("SELECT * FROM t")


@pytest.mark.parametrize(
    ("cause", "status", "code"),
    [
        (too_much_for_numpy, 503, "out_of_memory"),
        (too_much_for_torch, 503, "out_of_memory"),
        (too_much_for_the_disk, 507, "disk_full"),
        (too_much_for_sqlite, 507, "disk_full"),
        (no_database, 503, "store_broken"),
    ],
)
def test_real_shortages_are_known_by_their_errors(cause, status: int, code: str) -> None:
    with pytest.raises(Exception) as caught:
        cause()
    known = shortage_of(caught.value)
    assert known is not None and (known.status, known.code) == (status, code)


def test_a_gpu_without_memory_is_one_and_a_mistake_is_none() -> None:
    known = shortage_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert known is not None and known.code == "out_of_memory"
    for error in (RuntimeError("size mismatch"), FileNotFoundError("x"), ValueError("memory")):
        assert shortage_of(error) is None


def test_reading_without_memory_is_a_503_and_no_end(api: TestClient, monkeypatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(api.app.state.reader, "read", too_much_for_torch)
        answer = api.post("/api/attention", json=ATTENTION)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "out_of_memory"
    assert api.post("/api/attention", json=ATTENTION).status_code == 200


def test_writing_without_memory_is_a_503_and_no_end(api: TestClient, monkeypatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(CpuBatch, "_write", too_much_for_torch)
        answer = api.post("/v1/completions", json=PROMPT)
        stream = api.post("/v1/completions", json=PROMPT | {"stream": True})
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert answer.json()["error"]["code"] == "out_of_memory"
    last = [line for line in stream.text.splitlines() if line.startswith("data: ")][-1]
    assert json.loads(last[6:])["error"]["code"] == "out_of_memory"
    assert api.post("/v1/completions", json=PROMPT).status_code == 200


def no_process(*_: object) -> None:
    raise LaunchFailed("this test has no process")


def test_a_store_on_a_full_disk_is_a_507_and_no_end(api: TestClient, monkeypatch) -> None:
    monkeypatch.setattr(Processes, "start", no_process)
    connection = api.app.state.queue.store._connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    for number in range(100):  # until what was free within the file is used
        long = {"preset": "baseline", "run_id": f"made-{number}", "hypothesis": "It learns. " * 150}
        answer = api.post("/api/jobs", json=long)
        if answer.status_code != 202:
            break
    assert answer.status_code == 507 and answer.json()["error"]["code"] == "disk_full"
    assert api.get("/api/runs").status_code == api.get("/api/jobs").status_code == 200
    assert api.post("/v1/completions", json=PROMPT).status_code == 200
    connection.execute("PRAGMA max_page_count = 1000000")
    made = api.post("/api/jobs", json=JOB)
    assert made.status_code == 202, made.text
    api.app.state.queue._wake.set()  # it had paused
    wait_until(lambda: api.get(f"/api/jobs/{made.json()['id']}").json()["state"] == "failed", 20)


def test_notes_on_a_full_disk_are_a_507(api: TestClient, monkeypatch) -> None:
    monkeypatch.setattr("model.atomic_file.os.fsync", too_much_for_the_disk)
    answer = api.patch("/api/runs/baseline", json={"hypothesis": "x"})
    assert answer.status_code == 507, answer.text
    monkeypatch.undo()
    assert api.get("/api/runs/baseline").json()["hypothesis"] == "It learns."


def test_a_broken_list_of_jobs_leaves_the_runs_alone(api: TestClient, monkeypatch) -> None:
    monkeypatch.setattr(api.app.state.queue.store, "_rows", no_database)
    answer = api.get("/api/jobs")
    assert answer.status_code == 503 and answer.json()["error"]["code"] == "store_broken"
    assert api.post("/v1/completions", json=PROMPT).status_code == 200


def test_a_job_for_a_gpu_that_is_not_here_or_silent_is_refused(
    api: TestClient, monkeypatch
) -> None:
    answer = api.post("/api/jobs", json=JOB | {"device": "cuda"})
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "unknown_device"
    assert "there are cpu" in answer.json()["error"]["message"]

    def silent(_: str) -> int:
        raise DeviceSilent("cuda:0 does not answer: CUDA error: unknown error")

    monkeypatch.setattr("app.jobs.admission.device_memory", silent)
    answer = api.post("/api/jobs", json=JOB)
    assert answer.status_code == 422 and answer.json()["error"]["code"] == "device_silent"
    assert answer.json()["error"]["param"] == "device"


def test_runs_that_vanish_come_back(api: TestClient, tmp_path: Path) -> None:
    assert len(api.get("/api/runs").json()["runs"]) == 4
    (tmp_path / "checkpoints").rename(tmp_path / "elsewhere")
    assert api.get("/api/runs").json()["runs"] == []
    assert api.post("/v1/completions", json=PROMPT).status_code == 404
    (tmp_path / "checkpoints").write_text("a file")
    assert api.get("/api/runs").json()["runs"] == []
    assert api.get("/readyz").status_code == 503
    (tmp_path / "checkpoints").unlink()
    (tmp_path / "elsewhere").rename(tmp_path / "checkpoints")
    assert api.post("/v1/completions", json=PROMPT).status_code == 200


@pytest.mark.slow
def test_a_process_without_memory_says_so_and_goes_on(tmp_path: Path) -> None:
    """In earnest: the system gives the server no more than it has."""
    wide = GPTConfig(vocab_size=len(CHARACTERS), block_size=2048, n_layer=2, n_head=4, n_embd=16)
    write_run(tmp_path / "checkpoints", "wide", wide)
    write_run(tmp_path / "checkpoints", "baseline")
    with ServerProcess(tmp_path, "little-memory") as server:
        text = {"run": "wide", "text": "To be or not to be. " * 100}
        answer = server.http.post(
            "/api/attention", json=text, headers={"Accept": "application/x-npy"}
        )
        assert answer.status_code == 503, answer.text[:500]
        assert answer.json()["error"]["code"] == "out_of_memory"
        assert server.http.post("/v1/completions", json=PROMPT).status_code == 200
        assert server.http.get("/readyz").status_code == 200
