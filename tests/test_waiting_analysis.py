"""Few look into runs at a time: whoever has left before it is their turn costs nothing."""

import json
import socket
import threading
from contextlib import suppress

import pytest

from app.main import INSPECTIONS_AT_ONCE
from tests.conftest import LiveServer, wait_until

BODY = json.dumps({"run": "baseline", "text": "To be, or not to be"}).encode()


def ask(server: LiveServer) -> socket.socket:
    """A client that has sent its request and reads nothing."""
    host, _, port = server.url.removeprefix("http://").partition(":")
    client = socket.create_connection((host, int(port)))
    head = (
        f"POST /api/attention/roles HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    )
    client.sendall(f"{head}Content-Length: {len(BODY)}\r\n\r\n".encode() + BODY)
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
    clients = [ask(live) for _ in range(INSPECTIONS_AT_ONCE)]
    try:
        wait_until(lambda: len(begun) == INSPECTIONS_AT_ONCE)
        left = ask(live)
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
