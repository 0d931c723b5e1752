"""Every route there is, from outside: nobody without a key, no key without the right, no gap.

A new route fails here until somebody has said, in the table below, what it needs.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx import Response
from starlette.routing import BaseRoute, Mount, Route

from app.main import create_app
from app.security.access import COOKIE
from app.settings import Settings
from tests.conftest import write_run
from tests.keyed import bearer, keyed_client, make_keys

# What anybody may ask, key or not.
PUBLIC = """
    GET /healthz
    GET /readyz
    GET /sign-in
    POST /sign-in
    POST /sign-out
    GET /static/js/api.js
    GET /static/vendor/{name}
"""
# What changes nothing: `read` is enough.
READ = """
    GET /
    GET /attention
    GET /runs
    GET /runs/report
    GET /train
    GET /learn
    GET /learn/{slug}
    GET /docs
    GET /openapi.json
    GET /metrics
    GET /v1/models
    GET /v1/models/{id}
    GET /api/runs
    GET /api/runs/{id}
    GET /api/runs/{id}/export
    GET /api/report
    GET /api/corpora
    GET /api/corpora/{id}
    GET /api/jobs
    GET /api/jobs/{id}
    GET /api/jobs/{id}/events
    GET /api/jobs/{id}/log
    GET /api/sweeps
    GET /api/sweeps/{id}
    GET /api/learn/orders
    GET /api/learn/parts
    GET /api/presets
    GET /api/config-schema
"""
# What has runs write, or looks inside them: `generate`.
GENERATE = """
    POST /v1/completions
    POST /v1/chat/completions
    POST /v1/responses
    POST /api/attention
    POST /api/attention/roles
    POST /api/attention/comparison
    POST /api/attention/inside
    POST /api/attention/distribution
    POST /api/attention/ablation
    POST /api/attention/importance
    POST /api/learn/self-attention
    POST /api/learn/cross-attention
    POST /api/learn/attend
    POST /api/learn/depth
    POST /api/learn/dropout
    POST /api/learn/activations
    POST /api/learn/head-diversity
    POST /api/learn/next-token
    POST /api/learn/encoding
    POST /api/learn/batch
"""
# What changes something: `train`.
TRAIN = """
    POST /api/runs
    PATCH /api/runs/{id}
    POST /api/corpora
    DELETE /api/corpora/{id}
    POST /api/jobs
    POST /api/jobs/check
    DELETE /api/jobs/{id}
    POST /api/jobs/{id}/cancel
    POST /api/jobs/{id}/resume
    POST /api/sweeps
    POST /api/sweeps/check
    POST /api/sweeps/{id}/cancel
"""
# Of those that are not GET, what takes no body.
NO_BODY = """
    POST /sign-out
    POST /v1/chat/completions
    POST /v1/responses
    DELETE /api/corpora/{id}
    DELETE /api/jobs/{id}
    POST /api/jobs/{id}/cancel
    POST /api/jobs/{id}/resume
    POST /api/sweeps/{id}/cancel
