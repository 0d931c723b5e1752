"""Few look into runs at a time: whoever has left before it is their turn costs nothing."""

import json
import socket
import threading
from contextlib import suppress

import pytest

from app.main import INSPECTIONS_AT_ONCE
from tests.conftest import LiveServer, wait_until

PATH, FIELDS = "/api/attention/roles", {"run": "baseline", "text": "To be, or not to be"}


def ask_for(server: LiveServer, path: str, fields: dict[str, object]) -> socket.socket:
    """A client that has sent its request and reads nothing."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)))
    body = json.dumps(fields).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


def test_an_analysis_is_not_begun_for_a_client_that_has_left(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, begun = threading.Event(), []

    def slow_scores(window: object) -> None:
        begun.append(window)
        go_on.wait(30)
        raise RuntimeError("enough")

    monkeypatch.setattr("app.routes.analysis.score_heads", slow_scores)
    limiter = live.app.state.inspections
    clients = [ask_for(live, PATH, FIELDS) for _ in range(INSPECTIONS_AT_ONCE)]
    try:
        wait_until(lambda: len(begun) == INSPECTIONS_AT_ONCE)
        left = ask_for(live, PATH, FIELDS)
        wait_until(lambda: limiter.statistics().tasks_waiting == 1)
        left.close()
        wait_until(lambda: limiter.statistics().tasks_waiting == 0)
    finally:
        go_on.set()
        for client in clients:
            with suppress(OSError):
                client.recv(1000)
            client.close()
    wait_until(lambda: limiter.statistics().borrowed_tokens == 0)
    assert len(begun) == INSPECTIONS_AT_ONCE
    wait_until(lambda: live.gauge("models_lent") == 0)
