"""Clients that are slow, that never end, or that come in hundreds: each is caused on a socket."""

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.connections import OTHER_FILES, allow_files
from app.settings import Settings
from app.vendor import plotly_js
from tests.conftest import LiveServer, wait_until

SLOW_S = 0.4  # what each of them is given here
LONG_S = 15  # for an answer that must come, however busy the machine

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def settings(checkpoints: Path, data: Path, **fields: Any) -> Settings:
    return Settings(checkpoints=checkpoints, data=data, **fields)


@pytest.fixture(scope="module")
def impatient(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """Everything has little time, and the kernel takes little of what nobody reads."""
    short = settings(
        shared_checkpoints,
        tmp_path_factory.mktemp("data"),
        head_seconds=SLOW_S,
        body_seconds=SLOW_S,
        send_seconds=SLOW_S,
        bytes_per_second=1000,
    )
    with LiveServer(short) as server:
        (listener,) = server._server.servers[0].sockets
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        yield server


@contextmanager
def connected(
    server: LiveServer, sent: bytes = b"", small: bool = False
) -> Iterator[socket.socket]:
    """`small`: with next to no room for what comes."""
    with socket.socket() as client:
        if small:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(LONG_S)
        client.connect(("127.0.0.1", httpx.URL(server.url).port))
        client.sendall(sent)
        yield client


def rest(client: socket.socket) -> bytes:
    """Everything until the server hangs up."""
    parts = []
    try:
        while part := client.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def answer(received: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers, body."""
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    return int(first.split()[1]), headers, body


def error(received: bytes) -> tuple[int, dict[str, Any]]:
    status, headers, body = answer(received)
    assert headers["connection"] == "close"
    assert headers["content-type"] == "application/json"
    (told,) = json.loads(body).items()
    assert told[0] == "error"
    assert set(told[1]) == {"message", "type", "param", "code"}
    return status, told[1]


# Heads


def test_a_connection_that_asks_for_nothing_is_closed(impatient: LiveServer) -> None:
    with connected(impatient) as client:
        assert rest(client) == b""


def test_a_head_that_drips_is_refused(impatient: LiveServer) -> None:
    """A slowloris: each byte comes before anybody would lose patience with the last one."""
    with connected(impatient, b"GET / HTTP/1.1\r\nHost: localhost\r\n") as client:
        client.settimeout(0)
        began = time.monotonic()
        received = b""
        while time.monotonic() - began < LONG_S and not received:
            time.sleep(SLOW_S / 10)
            try:
                client.send(b"X")
                received = client.recv(1 << 16)
            except BlockingIOError:
                continue
        status, told = error(received)
    assert (status, told["code"]) == (408, "request_timeout")
    assert "headers" in told["message"]


def test_the_second_head_has_no_longer_than_the_first(impatient: LiveServer) -> None:
    with connected(impatient, GET) as client:
        assert answer(client.recv(1 << 16))[0] == 200
        client.sendall(b"GET /heal")
        assert error(rest(client))[1]["code"] == "request_timeout"


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 500,  # a browser's https://
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"A: b\r\n" * 30_000,
        b"GET /" + b"a" * 200_000,
        b"GET / HTTP/next\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1e9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST /v1/models HTTP/1.1\r\nHost: [::1]\r\nTransfer-Encoding: chunked\r\n\r\nno\r\n",
    ],
    ids=str.split("tls long-header headers long-target version host minus float two gzip chunk"),
)
def test_what_is_no_request_is_refused_in_the_same_shape(
    impatient: LiveServer, sent: bytes
) -> None:
    with connected(impatient) as client:
        with suppress(ConnectionError):  # it was enough
            client.sendall(sent)
        received = rest(client)
    if received:  # a server that hangs up amid a flood cannot be sure to be heard
        status, told = error(received)
        assert status in {400, 501}
        assert told["code"] == "bad_request"


def test_an_upgrade_is_not_taken(impatient: LiveServer) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    sent = GET.replace(b"\r\n\r\n", b"\r\nSec-WebSocket-Key: eA==\r\n" + upgrade + b"\r\n")
    with connected(impatient, sent) as client:
        assert answer(client.recv(1 << 16))[0] == 200


# Bodies


def post(path: str, length: int) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {length}\r\n\r\n".encode()


@pytest.mark.parametrize(
    "path",
    ["/v1/completions", "/api/attention", "/api/jobs", "/api/corpora?name=slow", "/api/runs"],
)
def test_a_body_that_does_not_come_is_refused(impatient: LiveServer, path: str) -> None:
    with connected(impatient, post(path, 1000) + b'{"model"') as client:
        status, told = error(rest(client))
    assert (status, told["code"]) == (408, "request_timeout")
    assert "only 8 bytes" in told["message"]


def test_a_body_that_drips_is_refused_and_nothing_is_kept_of_it(
    impatient: LiveServer,
) -> None:
    data = impatient.app.state.settings.data
    with connected(impatient, post("/api/corpora?name=drip", 100_000)) as client:
        client.settimeout(0.05)
        received, began = b"", time.monotonic()
        while not received and time.monotonic() - began < LONG_S:
            client.send(b"To be, or ")  # 200 bytes a second, where 1,000 are the least
            try:
                received = client.recv(1 << 16)
            except TimeoutError:
                continue
    assert error(received)[0] == 408
    wait_until(lambda: not list((data / "corpora").glob(".*")))
    names = [text["id"] for text in impatient.http.get("/api/corpora").json()["corpora"]]
    assert names == ["tinyshakespeare"]


def test_a_body_in_parts_has_time_for_its_length(impatient: LiveServer) -> None:
    """Twice as long as `body_seconds`, but not too slow."""
    text = b"To be, or not to be: that is the question.\n" * 50
    with connected(impatient, post("/api/corpora?name=parts", 10 * len(text))) as client:
        for _ in range(10):
            client.sendall(text)
            time.sleep(SLOW_S / 5)
        status, _, body = answer(client.recv(1 << 16))
    assert status == 201
    assert impatient.http.delete(f"/api/corpora/{json.loads(body)['id']}").status_code == 204


def test_the_rest_of_a_refused_body_is_not_waited_for(impatient: LiveServer) -> None:
    with connected(impatient, post("/v1/completions", 10_000_000)) as client:
        received, began = b"", time.monotonic()
        client.settimeout(0.05)
        closed = False
        while not closed and time.monotonic() - began < LONG_S:
            try:
                client.send(b" ")
                part = client.recv(1 << 16)
                received, closed = received + part, not part
            except TimeoutError:
                continue
            except ConnectionError:
                closed = True
    assert answer(received)[0] == 413
    assert closed


# Readers


def test_a_reader_that_stops_is_hung_up_on_and_all_it_held_is_free(
    impatient: LiveServer,
) -> None:
    wanted = {"model": "bigram", "max_tokens": 10_000, "n": 32, "stream": True, "logprobs": 5}
    body = json.dumps(wanted).encode()
    limits = impatient.app.state.client_limits
    with connected(impatient, post("/v1/completions", len(body)) + body, small=True) as client:
        assert client.recv(100)
        wait_until(lambda: limits.clients == 1)
        wait_until(lambda: limits.clients == 0, timeout_s=60)
        wait_until(lambda: impatient.gauge("sequences_active") == 0)
        assert impatient.gauge("sequences_paused") == 0
        assert not rest(client).endswith(b"[DONE]\n\n\r\n0\r\n\r\n")


def test_a_slow_reader_is_waited_for(impatient: LiveServer) -> None:
    """Much longer than `send_seconds` in all, and never too slow."""
    sent = f"GET {plotly_js().url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with connected(impatient, sent.encode(), small=True) as client:
        received, began = client.recv(1000), time.monotonic()
        while time.monotonic() - began < 5 * SLOW_S:
            received += client.recv(10_000)
            time.sleep(SLOW_S / 20)
        received += rest(client)
    assert answer(received)[2] == plotly_js().path.read_bytes()


def test_a_reader_that_never_began_is_hung_up_on(impatient: LiveServer) -> None:
    sent = f"GET {plotly_js().url} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    open_ones = impatient._server.server_state.connections
    with connected(impatient, sent, small=True) as client:
        port = client.getsockname()[1]
        wait_until(lambda: any(one.client[1] == port for one in open_ones))
        wait_until(lambda: not any(one.client[1] == port for one in open_ones), timeout_s=LONG_S)
        assert len(rest(client)) < plotly_js().path.stat().st_size


def test_a_client_that_says_no_more_and_leaves_frees_its_place(impatient: LiveServer) -> None:
    body = json.dumps({"model": "baseline", "max_tokens": 10_000, "stream": True}).encode()
    limits = impatient.app.state.client_limits
    with connected(impatient, post("/v1/completions", len(body)) + body) as client:
        client.shutdown(socket.SHUT_WR)
        rest(client)
        wait_until(lambda: limits.clients == 0)


# Many


def test_idle_connections_make_room(shared_checkpoints: Path, tmp_path: Path) -> None:
    few = settings(shared_checkpoints, tmp_path, max_connections=20, client_connections=10)
    with LiveServer(few) as server, ExitStack() as stack:
        crowd = [stack.enter_context(connected(server)) for _ in range(60)]
        for _ in range(3):
            assert httpx.get(server.url + "/healthz", timeout=LONG_S).status_code == 200
        for client in crowd[:40]:
            assert rest(client) == b"", "the oldest have gone"
        assert len(server._server.server_state.connections) <= 11


@pytest.mark.parametrize(
    ("most", "status", "code"),
    [
        ({"max_connections": 3, "client_connections": 0}, 503, "too_many_connections"),
        ({"max_connections": 9, "client_connections": 3}, 429, "client_limit"),
    ],
)
def test_busy_connections_do_not_make_room(
    shared_checkpoints: Path, tmp_path: Path, most: dict[str, int], status: int, code: str
) -> None:
    unfinished = post("/v1/completions", 100)
    with LiveServer(settings(shared_checkpoints, tmp_path, **most)) as server:
        with ExitStack() as stack:
            busy = [stack.enter_context(connected(server, unfinished)) for _ in range(3)]
            open_ones = server._server.server_state.connections
            wait_until(lambda: sum(one.cycle is not None for one in open_ones) == 3)
            with connected(server, GET) as client:
                received = rest(client)
            assert error(received)[0] == status
            assert error(received)[1]["code"] == code
            assert int(answer(received)[1]["retry-after"]) > 0
            busy[0].close()
            wait_until(lambda: len(open_ones) == 2)
            with connected(server, GET) as client:
                assert answer(client.recv(1 << 16))[0] == 200
        wait_until(lambda: not open_ones)


@pytest.mark.slow
def test_more_connections_than_the_server_takes_cost_it_little(
    shared_checkpoints: Path, tmp_path: Path
) -> None:
    """With the usual settings but for the time, and 1,200 that each begin a head."""
    allow_files(2 * 1200)
    usual = settings(shared_checkpoints, tmp_path, head_seconds=4)
    with LiveServer(usual) as server, ExitStack() as stack:
        open_ones = server._server.server_state.connections
        crowd = [stack.enter_context(connected(server, b"GET / HT")) for _ in range(1200)]
        wait_until(lambda: len(open_ones) <= usual.client_connections)
        for _ in range(5):
            assert httpx.get(server.url + "/healthz", timeout=LONG_S).status_code == 200
        wait_until(lambda: not open_ones, timeout_s=LONG_S)
        told = [rest(client) for client in crowd]
    closed_for_time = [error(received)[1]["code"] for received in told if received]
    assert set(closed_for_time) == {"request_timeout"}


def test_the_limit_of_open_files_is_raised() -> None:
    code = (
        "import resource; from app.connections import allow_files;"
        "_, hard = resource.getrlimit(resource.RLIMIT_NOFILE);"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard)); allow_files(500);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    raised = int(
        subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    )
    wanted = 500 + OTHER_FILES
    assert raised == (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
