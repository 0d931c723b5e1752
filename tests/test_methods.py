"""HEAD, OPTIONS, and methods that an address does not take: the same for every address."""

import time
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from tests.conftest import LiveServer

PAGES = ["/", "/runs", "/runs/report", "/learn", "/docs", "/static/js/api.js"]
LISTS = ["/v1/models", "/api/runs", "/api/jobs", "/api/presets", "/healthz", "/openapi.json"]


def described(client: TestClient) -> list[tuple[str, set[str]]]:
    """Every address of the API, with what stands for an id filled in, and its methods."""
    paths: dict[str, Any] = client.get("/openapi.json").json()["paths"]
    return [
        (path.replace("{id}", "baseline"), {method.upper() for method in methods})
        for path, methods in paths.items()
    ]


@pytest.mark.parametrize("path", [*PAGES, *LISTS, "/api/runs/baseline", "/api/runs/none"])
def test_head_is_get_without_the_body(live: LiveServer, path: str) -> None:
    head, got = live.http.head(path), live.http.get(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    for name in ("content-type", "content-length", "cache-control", "etag", "vary"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_head_leaves_the_connection_as_it_should_be(live: LiveServer) -> None:
    """No byte of a body is left over that the next answer would begin with."""
    limits = httpx.Limits(max_connections=1)
    with httpx.Client(base_url=live.url, limits=limits) as http:
        for _ in range(3):
            assert http.head("/api/runs").status_code == 200
            assert http.get("/healthz").json() == {"status": "ok"}


def test_head_of_a_stream_without_end_comes_to_an_end(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def forever(_self: object, _id: str, _after: str | None) -> Any:
        try:
            while True:
                yield b": still here\n\n"
        finally:
            closed.append(True)

    monkeypatch.setattr("app.jobs.events.Watchers.events", forever)
    monkeypatch.setattr("app.jobs.queue.JobQueue.job", lambda _self, id: id)
    answer = live.http.head("/api/jobs/any/events", timeout=10)
    assert answer.headers["content-type"].startswith("text/event-stream")
    deadline = time.monotonic() + 10
    while not closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert closed, "the stream goes on with nobody to read it"


def test_options_tells_the_methods(client: TestClient) -> None:
    for path, methods in described(client):
        answer = client.options(path)
        assert (answer.status_code, answer.content) == (204, b""), path
        allowed = set(answer.headers["allow"].split(", "))
        assert allowed >= methods | {"OPTIONS"}, path
        assert ("HEAD" in allowed) == ("GET" in allowed)
    assert client.options("/static/js/api.js").headers["allow"] == "GET, HEAD, OPTIONS"
    assert client.options("/nothing/here").status_code == 404


def test_other_methods_are_refused_in_the_one_shape(client: TestClient) -> None:
    for path in [*(path for path, _ in described(client)), "/", "/static/js/api.js"]:
        answer = client.put(path)
        error = answer.json()["error"]
        assert (answer.status_code, error["code"]) == (405, "method_not_allowed"), path
        assert answer.headers["allow"] == client.options(path).headers["allow"]
        assert f"{path} takes {answer.headers['allow']}" in error["message"]


def test_a_browser_gets_a_page_that_has_the_methods_too(client: TestClient) -> None:
    answer = client.post("/learn", headers={"Accept": "text/html"})
    assert answer.status_code == 405
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("path", ["/api/runs/", "/learn/"])
def test_a_slash_at_the_end_leads_to_the_address_without(client: TestClient, path: str) -> None:
    assert client.get(path).history[0].status_code == 307
    assert client.get(path).url.path == path.rstrip("/")


@pytest.mark.parametrize(("path", "status"), [("/v1/completions", 400), ("/api/attention", 422)])
@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", ""])
def test_a_body_that_is_not_said_to_be_json(
    client: TestClient, path: str, status: int, content_type: str
) -> None:
    body = '{"run": "baseline", "model": "baseline", "text": "To be"}'
    answer = client.post(path, content=body, headers={"Content-Type": content_type})
    assert answer.status_code == status
    assert "Content-Type: application/json" in answer.json()["error"]["message"]


@pytest.mark.parametrize("accept", ["image/png", "text/html", "*/*", "nonsense", ""])
def test_what_cannot_be_accepted_is_sent_as_json(client: TestClient, accept: str) -> None:
    body = {"run": "baseline", "text": "Oh"}
    for answer in (
        client.get("/api/runs", headers={"Accept": accept}),
        client.post("/api/attention", json=body, headers={"Accept": accept}),
        client.get("/api/runs/none", headers={"Accept": accept}),
    ):
        assert answer.headers["content-type"] == "application/json"
