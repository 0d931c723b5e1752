"""A token that ends a text: the vocabulary's own end, where it has one."""

import json
from typing import Any

import pytest
from fastapi.testclient import TestClient

from model.tokenizer import CharTokenizer
from tests.conftest import CHARACTERS

END = CHARACTERS.index("e")


@pytest.fixture
def client(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    """The letter e is no letter now, but the end."""
    monkeypatch.setattr(CharTokenizer, "end_id", property(lambda _: END))
    return client


def complete(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json={"model": "baseline", "prompt": "To", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def endless(client: TestClient, seed: int, count: int) -> str:
    """What is written where e is a letter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CharTokenizer, "end_id", None)
        text: str = complete(client, seed=seed, max_tokens=count)["choices"][0]["text"]
        return text


@pytest.mark.parametrize("stop", [None, ["nowhere"]])
@pytest.mark.parametrize("seed", range(4))
def test_a_text_ends_there(client: TestClient, seed: int, stop: list[str] | None) -> None:
    """However many tokens are drawn at once."""
    whole = endless(client, seed, 300)
    end = whole.index("e")
    assert 1 < end < 299
    fields = {"seed": seed, "stop": stop, "logprobs": 1}
    answer = complete(client, max_tokens=300, **fields)
    (choice,) = answer["choices"]
    assert (choice["text"], choice["finish_reason"]) == (whole[:end], "stop")
    assert answer["usage"]["completion_tokens"] == end + 1
    assert choice["logprobs"]["tokens"] == [*whole[:end], "e"]
    assert choice["logprobs"]["text_offset"] == list(range(end + 1))
    last = complete(client, max_tokens=end + 1, **fields)["choices"][0]
    assert last == choice
    shorter = complete(client, max_tokens=end, **fields)["choices"][0]
    assert (shorter["text"], shorter["finish_reason"]) == (whole[:end], "length")


def test_what_might_have_become_a_stop_string_comes_out(client: TestClient) -> None:
    whole = endless(client, 2, 300)
    end = whole.index("e")
    stop = whole[end - 2 : end + 1]
    choice = complete(client, seed=2, max_tokens=300, stop=stop)["choices"][0]
    assert choice["text"] == whole[:end]


def test_a_stream_ends_there_too(client: TestClient) -> None:
    body = {"model": "baseline", "prompt": "To", "seed": 1, "max_tokens": 300, "logprobs": 0}
    answer = client.post("/v1/completions", json=body | {"stream": True})
    *lines, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert done == "[DONE]"
    choices = [choice for line in lines for choice in json.loads(line)["choices"]]
    whole = complete(client, **body)["choices"][0]
    assert "".join(choice["text"] for choice in choices) == whole["text"]
    assert choices[-1]["finish_reason"] == "stop"
    tokens = [token for choice in choices for token in choice["logprobs"]["tokens"]]
    assert tokens == whole["logprobs"]["tokens"]


def test_a_bias_keeps_it_from_coming_or_lets_it_come_at_once(client: TestClient) -> None:
    never = complete(client, max_tokens=300, seed=1, logit_bias={str(END): -100})["choices"][0]
    assert (len(never["text"]), never["finish_reason"]) == (300, "length")
    at_once = complete(client, max_tokens=300, seed=1, logit_bias={str(END): 100})
    (choice,) = at_once["choices"]
    assert (choice["text"], choice["finish_reason"]) == ("", "stop")
    assert at_once["usage"]["completion_tokens"] == 1


def test_a_text_that_is_scored_has_its_last_score_though_the_end_follows(
    client: TestClient,
) -> None:
    """A harness leaves out the last token, which it did not ask about."""
    fields = {"prompt": "To b", "echo": True, "max_tokens": 1, "logprobs": 1}
    (choice,) = complete(client, logit_bias={str(END): 100}, **fields)["choices"]
    assert choice["logprobs"]["tokens"] == [*"To b", "e"]
    assert choice["text"] == "To b"
    assert {len(values) for values in choice["logprobs"].values()} == {5}


def test_an_empty_prompt_starts_from_it(client: TestClient) -> None:
    fields = {"seed": 3, "logprobs": 0}
    empty = complete(client, prompt="", **fields)
    assert empty["choices"] == complete(client, prompt="e", **fields)["choices"]
    assert empty["choices"] != complete(client, prompt="\n", **fields)["choices"]
    assert empty["usage"]["prompt_tokens"] == 0
