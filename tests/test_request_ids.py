"""Every answer has an id by which the log knows its request."""

import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from fastapi.testclient import TestClient

from app.engine import Engine
from app.logs.lines import OURS, JsonLines
from app.main import create_app
from app.settings import Settings
from sidelight.client import Sidelight, SidelightError
from tests.conftest import LiveServer, wait_until

KEY = "sk-sidelight-" + "k" * 43
MADE = r"[0-9a-f]{16}"


class Lines:
    """What has been logged, as objects."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[dict]:
        return (json.loads(line) for line in self._stream.getvalue().splitlines())

    def of(self, id: str) -> list[dict]:
        return [line for line in self if line.get("request_id") == id]


@pytest.fixture
def lines() -> Iterator[Lines]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines(KEY))
    loggers = [logging.getLogger(name) for name in OURS]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG)
    yield Lines(stream)
    for logger in loggers:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


@pytest.fixture
def guarded(shared_checkpoints: Path, tmp_path: Path) -> Iterator[TestClient]:
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, api_key=KEY)
    with TestClient(create_app(settings), raise_server_exceptions=False) as client:
        yield client


def test_every_answer_has_an_id(guarded: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr(Engine, "load", broken)
    with_key = {"Authorization": f"Bearer {KEY}"}
    too_large = "x" * 3_000_000
    for status, method, path, headers, body in (
        (200, "GET", "/healthz", {}, None),
        (200, "GET", "/static/js/api.js", {}, None),
        (200, "GET", "/v1/models", with_key, None),
        (401, "GET", "/v1/models", {}, None),
        (403, "POST", "/api/jobs", with_key | {"Origin": "https://elsewhere.example"}, "{}"),
        (404, "GET", "/api/runs/nope", with_key, None),
        (413, "POST", "/v1/completions", with_key, too_large),
        (421, "GET", "/", {"Host": "elsewhere.example"}, None),
        (422, "POST", "/api/attention", with_key, "{}"),
        (500, "GET", "/metrics", with_key, None),
    ):
        answer = guarded.request(method, path, headers=headers, content=body)
        assert answer.status_code == status, path
        assert re.fullmatch(MADE, answer.headers["x-request-id"]), path
        if status == 500:
            assert answer.headers["x-request-id"] in answer.json()["error"]["message"]


def test_a_sane_id_is_kept_and_any_other_replaced(client: TestClient) -> None:
    for id in ("a", "My-Id_0.9", "z" * 64):
        assert client.get("/healthz", headers={"X-Request-Id": id}).headers["x-request-id"] == id
    for id in ("", "z" * 65, "a b", "a\tb", '"', "ä".encode().decode("latin-1"), "../x"):
        answer = client.get("/healthz", headers={"X-Request-Id": id.encode("latin-1")})
        assert re.fullmatch(MADE, answer.headers["x-request-id"])


def test_openais_client_reads_it(live: LiveServer) -> None:
    client = openai.OpenAI(base_url=f"{live.url}/v1", api_key="none", max_retries=0)
    text = client.completions.create(model="baseline", prompt="To", max_tokens=2)
    assert re.fullmatch(MADE, text._request_id or "")
    with pytest.raises(openai.NotFoundError) as refused:
        client.completions.create(model="nope", prompt="To", extra_headers={"X-Request-Id": "mine"})
    assert refused.value.request_id == "mine"


def test_our_client_tells_it(live: LiveServer) -> None:
    with Sidelight(live.url) as client, pytest.raises(SidelightError) as refused:
        client.complete("nope", "To")
    assert re.fullmatch(MADE, refused.value.request_id or "")


def test_a_stream_is_told_of_at_its_end(live: LiveServer, lines: Lines) -> None:
    body = {"model": "baseline", "max_tokens": 5, "stream": True, "n": 2}
    with live.http.stream("POST", "/v1/completions", json=body) as answer:
        id = answer.headers["x-request-id"]
        assert not [line for line in lines.of(id) if "status" in line], "before it is over"
        text = answer.read()
    wait_until(lambda: lines.of(id))
    (line,) = lines.of(id)
    assert (line["tokens"], line["texts"], line["finish"]) == (10, 2, "length")
    assert (line["status"], line["bytes"], line["run"]) == (200, len(text), "baseline")
    assert line["waited_ms"] <= line["duration_ms"]


@pytest.mark.usefixtures("slow_model")
def test_a_reader_who_leaves_is_told_of(live: LiveServer, lines: Lines) -> None:
    body = {"model": "baseline", "max_tokens": 5000, "stream": True}
    headers = {"X-Request-Id": "left"}
    with live.http.stream("POST", "/v1/completions", json=body, headers=headers) as answer:
        next(answer.iter_bytes())
    wait_until(lambda: lines.of("left"))
    (line,) = lines.of("left")
    assert line["finish"] == "cancelled"
    assert line["tokens"] < 5000


def test_threads_log_with_the_id_of_their_request(
    client: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    from app.run_listing import list_runs

    def telling(*args: object) -> object:
        logging.getLogger("sidelight").info("from a thread")
        return list_runs(*args)

    monkeypatch.setattr("app.routes.runs.list_runs", telling)
    client.get("/api/runs", headers={"X-Request-Id": "with-a-thread"})
    messages = {line["message"] for line in lines.of("with-a-thread")}
    assert messages == {"from a thread", "GET /api/runs"}


def test_a_failure_is_one_line_with_its_trace(
    client: TestClient, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("first\nsecond")

    monkeypatch.setattr("app.routes.runs.list_runs", broken)
    id = client.get("/api/runs").headers["x-request-id"]
    failed, line = lines.of(id)
    assert "RuntimeError: first\nsecond" in failed["trace"]
    assert (line["status"], line["code"], line["level"]) == (500, "internal_error", "warning")


def test_the_line_names_the_key_and_never_tells_it(guarded: TestClient, lines: Lines) -> None:
    answer = guarded.get("/api/runs/baseline", headers={"Authorization": f"Bearer {KEY}"})
    (line,) = lines.of(answer.headers["x-request-id"])
    assert line["key"] == "SIDELIGHT_API_KEY"
    assert (line["route"], line["path"]) == ("/api/runs/{id}", "/api/runs/baseline")


def test_addresses_can_be_left_out(shared_checkpoints: Path, tmp_path: Path, lines: Lines) -> None:
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, log_clients=False)
    with TestClient(create_app(settings)) as client:
        id = client.get("/v1/models").headers["x-request-id"]
    assert "client" not in lines.of(id)[0]


def test_no_path_passes_for_fields(client: TestClient, lines: Lines) -> None:
    id = client.get("/a%20status=200%0akey=admin").headers["x-request-id"]
    (line,) = lines.of(id)
    assert line["message"] == "GET /a%20status%3D200%0Akey%3Dadmin"
    assert line["path"] == "/a status=200\nkey=admin"
