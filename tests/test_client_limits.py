"""What one client may have: in itself by a clock of the test's own, and as a client sees it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import strategies as st

from app import client_limits
from app.client_limits import Bucket, ClientLimits, client_of
from app.completion import Answer
from app.errors import ClientLimit, InvalidRequest
from app.main import create_app
from app.settings import Settings
from tests.conftest import LiveServer, wait_until

URL = "/v1/completions"
SHORT = {"model": "baseline", "prompt": "To", "max_tokens": 3}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(sequences: int = 0, requests: int = 0) -> tuple[ClientLimits, list[str]]:
    refused: list[str] = []
    return ClientLimits(sequences, requests, refused.append, Clock()), refused


# Requests in a minute


@given(
    per_minute=st.sampled_from([1, 2, 3, 7, 60]),
    # Pauses, most of them none, in 64ths of a second: floats are exact and nothing is nearly full.
    requests=st.lists(
        st.tuples(st.just(0) | st.just(0) | st.integers(0, 64 * 200), st.sampled_from("aaab")),
        max_size=100,
    ),
)
@example(per_minute=1, requests=[(0, "a"), (64 * 200, "a"), (0, "a")])  # silence saves up no more
def test_a_bucket_is_a_token_bucket(per_minute: int, requests: list[tuple[int, str]]) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    full = Fraction(per_minute)
    tokens, last = {"a": full, "b": full}, {"a": 0, "b": 0}
    ticks = 0
    for pause, client in requests:
        ticks += pause
        clock.now = 1000 + ticks / 64
        refilled = tokens[client] + Fraction(ticks - last[client], 64) * per_minute / 60
        tokens[client], last[client] = min(full, refilled), ticks
        taken = bucket.take(client) == 0
        assert taken == (tokens[client] >= 1)
        tokens[client] -= taken


@given(per_minute=st.integers(1, 10_000), after=st.floats(0, 100))
def test_who_waits_as_long_as_told_is_let_in(per_minute: int, after: float) -> None:
    clock = Clock()
    bucket = Bucket(per_minute, clock)
    for _ in range(per_minute):
        assert bucket.take("a") == 0
    clock.now += after
    while not (wait_s := bucket.take("a")):
        pass
    assert 0 < wait_s <= 60 / per_minute + 1e-6
    clock.now += wait_s
    assert bucket.take("a") == 0


def test_silent_clients_are_forgotten() -> None:
    clock = Clock()
    bucket = Bucket(2, clock)
    for i in range(100):
        bucket.take(str(i))
    assert bucket.clients == 100
    clock.now += 20
    bucket.take("0")
    clock.now += 20
    bucket.take("new")
    assert bucket.clients == 2, "of the others each is full again"


def test_no_more_clients_are_remembered_than_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_limits, "MOST_CLIENTS", 10)
    bucket = Bucket(1, Clock())
    for i in range(1000):
        assert bucket.take(str(i)) == 0
        assert bucket.clients <= 10
    assert bucket.take("999") > 0, "whoever came last is remembered"


def test_a_refused_request_says_when_to_come_back() -> None:
    limited, refused = limits(requests=2)
    for _ in range(2):
        limited.admit("a")
    with pytest.raises(ClientLimit, match="2 requests a minute: try again in 30 seconds") as error:
        limited.admit("a")
    assert error.value.headers == {"Retry-After": "30"}
    assert refused == ["requests"]
    limited.admit("b")


# Texts at once


@given(st.data())
def test_nobody_has_more_places_than_they_may(data: st.DataObject) -> None:
    limited, refused = limits(sequences=5)
    open_places: list[tuple[str, int, ExitStack]] = []
    for _ in range(data.draw(st.integers(0, 30))):
        if open_places and data.draw(st.booleans()):
            open_places.pop(data.draw(st.integers(0, len(open_places) - 1)))[2].close()
            continue
        client, count = data.draw(st.sampled_from("ab")), data.draw(st.integers(1, 5))
        held = sum(number for name, number, _ in open_places if name == client)
        stack = ExitStack()
        turned_away = len(refused)
        try:
            stack.enter_context(limited.places(client, count))
        except ClientLimit:
            assert held + count > 5
            assert len(refused) == turned_away + 1
        else:
            assert held + count <= 5
            open_places.append((client, count, stack))
        assert limited.clients == len({name for name, _, _ in open_places})
    for _, _, stack in open_places:
        stack.close()
    assert limited.clients == 0


def test_places_are_free_after_an_error() -> None:
    limited, _ = limits(sequences=1)
    with pytest.raises(RuntimeError), limited.places("a", 1):
        raise RuntimeError
    with limited.places("a", 1):
        pass


def test_more_than_one_may_ever_have_is_a_wrong_request() -> None:
    limited, refused = limits(sequences=2)
    with pytest.raises(InvalidRequest, match="may have 2 texts at once, not 3"):
        limited.places("a", 3).__enter__()
    assert not refused


def test_zero_is_no_limit() -> None:
    limited, _ = limits()
    with limited.places("a", 10_000), limited.places("a", 10_000):
        for _ in range(1000):
            limited.admit("a")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("2001:db8::1", "2001:db8::2:3:4:5", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("testclient", "other", False),
        ("", "", True),
    ],
)
def test_an_address_counts_as_a_client(one: str, other: str, same: bool) -> None:
    assert (client_of(one) == client_of(other)) == same


# Over HTTP


@pytest.fixture(scope="module")
def limited_app(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TestClient]:
    """Two texts at once."""
    data = tmp_path_factory.mktemp("data")
    app = create_app(Settings(checkpoints=shared_checkpoints, data=data, client_sequences=2))
    with TestClient(app) as client:
        yield client


def clients(client: TestClient) -> int:
    return client.app.state.client_limits.clients


def test_too_many_requests_in_a_minute(shared_checkpoints: Path, tmp_path: Path) -> None:
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, client_requests_per_minute=3)
    with TestClient(create_app(settings)) as client:
        assert client.post(URL, json=SHORT).status_code == 200
        assert client.post(URL, json={"model": "nope"}).status_code == 404
        asked = {"run": "baseline", "text": "To be", "layers": [0]}
        assert client.post("/api/attention", json=asked).status_code == 200
        for path, body in ((URL, SHORT), ("/api/attention", asked), ("/api/attention/roles", {})):
            answer = client.post(path, json=body)
            assert answer.status_code == 429
            assert 1 <= int(answer.headers["Retry-After"]) <= 20
            error = answer.json()["error"]
            assert (error["type"], error["code"]) == ("rate_limit_error", "client_limit")
            assert "3 requests a minute" in error["message"]
        for path in ("/v1/models", "/api/runs", "/healthz", "/"):
            assert client.get(path).status_code == 200
        metrics = client.get("/metrics").text
        assert 'sidelight_client_refusals_total{limit="requests"} 3.0' in metrics
        neighbour = TestClient(client.app, client=("10.0.0.2", 1))
        assert neighbour.post(URL, json=SHORT).status_code == 200


def test_too_many_texts_at_once(limited_app: TestClient) -> None:
    with limited_app.app.state.client_limits.places("testclient", 1):
        answer = limited_app.post(URL, json=SHORT | {"n": 2})
        assert answer.status_code == 429
        assert int(answer.headers["Retry-After"]) > 0
        assert "1 of 2 texts at once and this request needs 2" in answer.json()["error"]["message"]
        assert limited_app.post(URL, json=SHORT).status_code == 200
    assert limited_app.post(URL, json=SHORT | {"n": 2}).status_code == 200
    answer = limited_app.post(URL, json=SHORT | {"prompt": ["To", "be"], "n": 2})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "prompt")


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, 200),
        ({"stream": True}, 200),
        ({"model": "nope"}, 404),
        ({"prompt": "€"}, 400),
        ({"max_tokens": 0, "echo": True}, 200),
    ],
)
def test_places_are_free_however_a_request_ends(
    limited_app: TestClient, fields: dict[str, Any], status: int
) -> None:
    assert limited_app.post(URL, json=SHORT | fields).status_code == status
    assert clients(limited_app) == 0


def test_a_place_is_held_until_a_stream_ends(
    limited_app: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    during: list[int] = []

    async def events(_: Answer) -> AsyncIterator[bytes]:
        for _ in range(2):
            during.append(clients(limited_app))
            yield b"data: {}\n\n"

    monkeypatch.setattr(Answer, "events", events)
    limited_app.post(URL, json=SHORT | {"stream": True})
    assert during == [1, 1]
    assert clients(limited_app) == 0


@pytest.fixture(scope="module")
def live_limited(
    shared_checkpoints: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """One text at once, on a port."""
    data = tmp_path_factory.mktemp("data")
    settings = Settings(checkpoints=shared_checkpoints, data=data, client_sequences=1)
    with LiveServer(settings) as server:
        yield server


def test_openai_client_knows_the_limit(live_limited: LiveServer) -> None:
    judge = openai.OpenAI(base_url=f"{live_limited.url}/v1", api_key="none", max_retries=0)
    with (
        live_limited.app.state.client_limits.places("127.0.0.1", 1),
        pytest.raises(openai.RateLimitError) as refused,
    ):
        judge.completions.create(**SHORT)
    assert (refused.value.type, refused.value.code) == ("rate_limit_error", "client_limit")
    assert int(refused.value.response.headers["retry-after"]) > 0
    assert judge.completions.create(**SHORT).choices


def test_a_client_that_leaves_frees_its_places(live_limited: LiveServer) -> None:
    body = SHORT | {"max_tokens": 10_000, "stream": True}
    with live_limited.http.stream("POST", URL, json=body) as answer:
        assert answer.status_code == 200
        lines = answer.iter_lines()
        next(lines)
    wait_until(lambda: live_limited.app.state.client_limits.clients == 0, timeout_s=2)


def test_a_client_is_who_a_trusted_proxy_says(
    shared_checkpoints: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, client_sequences=1)
    with LiveServer(settings) as server, server.app.state.client_limits.places("10.1.1.1", 1):
        assert status_for(server, "10.1.1.1") == 429
        assert status_for(server, "10.1.1.2") == 200
        assert status_for(server) == 200


def test_nobody_is_believed_to_be_another(live_limited: LiveServer) -> None:
    """Also not who is on the same machine."""
    with live_limited.app.state.client_limits.places("127.0.0.1", 1):
        assert status_for(live_limited) == 429
        assert status_for(live_limited, "10.1.1.2") == 429


def status_for(server: LiveServer, *forwarded: str) -> int:
    headers = [("X-Forwarded-For", address) for address in forwarded]
    return httpx.post(server.url + URL, json=SHORT, headers=headers).status_code
