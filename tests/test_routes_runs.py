"""`/api/runs`, health, pages, static files, and what every answer has."""

import gzip
import json
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from tests.conftest import CHARACTERS, wait_until, write_run


def test_runs_tell_of_themselves(client: TestClient) -> None:
    listed = client.get("/api/runs").json()
    assert listed["broken"] == []
    runs = {run["id"]: run for run in listed["runs"]}
    assert list(runs) == ["baseline", "bigram", "case-1", "ngram"]
    run = runs["baseline"]
    assert run["config"]["model"]["n_embd"] == 8
    assert run["config"]["train"]["max_iters"] == 100
    assert (run["train_loss"], run["val_loss"], run["wall_time_s"]) == (2.5, 2.6, 1.5)
    assert run["estimate"] == {"train_loss": 3.9, "val_loss": 4.2}
    assert (run["kind"], run["steps"], run["block_size"]) == ("gpt", [10, 50], 16)
    assert (run["n_layer"], run["n_head"], run["attention"]) == (2, 2, True)
    ngram = runs["ngram"]
    assert (ngram["block_size"], ngram["n_layer"], ngram["attention"]) == (2, None, False)
    assert runs["bigram"]["block_size"] == 1


def test_one_run_has_its_history(client: TestClient) -> None:
    run = client.get("/api/runs/baseline").json()
    assert [metric["step"] for metric in run["metrics"]] == [0, 100]
    assert run["samples"][0]["text"] == "To be"
    assert run["vocabulary"] == list(CHARACTERS)
    summary = client.get("/api/runs").json()["runs"][0]
    assert {key: run[key] for key in summary} == summary


def test_broken_folders_are_named(tmp_path: Path) -> None:
    write_run(tmp_path, "bad").weights_path().unlink()
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        assert client.get("/readyz").status_code == 503
        answer = client.get("/api/runs/bad")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "broken_run")
        write_run(tmp_path, "good")
        listed = client.get("/api/runs").json()
        assert [run["id"] for run in listed["runs"]] == ["good"]
        assert listed["broken"][0]["id"] == "bad"
        assert "model.safetensors" in listed["broken"][0]["reason"]
        wait_until(lambda: client.get("/readyz").status_code == 200)  # once it can write
        ready = client.get("/readyz")
        assert ready.json()["runs"] == ["good"]
        assert list(ready.json()["broken"]) == ["bad"]


def test_health_and_metrics(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}
    before = number(client, "sidelight_tokens_total")
    client.post("/v1/completions", json={"model": "baseline", "max_tokens": 7})
    assert number(client, "sidelight_tokens_total") == before + 7
    assert number(client, "sidelight_runs") == 4
    assert number(client, "sidelight_weights_bytes") > 0


def number(client: TestClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    assert f"# TYPE {name} gauge" in lines or f"# TYPE {name} counter" in lines
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nope", 404, "not_found"),
        ("GET", "/v1/nope", 404, "not_found"),
        ("GET", "/api/runs/nope", 404, "unknown_run"),
        ("GET", "/api/runs/..%2f..%2fetc", 404, "not_found"),
        ("GET", "/static/nope.js", 404, "not_found"),
        ("GET", "/static/vendor/nope.js", 404, "not_found"),
        ("GET", "/static/..%2fpyproject.toml", 404, "not_found"),
        ("DELETE", "/api/runs", 405, "method_not_allowed"),
        ("GET", "/v1/completions", 405, "method_not_allowed"),
    ],
)
def test_every_error_has_one_shape(
    client: TestClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.request(method, path, headers={"Accept": "text/html"})
    assert answer.status_code == status
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code


@pytest.mark.parametrize("content", [b"{", b"[]", b'"text"', b"", b"\xff"])
def test_a_body_that_is_no_object(client: TestClient, content: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    for path, status in (("/v1/completions", 400), ("/api/attention", 422)):
        answer = client.post(path, content=content, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"]["message"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused(client: TestClient, announced: bool) -> None:
    large = b'{"model": "' + b"a" * 2_000_000 + b'"}'
    content: Any = large if announced else iter([large[:1_000_000], large[1_000_000:]])
    headers = {"Content-Type": "application/json"}
    answer = client.post("/v1/completions", content=content, headers=headers)
    assert answer.status_code == 413
    assert "2,000,000 bytes" in answer.json()["error"]["message"]


def test_a_fault_of_ours_is_said_without_details(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(type(client.app.state.registry), "listing", fail)  # type: ignore[attr-defined]
    answer = client.get("/api/runs")
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "secret" not in answer.text


@pytest.mark.parametrize("path", ["/", "/attention", "/runs", "/docs"])
def test_pages_are_html_under_a_strict_policy(client: TestClient, path: str) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "script-src" not in policy, "scripts fall under default-src, with no exception"
    assert page.headers["x-content-type-options"] == "nosniff"


def test_pages_carry_the_runs_as_inert_data(tmp_path: Path) -> None:
    folder = write_run(tmp_path, "one")
    evil = "</script><script>alert(1)</script>"
    folder.write_config(folder.read_config().model_copy(update={"title": evil}))
    with TestClient(create_app(Settings(checkpoints=tmp_path))) as client:
        text = client.get("/").text
        listed = client.get("/api/runs").json()
    assert evil not in text
    data = text.split('<script type="application/json" id="page-data">')[1].split("</script>")[0]
    assert json.loads(data) == listed
    assert json.loads(data)["runs"][0]["title"] == evil


def test_a_wrong_address_is_a_page_for_a_person(client: TestClient) -> None:
    page = client.get("/nowhere", headers={"Accept": "text/html,*/*"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")
    assert "there is nothing at /nowhere" in page.text
    assert client.get("/nowhere").json()["error"]["code"] == "not_found"


def test_plotly_comes_from_its_package_compressed_and_for_good(client: TestClient) -> None:
    source = client.get("/").text.split('name="plotly-src" content="')[1].split('"')[0]
    answer = client.get(source, headers={"Accept-Encoding": "gzip"})
    packaged = Path(
        str(distribution("plotly").locate_file("plotly/package_data/plotly.min.js"))
    ).read_bytes()
    assert answer.content == packaged
    assert answer.headers["content-encoding"] == "gzip"
    assert int(answer.headers["content-length"]) < len(packaged) / 2
    assert "immutable" in answer.headers["cache-control"]
    again = client.get(source, headers={"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    plain = client.get(source, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packaged


def test_our_own_files_are_asked_for_anew(client: TestClient) -> None:
    answer = client.get("/static/js/api.js")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get("/static/js/api.js", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_large_answers_are_compressed_and_streams_are_not(client: TestClient) -> None:
    with client.stream("GET", "/api/runs", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        assert json.loads(gzip.decompress(b"".join(answer.iter_raw())))["runs"]
    body = {"model": "baseline", "max_tokens": 50, "stream": True}
    answer = client.post("/v1/completions", json=body, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["x-accel-buffering"] == "no"
