"""Few look into runs at a time: whoever has left before it is their turn costs nothing."""

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from app.main import INSPECTIONS_AT_ONCE
from tests.conftest import LiveServer, wait_until

PATH, FIELDS = "/api/attention/roles", {"run": "baseline", "text": "To be, or not to be"}


def ask_for(server: LiveServer, path: str, fields: Mapping[str, object]) -> socket.socket:
    """A client that has sent its request and reads nothing."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)))
    body = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


@pytest.fixture
def taken(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """All places are: the analyses that have begun, and go on until the test is over."""
    go_on, begun = threading.Event(), []

    def slow_scores(window: object) -> None:
        begun.append(window)
        go_on.wait(30)
        raise RuntimeError("enough")

    monkeypatch.setattr("app.routes.analysis.score_heads", slow_scores)
    clients = [ask_for(live, PATH, FIELDS) for _ in range(INSPECTIONS_AT_ONCE)]
    try:
        wait_until(lambda: len(begun) == INSPECTIONS_AT_ONCE)
        yield begun
    finally:
        go_on.set()
        for client in clients:
            with suppress(OSError):
                client.recv(1000)
            client.close()
    wait_until(lambda: live.app.state.inspections.statistics().borrowed_tokens == 0)
    wait_until(lambda: live.gauge("models_lent") == 0)


def test_an_analysis_is_not_begun_for_a_client_that_has_left(
    live: LiveServer, taken: list[object]
) -> None:
    waiting = live.app.state.inspections.statistics
    left = ask_for(live, PATH, FIELDS)
    wait_until(lambda: waiting().tasks_waiting == 1)
    left.close()
    wait_until(lambda: waiting().tasks_waiting == 0)
    assert len(taken) == INSPECTIONS_AT_ONCE


@pytest.mark.usefixtures("taken")
def test_whoever_waits_holds_no_model(live: LiveServer) -> None:
    waiting = live.app.state.inspections.statistics
    side = {"run": "baseline"}
    scored = {"model": "baseline", "prompt": "To be", "echo": True, "max_tokens": 0, "logprobs": 1}
    clients = [
        ask_for(live, PATH, FIELDS),
        ask_for(live, "/api/attention", FIELDS),
        ask_for(live, "/api/attention/comparison", {"text": "To be", "a": side, "b": side}),
        ask_for(live, "/v1/completions", scored),
    ]
    wait_until(lambda: waiting().tasks_waiting == len(clients))
    assert live.gauge("models_lent") == INSPECTIONS_AT_ONCE
    for client in clients:
        client.close()
    wait_until(lambda: waiting().tasks_waiting == 0)
