"""Requests that nobody means to send: each is refused in the one shape, or works; none fails."""

import gzip
import json
import string
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.settings import Settings
from model.config import NGramConfig
from tests.conftest import CHARACTERS, LiveServer, write_run

JSON = {"content-type": "application/json"}

# Routes that read a body, each with a body that works but for what is done to it.
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/v1/completions"): {"model": "baseline", "prompt": "To", "max_tokens": 2},
    ("POST", "/api/attention"): {"run": "baseline", "text": "To be"},
    ("POST", "/api/attention/inside"): {"run": "baseline", "text": "To be", "layer": 0, "head": 0},
    ("POST", "/api/learn/next-token"): {"run": "ngram", "text": "To be"},
    ("POST", "/api/jobs/check"): {"preset": "baseline", "run_id": "odd"},
    ("POST", "/api/sweeps/check"): {"presets": ["baseline"], "title": "odd"},
    ("PATCH", "/api/runs/baseline"): {"hypothesis": "It learns."},
}


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """With runs of its own: some odd value may work, and change them."""
    root = tmp_path_factory.mktemp("odd")
    write_run(root / "checkpoints", "baseline", steps=(10, 50))
    write_run(root / "checkpoints", "ngram", NGramConfig(vocab_size=len(CHARACTERS), order=3))
    settings = Settings(checkpoints=root / "checkpoints", data=root / "data")
    with LiveServer(settings) as server:
        yield server


def refusal(answer: httpx.Response) -> dict[str, Any]:
    """The error, which has the one shape."""
    assert 400 <= answer.status_code < 500, (answer.status_code, answer.text[:300])
    (told,) = answer.json().items()
    assert told[0] == "error"
    assert set(told[1]) == {"message", "type", "param", "code"}
    assert len(answer.content) < 5000, "what was sent is not sent back in full"
    error: dict[str, Any] = told[1]
    return error


def works_or_is_refused(answer: httpx.Response) -> None:
    if answer.status_code >= 300:
        refusal(answer)


DEEP = "[" * 100_000 + "]" * 100_000
ODD_BODIES = {
    "nothing": b"",
    "not JSON": b"{",
    "an array": b"[]",
    "a string": b'"text"',
    "null": b"null",
    "a number": b"1",
    "deep arrays": DEEP.encode(),
    "deep objects": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "half a character": b'{"model": "\xe2\x82"}',
    "half of UTF-16": '{"model": "baseline"}'.encode("utf-16")[:-1],
    "NaN": b'{"temperature": NaN, "max_tokens": Infinity, "step": -Infinity}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "gzip": gzip.compress(b'{"model": "baseline"}'),
    "many fields": json.dumps({f"f{i}": i for i in range(50_000)}).encode(),
    "a long name": json.dumps({"n" * 500_000: 1}).encode(),
    "nul": b'{"model": "\x00"}',
}


@pytest.mark.parametrize("odd", ODD_BODIES)
def test_an_odd_body_is_refused(live: LiveServer, odd: str) -> None:
    for method, path in BODIES:
        refusal(live.http.request(method, path, content=ODD_BODIES[odd], headers=JSON))


ODD_VALUES = {
    "1e400": "1e400",
    "many digits": "1" * 10_000,
    "more digits": "1" * 100_000,
    "a long fraction": "0." + "1" * 100_000,
    "a negative": "-1",
    "beyond 64 bits": str(2**70),
    "NaN": "NaN",
    "a half of a pair": '"\\ud800"',
    "a turned pair": '"\\udc00\\ud800"',
    "nul": '"a\\u0000b"',
    "a long text": json.dumps("x" * 1_000_000),
    "true": "true",
    "null": "null",
    "deep": "[" * 200 + "]" * 200,
    "an object": '{"__proto__": {"a": 1}}',
    "markup": '"<script>alert(1)</script>"',
    "a path": '"../../../../etc/passwd"',
}


