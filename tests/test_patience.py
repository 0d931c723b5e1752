"""What is worked out about a run stops once its time is up, or nobody waits for it any more."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import Tensor

from app.settings import Settings
from model.gpt import Block
from tests.conftest import LiveServer, wait_until, write_run
from tests.test_waiting_analysis import ask_for

SECONDS = 1.0
READ: dict[str, object] = {"run": "baseline", "text": "To be"}
WRITTEN: dict[str, object] = {**READ, "heads": [[0, 0]], "generate": 500}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    write_run(tmp_path / "checkpoints", "baseline")
    settings = Settings(
        checkpoints=tmp_path / "checkpoints", data=tmp_path / "data", analysis_seconds=SECONDS
    )
    with LiveServer(settings) as server:
        yield server


@pytest.fixture
def slow_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them take longer than all that it may."""
    forward = Block.forward

    def slow(block: Block, *given: object, **named: object) -> Tensor:
        time.sleep(0.6 * SECONDS)
        return forward(block, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(Block, "forward", slow)


def require_deadline(server: LiveServer, path: str, body: dict[str, object]) -> None:
    began = time.monotonic()
    answer = server.http.post(path, json=body)
    assert answer.status_code == 503, answer.text
    error = answer.json()["error"]
    assert (error["code"], error["type"]) == ("deadline", "server_error")
    assert "longer than 1 seconds" in error["message"]
    assert int(answer.headers["retry-after"]) > 0
    assert time.monotonic() - began < 5 * SECONDS
    assert server.gauge("models_lent") == 0


@pytest.mark.usefixtures("slow_layers")
def test_reading_that_takes_too_long_is_ended_and_said(server: LiveServer) -> None:
    require_deadline(server, "/api/learn/dropout", READ)
    require_deadline(server, "/api/attention/ablation", WRITTEN)


@pytest.mark.usefixtures("slow_model")
def test_writing_that_takes_too_long_is_ended_and_said(server: LiveServer) -> None:
    require_deadline(server, "/api/attention/ablation", WRITTEN)
    assert server.http.post("/api/attention", json=READ).status_code == 200


@pytest.mark.usefixtures("slow_model")
def test_nothing_is_worked_out_for_a_client_that_has_left(server: LiveServer) -> None:
    settings = server.app.state.settings
    server.app.state.settings = settings.model_copy(update={"analysis_seconds": 3600})
    client = ask_for(server, "/api/attention/ablation", WRITTEN)  # of five seconds
    wait_until(lambda: server.gauge("models_lent") == 1)
    client.close()
    wait_until(lambda: server.gauge("models_lent") == 0, 3)
