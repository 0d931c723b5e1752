"""`/healthz` and `/readyz` mean what they say: each thing that must work is made to fail."""

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.engine import Engine
from app.main import create_app
from app.readiness import Inspector
from app.settings import Settings
from tests.conftest import on_a_loop, wait_until, write_run

KEY = "a-key-for-the-tests"


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    write_run(tmp_path / "checkpoints", "baseline")
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        wait_until(lambda: is_ready(client))
        yield client


def is_ready(client: TestClient) -> bool:
    return client.get("/readyz").status_code == 200


def troubles(client: TestClient) -> dict[str, str]:
    """What is wrong, once what was found before is old."""
    wait_until(lambda: not is_ready(client))
    answer = client.get("/readyz").json()
    assert answer["ready"] is False
    return {check["name"]: check["reason"] for check in answer["checks"] if not check["ok"]}


def test_all_is_well(client: TestClient) -> None:
    answer = client.get("/readyz").json()
    assert answer["ready"] is True and answer["runs"] == ["baseline"]
    assert [check["name"] for check in answer["checks"]] == [
        "running",
        "engine",
        "runs",
        "data",
        "jobs",
    ]
    assert all(check["ok"] and check["reason"] is None for check in answer["checks"])
    assert client.get("/healthz").json() == {"status": "ok"}


def test_not_before_it_is_warm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    warm = threading.Event()
    monkeypatch.setattr("app.main._warm_up", warm.wait)
    write_run(tmp_path / "checkpoints", "baseline")
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    with TestClient(create_app(settings)) as client:
        assert troubles(client) == {"engine": "it is warming up"}
        assert client.get("/healthz").status_code == 200, "it is alive and needs only time"
        warm.set()
        wait_until(lambda: is_ready(client))


def test_the_engine_has_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Engine) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Engine, "_expire", broken)
    write_run(tmp_path / "checkpoints", "baseline")
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data")
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        wait_until(lambda: client.get("/healthz").status_code == 503)
        assert client.get("/healthz").json()["error"]["code"] == "engine_stopped"
        assert "engine" in troubles(client)


def test_no_run(client: TestClient, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "checkpoints" / "baseline")
    assert troubles(client) == {"runs": "there is no run that can be read"}
    write_run(tmp_path / "checkpoints", "another")
    wait_until(lambda: is_ready(client))


def test_no_run_that_loads(client: TestClient, tmp_path: Path) -> None:
    weights = tmp_path / "checkpoints" / "baseline" / "model.safetensors"
    weights.write_bytes(b"\0" * weights.stat().st_size)
    assert "runs" in troubles(client)


def test_the_data_folder_cannot_be_written(client: TestClient, tmp_path: Path) -> None:
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    assert "nothing can be written to it" in troubles(client)["data"]
    (tmp_path / "elsewhere").rename(tmp_path / "data")
    wait_until(lambda: is_ready(client))
    assert not [p for p in (tmp_path / "data").iterdir() if p.name.startswith("tmp")]


def test_nothing_looks_after_the_jobs(client: TestClient) -> None:
    queue = client.app.state.queue
    queue._closing = True
    queue._wake.set()
    assert troubles(client) == {"jobs": "nothing looks after the jobs any more"}


def test_the_list_of_jobs_cannot_be_read(client: TestClient) -> None:
    store = client.app.state.queue.store
    with store._lock:
        store._connection.execute("ALTER TABLE jobs RENAME TO gone")
    assert "cannot be read: no such table" in troubles(client)["jobs"]


def test_not_while_it_stops(client: TestClient) -> None:
    assert is_ready(client)
    client.app.state.stopping.begun = True
    answer = client.get("/readyz")
    assert answer.status_code == 503, "at once, whatever was found a moment ago"
    assert answer.json()["checks"][0]["reason"] == "the server has been told to stop"
    client.app.state.stopping.begun = False


def test_a_disk_that_does_not_answer(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = threading.Event()
    monkeypatch.setattr("app.readiness.PATIENCE_S", 0.2)
    monkeypatch.setattr(Inspector, "_of_the_data", lambda _: answers.wait(20) and None)
    found = troubles(client)
    assert found.keys() == {"runs", "data", "jobs"} and "not answered" in found["data"]
    assert client.get("/healthz").status_code == 200
    answers.set()
    wait_until(lambda: is_ready(client))


def test_many_who_ask_cost_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    write_run(tmp_path / "checkpoints", "baseline")
    app = create_app(Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data"))
    with TestClient(app) as client:
        wait_until(lambda: is_ready(client))
        inspector: Inspector = app.state.inspector
        monkeypatch.setattr(inspector, "_of_the_data", lambda: looks.append(1))
        monkeypatch.setattr("app.readiness.GOOD_FOR_S", 60)
        time.sleep(1)

        async def ask() -> None:
            answers = await asyncio.gather(*(inspector.readiness() for _ in range(200)))
            assert all(answer.ready for answer in answers)

        on_a_loop(ask())
    assert len(looks) == 1


def test_a_stranger_learns_no_more_than_whether(tmp_path: Path) -> None:
    write_run(tmp_path / "checkpoints", "secret-run")
    write_run(tmp_path / "checkpoints", "secret-wreck").weights_path().unlink()
    settings = Settings(checkpoints=tmp_path / "checkpoints", data=tmp_path / "data", api_key=KEY)
    with TestClient(create_app(settings)) as client:
        wait_until(lambda: is_ready(client))
        told = client.get("/readyz").json()
        assert told == {"ready": True, "runs": [], "broken": {}, "checks": []}
        key = {"Authorization": f"Bearer {KEY}"}
        assert client.get("/readyz", headers=key).json()["runs"] == ["secret-run"]
