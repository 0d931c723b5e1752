"""An engine whose thread cannot go on: whoever waits is told, and the server is not ready."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from app.engine import Engine
from app.errors import EngineStopped, ShuttingDown
from app.main import create_app
from app.settings import Settings
from model.kernels.compiling import compiled
from tests.conftest import on_a_loop, wait_until
from tests.small_kernel import doubled
from tests.stand_in_batch import Counting, Gate
from tests.test_engine import Heard, read, task

PROMPT = {"model": "baseline", "prompt": "To be", "max_tokens": 5}


def fails() -> None:
    raise SystemError("the kernels cannot be compiled")


def test_a_warm_up_that_fails_is_told_to_everybody() -> None:
    engine = Engine(2, 2, Heard(), warm_up=fails)
    wait_until(lambda: engine.trouble)

    async def ask() -> None:
        with pytest.raises(EngineStopped, match="start it again"):
            engine.submit([task(Counting())])

    on_a_loop(ask())
    assert not engine.is_warm
    engine.close()


def test_who_waits_for_a_warm_up_that_fails_waits_no_longer() -> None:
    gate = Gate()

    def fails_later() -> None:
        gate()
        fails()

    engine = Engine(2, 2, Heard(), warm_up=fails_later)

    async def ask() -> None:
        writing = engine.submit([task(Counting())])
        gate.open(1)
        with pytest.raises(EngineStopped):
            await read(writing)

    on_a_loop(ask())
    engine.close()


def test_a_thread_that_dies_takes_nobody_along_unheard() -> None:
    heard = Heard()
    engine = Engine(1, 2, heard)

    def dies(*_: object) -> None:
        raise SystemError("something that nobody thought of")

    heard.advanced = dies  # type: ignore[method-assign]

    async def ask() -> None:
        both = engine.submit([task(Counting(), 1000), task(Counting(), 1000)])
        with pytest.raises(EngineStopped):
            await read(both)
        with pytest.raises(EngineStopped):
            engine.submit([task(Counting())])

    on_a_loop(ask())
    assert engine.trouble and engine.load().active == engine.load().waiting == 0
    engine.close()


@pytest.fixture
def stopped(shared_checkpoints: Path, tmp_path: Path, monkeypatch) -> TestClient:
    monkeypatch.setattr("app.main._warm_up", fails)
    return TestClient(create_app(Settings(checkpoints=shared_checkpoints, data=tmp_path)))


def test_the_server_is_not_ready_and_refuses_instead_of_hanging(stopped: TestClient) -> None:
    with stopped as api:
        wait_until(lambda: api.app.state.engine.trouble)
        answer = api.post("/v1/completions", json=PROMPT)
        assert answer.status_code == 503
        assert answer.json()["error"]["code"] == "engine_stopped"
        assert api.get("/readyz").status_code == 503
        assert api.get("/healthz").status_code == 503, "it gets no better by waiting"
        assert api.post("/api/attention", json={"run": "baseline", "text": "a"}).status_code == 200


def test_what_waits_is_refused_at_once_and_what_is_written_has_its_time() -> None:
    engine, gate = Engine(1, 2, Heard()), Gate()

    async def stop() -> None:
        written = engine.submit([task(Counting(before_step=gate), 3)])
        waits = engine.submit([task(Counting(), 3)])
        engine.refuse()
        with pytest.raises(ShuttingDown):
            await read(waits)
        with pytest.raises(ShuttingDown):
            engine.submit([task(Counting())])
        gate.open(10)
        assert (await read(written))[0][1] == "length"

    on_a_loop(stop())
    engine.close()


def test_closing_does_not_wait_for_a_turn_without_end(monkeypatch) -> None:
    monkeypatch.setattr("app.engine.LAST_TURN_S", 0.2)
    engine, gate = Engine(1, 1, Heard()), Gate()

    async def stop() -> None:
        writing = engine.submit([task(Counting(before_step=gate), 3)])
        began = time.monotonic()
        engine.close()
        assert time.monotonic() - began < 5
        with pytest.raises(ShuttingDown):
            await read(writing)

    on_a_loop(stop())
    gate.open(10)


def broken_cache(folder: Path) -> None:
    for path in folder.rglob("*.nb?"):
        path.write_bytes(b"garbage")


def torn_cache(folder: Path) -> None:
    for path in folder.rglob("*.nb?"):
        path.write_bytes(path.read_bytes()[:20])


def no_folder(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    folder.write_text("a file where the cache should be")


@pytest.mark.parametrize("damage", [broken_cache, torn_cache, no_folder])
def test_a_cache_of_kernels_that_cannot_be_used_is_made_anew(
    tmp_path: Path, monkeypatch, damage: Callable[[Path], None]
) -> None:
    """With a small kernel, since compiling all of them takes long; they are kept the same way."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(folder))
    assert compiled(doubled)(21.0) == 42
    assert list(folder.rglob("*.nbi"))
    before = compiled(doubled)
    assert before(21.0) == 42 and sum(before.stats.cache_hits.values()) == 1
    damage(folder)
    again = compiled(doubled)
    assert again(21.0) == 42


def test_a_disk_that_fills_while_kernels_are_compiled_keeps_nobody_from_writing(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    kernel = compiled(doubled)
    broken_cache(tmp_path)
    monkeypatch.setattr("numba.core.caching.os.replace", full_disk)
    assert kernel(21.0) == 42


def full_disk(*_: object) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        full.write(b"x")
