"""Small bodies that hold very many things: they are refused before anything is made of them."""

import json

import pytest
from fastapi.testclient import TestClient

from app.security.body import MOST_COMMAS

HEADERS = {"Content-Type": "application/json"}


def test_a_body_of_too_many_values_is_refused(client: TestClient) -> None:
    body = json.dumps(
        {"model": "baseline", "prompt": [1] * (MOST_COMMAS + 2)}, separators=(",", ":")
    )
    assert len(body) < 2_000_000
    for path in ("/v1/completions", "/api/attention", "/api/jobs"):
        answer = client.post(path, content=body, headers=HEADERS)
        assert answer.status_code == 413, answer.text
        assert f"{MOST_COMMAS:,} values" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "prompt", [[1] * 100_001, [[1] * 50_001] * 2, ["a"] * 100_001, [[]] * 100_001]
)
def test_a_prompt_of_too_many_ids_is_refused_at_once(client: TestClient, prompt: object) -> None:
    answer = client.post("/v1/completions", json={"model": "baseline", "prompt": prompt})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "prompt"


def test_as_many_ids_as_may_be_are_taken(client: TestClient) -> None:
    body = {"model": "bigram", "prompt": [1] * 100_000, "max_tokens": 1}
    assert client.post("/v1/completions", json=body).status_code == 200


@pytest.mark.parametrize("path", ["/v1/completions", "/api/attention", "/api/jobs", "/api/sweeps"])
def test_unknown_fields_by_the_thousand_are_one_mistake(client: TestClient, path: str) -> None:
    answer = client.post(path, json={f"field{i}": 0 for i in range(10_000)})
    assert answer.status_code == (400 if path.startswith("/v1") else 422)
    assert "so many fields" in answer.json()["error"]["message"]
    deep = client.post(path, json={"config": {"model": {f"field{i}": 0 for i in range(10_000)}}})
    assert "so many fields" in deep.json()["error"]["message"]
