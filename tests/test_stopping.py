"""A server that is told to stop says so to everybody who waits, and is gone soon."""

import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from tests.conftest import wait_until, write_run
from tests.server_process import ServerProcess, begin_job, end_jobs, job_process

pytestmark = pytest.mark.slow

LONG = {"model": "baseline", "prompt": "To be", "max_tokens": 5000, "stream": True}
WITHIN_S = 10


class Reader(threading.Thread):
    """Sends one request, and reads its answer to the end, whatever that is."""

    def __init__(self, url: str, path: str, body: dict[str, Any] | None = None) -> None:
        super().__init__(daemon=True)
        self._url, self._body = url + path, body
        self.lines: list[str] = []
        self.status = 0
        self.headers: Any = {}
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        method = "POST" if self._body else "GET"
        try:
            with httpx.stream(method, self._url, json=self._body, timeout=60) as answer:
                self.status, self.headers = answer.status_code, answer.headers
                for line in answer.iter_lines():
                    self.lines.append(line)
        except httpx.HTTPError as error:
            self.error = error

    @property
    def events(self) -> list[Any]:
        return [json.loads(line[6:]) for line in self.lines if line.startswith("data: {")]


class SlowReader:
    """Asks for a stream and does not read it."""

    def __init__(self, url: str, body: dict[str, Any]) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect((host, int(port)))
        content = json.dumps(body).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        self.socket.sendall(head.encode() + content)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    write_run(tmp_path / "checkpoints", "baseline")
    yield tmp_path
    end_jobs(tmp_path)


def test_everybody_is_told_and_the_job_goes_on(root: Path) -> None:
    options = {"max_active": 2, "max_waiting": 20, "client_sequences": 0, "shutdown_seconds": 1}
    with ServerProcess(root, "slow-writing", "endless-reading", **options) as server:
        training = begin_job(server)
        streams = [Reader(server.url, "/v1/completions", LONG) for _ in range(2)]
        wait_until(lambda: all(len(stream.lines) > 4 for stream in streams))
        waiting = Reader(server.url, "/v1/completions", LONG | {"stream": False})
        slow = SlowReader(server.url, LONG)
        watcher = Reader(server.url, f"/api/jobs/{training}/events")
        reading = Reader(server.url, "/api/attention", {"run": "baseline", "text": "To be"})
        judge = openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0)
        known = judge.completions.create(**LONG)
        wait_until(lambda: watcher.lines)
        wait_until(lambda: b"sequences_waiting 3" in server.http.get("/metrics").content)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        said = readiness_until_it_is_gone(server)
        assert server.process.wait(WITHIN_S) == 0
        assert time.monotonic() - began < WITHIN_S
        assert said[-1] == 503, "whoever balances load hears of it before nobody answers"
        slow.socket.close()
        for reader in (*streams, waiting, watcher, reading):
            reader.join(5)
            assert not reader.is_alive() and reader.error is None
        for stream in streams:
            assert stream.status == 200
            assert stream.events[-1]["error"]["code"] == "shutting_down"
            assert "".join(each["choices"][0]["text"] for each in stream.events[:-1])
        for refused in (waiting, reading):
            assert refused.status == 503 and refused.headers["retry-after"]
            assert json.loads("".join(refused.lines))["error"]["code"] == "shutting_down"
        assert "event: stopping" in watcher.lines and watcher.status == 200
        assert watcher.events[-1]["error"]["code"] == "shutting_down"
        with pytest.raises(openai.APIError, match="shutting down"):
            list(known)
        with pytest.raises(httpx.ConnectError):
            httpx.get(server.url)
        assert "Traceback" not in server.errors, server.errors
    process = job_process(root / "data", training)
    assert process is not None and process.is_running(), "the job goes on by itself"


def readiness_until_it_is_gone(server: ServerProcess) -> list[int]:
    said = []
    with suppress(httpx.TransportError):
        while True:
            said.append(server.http.get("/readyz").status_code)
    return said