@pytest.mark.parametrize("odd", ODD_VALUES)
def test_an_odd_value_of_any_field_works_or_is_refused(live: LiveServer, odd: str) -> None:
    for (method, path), fields in BODIES.items():
        for name in fields:
            parts = [
                f"{json.dumps(key)}: {ODD_VALUES[odd] if key == name else json.dumps(value)}"
                for key, value in fields.items()
            ]
            content = "{" + ", ".join(parts) + "}"
            answer = live.http.request(method, path, content=content.encode(), headers=JSON)
            works_or_is_refused(answer)


def test_of_a_field_that_comes_twice_the_last_one_counts(live: LiveServer) -> None:
    content = b'{"model": "nope", "model": "baseline", "max_tokens": 1, "max_tokens": 2}'
    answer = live.http.post("/v1/completions", content=content, headers=JSON)
    assert answer.json()["usage"]["completion_tokens"] == 2


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate"])
def test_a_compressed_body_is_not_unpacked(live: LiveServer, encoding: str) -> None:
    body = gzip.compress(json.dumps(BODIES["POST", "/v1/completions"]).encode())
    headers = {**JSON, "content-encoding": encoding}
    refusal(live.http.post("/v1/completions", content=body, headers=headers))


@pytest.mark.parametrize(
    "kind", ["", "text/plain", "multipart/form-data; boundary=x", "application/xml", "x" * 5000]
)
def test_another_media_type_is_refused_or_read_as_json(live: LiveServer, kind: str) -> None:
    for (method, path), fields in BODIES.items():
        content = json.dumps(fields).encode()
        headers = {"content-type": kind}
        works_or_is_refused(live.http.request(method, path, content=content, headers=headers))


@pytest.mark.parametrize("odd", ["\ud800", "a\ud800b", "\udfff" * 100])
@pytest.mark.parametrize(
    ("method", "path", "field"),
    [
        ("POST", "/v1/completions", "prompt"),
        ("POST", "/v1/completions", "stop"),
        ("POST", "/v1/completions", "user"),
        ("POST", "/api/attention", "text"),
        ("POST", "/api/jobs", "title"),
        ("POST", "/api/jobs", "hypothesis"),
        ("POST", "/api/sweeps", "title"),
        ("PATCH", "/api/runs/baseline", "hypothesis"),
    ],
)
def test_half_a_pair_of_surrogates_is_never_kept(
    live: LiveServer, method: str, path: str, field: str, odd: str
) -> None:
    """UTF-8 has no such thing: a file with one could not be written, or not be read again."""
    usual = BODIES.get((method, path)) or BODIES.get((method, path + "/check"), {})
    content = json.dumps({**usual, field: odd}).encode()
    assert b"\\ud" in content
    refusal(live.http.request(method, path, content=content, headers=JSON))


# Addresses

OUTSIDE = [
    "..",
    "../../etc/passwd",
    "%2e%2e",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "..%2f..%2fpyproject.toml",
    "..%5c..%5cpyproject.toml",
    "%00",
    "baseline%00",
    "baseline%2f..%2fbaseline",
    "%c0%ae%c0%ae",
    "%ff",
    ".",
    ".incoming-x",
    "%20",
    "a" * 300,
    "a" * 5000,
    quote("\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")),
]
PLACES = [
    ("GET", "/api/runs/{}"),
    ("GET", "/api/runs/{}/export"),
    ("PATCH", "/api/runs/{}"),
    ("GET", "/v1/models/{}"),
    ("GET", "/api/corpora/{}"),
    ("DELETE", "/api/corpora/{}"),
    ("GET", "/api/jobs/{}"),
    ("DELETE", "/api/jobs/{}"),
    ("GET", "/api/jobs/{}/log"),
    ("GET", "/api/jobs/{}/events"),
    ("POST", "/api/jobs/{}/cancel"),
    ("GET", "/api/sweeps/{}"),
    ("POST", "/api/sweeps/{}/cancel"),
    ("GET", "/static/{}"),
    ("GET", "/static/v/1/{}"),
    ("GET", "/static/vendor/{}"),
]


def ask(live: LiveServer, method: str, target: str) -> httpx.Response:
    """With the address as it stands: httpx would tidy it up."""
    url = httpx.URL(live.url)
    with closing(HTTPConnection(url.host, url.port, timeout=30)) as connection:
        connection.putrequest(method, target)
        connection.putheader("Content-Length", "2" if method == "PATCH" else "0")
        connection.endheaders(b"{}" if method == "PATCH" else None)
        answer = connection.getresponse()
        return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.mark.parametrize(("method", "place"), PLACES)