"""
WHAT_TO_DO = (
    "in tests/test_every_route.py enter each under what it needs, and see that "
    "app/security/rights.py says the same:\n"
)

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FORM = "application/x-www-form-urlencoded"
NOTHING = {404, 405, 307, 204}  # 204 to OPTIONS
LIMIT = 10_000  # bytes of a body, in these tests


def lines(table: str) -> list[str]:
    return [line.strip() for line in table.strip().splitlines()]


def routes(parts: Sequence[BaseRoute]) -> Iterator[str]:
    """Each as `GET /path`, whatever it lies in. A kind that is not known here fails."""
    for part in parts:
        if isinstance(part, Mount) and part.path == "/static":
            yield "GET /static/js/api.js"
        elif isinstance(part, Route):
            for method in (part.methods or set()) - {"HEAD", "OPTIONS"}:
                yield f"{method} {part.path}"
        else:
            inner = getattr(part, "original_router", None)
            assert inner is not None, f"what is a {type(part).__name__}? Teach this test about it."
            yield from routes(inner.routes)


def example(line: str) -> tuple[str, str]:
    """Method and an address that fits the route."""
    method, path = line.split(" ", 1)
    path = path.replace("/learn/{slug}", "/learn/hypotheses")
    return method, re.sub(r"\{\w+(:\w+)?\}", "baseline", path)


def ask(client: TestClient, line: str, **options: Any) -> Response:
    method, path = example(line)
    headers = options.pop("headers", {})
    if method != "GET":
        kind = FORM if path == "/sign-in" else "application/json"
        headers = {"Content-Type": kind} | headers
        options.setdefault("content", b"" if kind == FORM else b"{}")
    return client.request(method, path, headers=headers, **options)


def assert_protected(answer: Response) -> None:
    where = f"{answer.request.method} {answer.request.url}: {answer.status_code}"
    for name, value in HEADERS.items():
        assert answer.headers.get(name) == value, (where, name)
    policy = answer.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'self'", "object-src 'none'", "frame-ancestors 'none'"} <= set(policy)
    assert {"base-uri 'none'", "form-action 'self'"} <= set(policy), where
    assert not [part for part in policy if part.startswith("script-src")], "'self', as by default"
    assert "camera=()" in answer.headers["Permissions-Policy"], where
    is_json = answer.headers.get("Content-Type") == "application/json"
    if answer.status_code >= 400 and is_json and "ready" not in answer.json():  # as of /readyz
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}, where


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("every-route")
    write_run(root / "checkpoints", "baseline", steps=(10,))
    return root


@pytest.fixture(scope="module")
def keys(root: Path) -> dict[str, str]:
    return make_keys(root / "data")


@pytest.fixture(scope="module")
def guarded(root: Path, keys: dict[str, str]) -> Iterator[TestClient]:
    limits = {"max_body_bytes": LIMIT, "max_upload_bytes": LIMIT, "max_import_bytes": LIMIT}
    with keyed_client(root / "checkpoints", root / "data", **limits) as client:
        yield client


@pytest.fixture(scope="module")
def app(guarded: TestClient) -> FastAPI:
    assert isinstance(guarded.app, FastAPI)
    return guarded.app


EVERYTHING = lines(PUBLIC) + lines(READ) + lines(GENERATE) + lines(TRAIN)
CHANGING = [line for line in EVERYTHING if not line.startswith("GET ")]


def test_every_route_is_in_the_table(app: FastAPI) -> None:
    found = set(routes(app.routes))
    assert len(EVERYTHING) == len(set(EVERYTHING)), "one is there twice"
    new, gone = sorted(found - set(EVERYTHING)), sorted(set(EVERYTHING) - found)
    assert not new, WHAT_TO_DO + "\n".join(new)
    assert not gone, "these are no more, take them out: " + ", ".join(gone)


def test_a_new_route_would_be_noticed() -> None:
    app = create_app(Settings())

    @app.post("/api/new")
    def new() -> None: ...

    assert "POST /api/new" in set(routes(app.routes))


@pytest.mark.parametrize("line", EVERYTHING)
def test_without_a_key(guarded: TestClient, line: str) -> None:
    answer = ask(guarded, line)
    assert_protected(answer)
    if line in lines(PUBLIC):
        refused = line == "POST /sign-in"  # it was sent no key
        assert (answer.status_code == 401) == refused
        return
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    page = ask(guarded, line, headers={"Accept": "text/html,*/*"})
    assert_protected(page)
    of_a_page = line.startswith("GET ") and not line.startswith(("GET /v1/", "GET /api/"))
    assert page.status_code == (303 if of_a_page else 401)
    if of_a_page:
        assert page.headers["Location"].startswith("/sign-in?next=/")


@pytest.mark.parametrize("line", EVERYTHING)
def test_with_a_key_that_reads(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    answer = ask(guarded, line, headers=bearer(keys["reader"]))
    assert_protected(answer)
    if line in lines(GENERATE) + lines(TRAIN):
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "missing_right")
    else:
        assert answer.status_code not in {403, 405}
        assert answer.status_code != 401 or line == "POST /sign-in"


@pytest.mark.parametrize("line", lines(GENERATE) + lines(TRAIN))
def test_with_a_key_that_generates(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    answer = ask(guarded, line, headers=bearer(keys["writer"]))
    assert_protected(answer)
    assert (answer.status_code == 403) == (line in lines(TRAIN)), answer.text


@pytest.mark.parametrize("line", EVERYTHING)
def test_with_a_key_for_everything(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    answer = ask(guarded, line, headers=bearer(keys["trainer"]))
    assert_protected(answer)
    assert answer.status_code not in {403, 405} and answer.status_code < 500, answer.text


@pytest.mark.parametrize("line", EVERYTHING)
def test_for_another_host(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    for host in ("evil.example", "127.0.0.1.evil.example", "localhost.evil.example:8000"):
        answer = ask(guarded, line, headers=bearer(keys["trainer"]) | {"Host": host})
        assert (answer.status_code, answer.json()["error"]["code"]) == (421, "unknown_host")
        assert_protected(answer)


@pytest.mark.parametrize("line", CHANGING)
def test_for_a_page_of_another_site(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    foreign = [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}]
    foreign += [{"Origin": "http://testserver:81"}, {"Origin": "http://testserver.evil.example"}]
    foreign += [{"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}]
    for said in foreign:
        answer = ask(guarded, line, headers=bearer(keys["trainer"]) | said)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_page"), said
        assert_protected(answer)
    own = {"Origin": "http://testserver", "Sec-Fetch-Site": "same-origin"}
    assert ask(guarded, line, headers=bearer(keys["trainer"]) | own).status_code != 403


@pytest.mark.parametrize("line", [line for line in EVERYTHING if line.startswith("GET ")])
def test_as_part_of_a_page_of_another_site(
    guarded: TestClient, keys: dict[str, str], line: str
) -> None:
    """As a picture, a script or a frame: that page learns nothing, and costs nothing either."""
    parts = [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")]
    for (mode, place), site in product(parts, ("cross-site", "same-site")):
        said = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": place}
        answer = ask(guarded, line, headers=bearer(keys["trainer"]) | said)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "foreign_page"), said
        assert_protected(answer)
    link = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    said = {"Sec-Fetch-Site": "cross-site", **link}
    assert ask(guarded, line, headers=bearer(keys["trainer"]) | said).status_code != 403


@pytest.mark.parametrize("line", [line for line in CHANGING if line not in lines(NO_BODY)])
def test_with_too_long_a_body(guarded: TestClient, keys: dict[str, str], line: str) -> None:
    too_long = b'{"model": "' + b"x" * LIMIT + b'"}'
    for body in (too_long, iter([too_long[:99], too_long[99:]])):  # announced, and not
        answer = ask(guarded, line, headers=bearer(keys["trainer"]), content=body)
        assert answer.status_code == 413, answer.text
        assert f"{LIMIT:,} bytes" in answer.text
        assert_protected(answer)


def test_the_page_of_maps_has_none_worked_out_for_who_may_not_ask(
    guarded: TestClient, keys: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Mock()
    monkeypatch.setattr(guarded.app.state, "reader", reader)  # type: ignore[attr-defined]
    for holder, count in (("reader", 0), ("writer", 1)):
        for end in ("2", "9" * 5000):
            path = f"/attention?run=baseline&text=To%20be&end={end}"
            assert guarded.get(path, headers=bearer(keys[holder])).status_code == 200
        assert reader.read.call_count == 2 * count


@pytest.mark.parametrize(
    "path", ["/nowhere", "/api/nowhere", "/v1", "/api", "/static/none", "/runs/"]
)
def test_where_nothing_is(guarded: TestClient, keys: dict[str, str], path: str) -> None:
    is_public = path.startswith("/static/")
    for method in ("GET", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "MADE-UP"):
        answer = guarded.request(method, path)
        assert_protected(answer)
        assert answer.status_code == 401 or (is_public and answer.status_code in NOTHING)
        answer = guarded.request(method, path, headers=bearer(keys["trainer"]))
        assert answer.status_code in NOTHING
        assert_protected(answer)


@pytest.mark.parametrize("line", EVERYTHING)
def test_with_a_method_that_it_does_not_take(
    guarded: TestClient, keys: dict[str, str], line: str
) -> None:
    _, path = example(line)
    assert guarded.put(path).status_code in ({405} if line in lines(PUBLIC) else {401})
    answer = guarded.put(path, headers=bearer(keys["trainer"]))
    assert answer.status_code == 405
    assert_protected(answer)
    html = guarded.put(path, headers=bearer(keys["trainer"]) | {"Accept": "text/html"})
    assert html.status_code == 405
    assert_protected(html)


def test_what_breaks(
    guarded: TestClient, keys: dict[str, str], app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.state, "registry", None)
    for path, kind in (("/api/runs", "application/json"), ("/runs", "text/html")):
        answer = guarded.get(path, headers=bearer(keys["reader"]) | {"Accept": kind})
        assert answer.status_code == 500
        assert answer.headers["Content-Type"].startswith(kind)
        assert_protected(answer)


def test_a_person_reads_plain_words(guarded: TestClient, keys: dict[str, str]) -> None:
    page = {"Accept": "text/html,application/xhtml+xml"}
    elsewhere = guarded.get("/runs", headers=page | {"Host": "<b>evil</b>"})
    assert (elsewhere.status_code, elsewhere.headers["Content-Type"]) == (
        421,
        "text/plain; charset=utf-8",
    )
    assert elsewhere.text.startswith("421: this server does not answer to the name")
    refused = guarded.post("/train", headers=page | bearer(keys["reader"]))
    assert refused.text.startswith("403: the key 'reader' may read; this needs the right to train")
    foreign = guarded.post("/train", headers=page | {"Origin": "https://evil.example"})
    assert foreign.text.startswith("403: a page of another site may not send this")


def test_the_cookie_of_a_key_is_no_way_around(guarded: TestClient, keys: dict[str, str]) -> None:
    """What a cookie is sent along with is as often a page of another site as one of ours."""
    guarded.post("/sign-in", data={"key": keys["trainer"]})
    try:
        assert guarded.cookies[COOKIE]
        assert guarded.post("/api/jobs", json={}).status_code == 422
        foreign = {"Origin": "https://evil.example"}
        assert guarded.post("/api/jobs", json={}, headers=foreign).status_code == 403
    finally:
        guarded.post("/sign-out")
    assert COOKIE not in guarded.cookies
    assert guarded.post("/api/jobs", json={}).status_code == 401
