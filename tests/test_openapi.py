"""The API's description is true: its examples work, and its answers look like the real ones."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import __version__, examples, examples_learn
from app.main import create_app
from app.settings import ROOT, Settings

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"

PATHS = {
    "/v1/completions",
    "/v1/models",
    "/v1/models/{id}",
    "/v1/chat/completions",
    "/v1/responses",
    "/api/attention",
    "/api/attention/roles",
    "/api/attention/comparison",
    "/api/attention/inside",
    "/api/attention/distribution",
    "/api/attention/ablation",
    "/api/attention/importance",
    "/api/learn/self-attention",
    "/api/learn/cross-attention",
    "/api/learn/attend",
    "/api/learn/depth",
    "/api/learn/dropout",
    "/api/learn/parts",
    "/api/learn/activations",
    "/api/learn/head-diversity",
    "/api/learn/next-token",
    "/api/learn/orders",
    "/api/learn/encoding",
    "/api/learn/batch",
    "/api/runs",
    "/api/runs/{id}",
    "/api/runs/{id}/export",
    "/api/report",
    "/api/corpora",
    "/api/corpora/{id}",
    "/api/jobs",
    "/api/jobs/check",
    "/api/jobs/{id}",
    "/api/jobs/{id}/cancel",
    "/api/jobs/{id}/resume",
    "/api/jobs/{id}/log",
    "/api/jobs/{id}/events",
    "/api/sweeps",
    "/api/sweeps/check",
    "/api/sweeps/{id}",
    "/api/sweeps/{id}/cancel",
    "/api/presets",
    "/api/config-schema",
    "/healthz",
    "/readyz",
    "/metrics",
}


def shape(value: Any) -> Any:
    """Names and kinds without the values; of a list, its first entry."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


def operations(client: TestClient) -> list[tuple[str, str, dict[str, Any]]]:
    paths = client.get("/openapi.json").json()["paths"]
    return [(path, method, op) for path, of in paths.items() for method, op in of.items()]


def test_everything_is_described(client: TestClient) -> None:
    found = operations(client)
    assert {path for path, _, _ in found} == PATHS
    for path, method, operation in found:
        assert operation["summary"], (path, method)
        assert operation["description"], (path, method)
        for status, answer in operation["responses"].items():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            assert "HTTPValidationError" not in str(schema), (path, status)
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    for name in ("CompletionRequest", "AttentionRequest"):
        for field, about in schemas[name]["properties"].items():
            assert about.get("description"), (name, field)


# Of each, an example request, and the answer that the API's description shows.
ANALYSES = {
    "/api/attention/roles": (examples.ROLES_REQUESTS["a line"], examples.ROLES),
    "/api/attention/comparison": (
        examples.COMPARISON_REQUESTS["before and after"],
        examples.COMPARISON,
    ),
    "/api/attention/inside": (examples.INSIDE_REQUESTS["the last token"], examples.INSIDE),
    "/api/attention/distribution": (
        examples.DISTRIBUTION_REQUESTS["stage by stage"],
        examples.DISTRIBUTION,
    ),
    "/api/attention/ablation": (examples.ABLATION_REQUESTS["one head"], examples.ABLATION),
    "/api/attention/importance": (
        examples.IMPORTANCE_REQUESTS["switched off"],
        examples.IMPORTANCE,
    ),
}


@pytest.mark.parametrize("path", ["/v1/completions", "/api/attention", *ANALYSES])
def test_request_examples_work(client: TestClient, path: str) -> None:
    content = client.get("/openapi.json").json()["paths"][path]["post"]["requestBody"]["content"]
    listed = content["application/json"]["examples"]
    assert len(listed) >= 2
    for name, example in listed.items():
        assert client.post(path, json=example["value"]).status_code == 200, name


def test_answer_examples_look_like_the_answers(client: TestClient) -> None:
    request = examples.COMPLETION_REQUESTS["one text"]
    answer = client.post("/v1/completions", json=request).json()
    assert shape(answer) == shape(examples.COMPLETION)
    assert answer["usage"] == examples.COMPLETION["usage"]
    request = examples.ATTENTION_REQUESTS["one head"]
    answer = client.post("/api/attention", json=request).json()
    assert shape(answer) == shape(examples.ATTENTION)
    assert answer["shape"] == examples.ATTENTION["shape"]
    assert shape(client.get("/v1/models").json()) == shape(examples.MODELS)
    answer = client.post("/api/corpora?name=tyger.txt", content=examples.CORPUS_TEXT).json()
    listed = answer | {"vocabulary": answer["vocabulary"][: len(examples.CORPUS["vocabulary"])]}
    assert listed | {"created": examples.CORPUS["created"]} == examples.CORPUS


@pytest.mark.parametrize("path", ANALYSES)
def test_answer_examples_of_analyses_look_like_the_answers(client: TestClient, path: str) -> None:
    request, example = ANALYSES[path]
    assert shape(client.post(path, json=request).json()) == shape(example)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """With the runs that come with Sidelight, which were trained on a text that is here."""
    data = tmp_path_factory.mktemp("data")
    with TestClient(create_app(Settings(checkpoints=ROOT / "checkpoints", data=data))) as client:
        yield client


@pytest.mark.parametrize("name", examples_learn.REQUESTS)
def test_examples_of_the_lessons(client: TestClient, shipped: TestClient, name: str) -> None:
    path, about = f"/api/learn/{name}", shipped if name == "batch" else client
    described = about.get("/openapi.json").json()["paths"][path]["post"]
    listed = described["requestBody"]["content"]["application/json"]["examples"]
    answers = [about.post(path, json=example["value"]) for example in listed.values()]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert shape(answers[0].json()) == shape(examples_learn.ANSWERS[name])
    if name == "attend":  # nothing in it depends on a run
        assert answers[0].json() == examples_learn.ANSWERS[name]


@pytest.mark.parametrize("address", ["orders?run=ngram", "parts?run=baseline"])
def test_answer_examples_of_the_lessons(shipped: TestClient, address: str) -> None:
    example = examples_learn.ANSWERS[address.split("?", maxsplit=1)[0]]
    assert shape(shipped.get(f"/api/learn/{address}").json()) == shape(example)


def test_the_stream_example_looks_like_a_stream(client: TestClient) -> None:
    # So long that the second chunk is not the last one.
    request = examples.COMPLETION_REQUESTS["streamed"] | {"max_tokens": 2000}
    sent = client.post("/v1/completions", json=request).text

    def chunks(text: str) -> list[Any]:
        events = [part.removeprefix("data: ") for part in text.split("\n\n") if part]
        assert events.pop() == "[DONE]"
        return [shape(json.loads(event)) for event in events]

    assert chunks(sent)[:2] == chunks(examples.COMPLETION_STREAM)


def test_the_version_is_the_packages() -> None:
    assert tomllib.loads(PYPROJECT.read_text("utf-8"))["project"]["version"] == __version__