def test_an_address_does_not_leave_its_folder(live: LiveServer, method: str, place: str) -> None:
    for outside in OUTSIDE:
        answer = ask(live, method, place.format(outside))
        if answer.status_code == 307:  # one slash too many, still on this server
            assert answer.headers["location"].startswith((live.url, "/"))
            continue
        told = answer.text
        assert "root:" not in told
        assert "[project]" not in told
        listed = place.format("").removesuffix("/").endswith(("runs", "jobs", "corpora", "sweeps"))
        if answer.status_code == 200:
            assert listed, (outside, told[:200])
        elif answer.status_code != 405:
            assert answer.status_code in {400, 404, 409, 414, 422}, (outside, told[:200])
            refusal(answer)


@given(id=st.text(string.printable + "\0é\u202e", min_size=1, max_size=80))
@examples(max_examples=150)
def test_no_id_makes_the_server_fail(live: LiveServer, id: str) -> None:
    for place in ("/api/runs/{}", "/api/corpora/{}", "/api/jobs/{}", "/static/{}"):
        answer = ask(live, "GET", place.format(quote(id, safe="")))
        assert answer.status_code < 500, (place, id)


@pytest.mark.parametrize("name", ["../../x", "..", "a/b", "\0", "x" * 200, "<b>", " ", "CON", "é"])
def test_an_uploaded_text_stays_in_its_folder(live: LiveServer, name: str) -> None:
    corpora = live.app.state.corpora.folder
    answer = live.http.post(
        "/api/corpora",
        params={"name": name},
        content=f"To be, or not {name} to be.\n".encode() * 50,
    )
    if answer.status_code != 201:
        refusal(answer)
        return
    id = answer.json()["id"]
    assert {each.name for each in corpora.iterdir() if not each.name.startswith(".")} == {id}
    assert live.http.delete(f"/api/corpora/{id}").status_code == 204


def test_a_folder_of_texts_that_links_elsewhere_is_not_read(
    live: LiveServer, tmp_path: Any
) -> None:
    made = live.http.post("/api/corpora?name=inside", content=b"To be, or not to be.\n" * 50)
    inside = live.app.state.corpora.folder / made.json()["id"]
    try:
        (tmp_path / "text.txt").write_bytes((inside / "text.txt").read_bytes())
        (tmp_path / "about.json").write_bytes(
            (inside / "about.json").read_bytes().replace(b'"inside"', b'"linked"')
        )
        linked = live.app.state.corpora.folder / "linked"
        linked.symlink_to(tmp_path)
        assert live.http.get("/api/corpora/linked").status_code == 404
        refusal(live.http.delete("/api/corpora/linked"))
        assert (tmp_path / "text.txt").exists()
        linked.unlink()
        (inside / "text.txt").unlink()
        (inside / "text.txt").symlink_to(tmp_path / "text.txt")
        assert live.http.get("/api/corpora/inside").status_code == 404
    finally:
        (inside / "text.txt").unlink(missing_ok=True)
        (inside / "about.json").unlink()
        inside.rmdir()


# Queries

ODD_QUERIES = [
    "step=1e400",
    "step=" + "1" * 5000,
    "step=%00",
    "step=%ff%fe",
    "step=NaN",
    "format=%00",
    "format=" + "x" * 10_000,
    "format=run&format=onnx",
    "&".join(f"a{i}={i}" for i in range(5000)),
    "%",
    "=&=&=",
    "step[]=1",
]


@pytest.mark.parametrize("query", ODD_QUERIES, ids=range(len(ODD_QUERIES)))
def test_an_odd_query_works_or_is_refused(live: LiveServer, query: str) -> None:
    for path in (
        "/api/runs/baseline/export",
        "/api/report",
        "/api/jobs",
        "/api/learn/orders",
        "/",
        "/attention",
        "/runs/report",
    ):
        answer = ask(live, "GET", f"{path}?{query}")
        assert answer.status_code < 500, path
