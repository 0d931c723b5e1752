"""`/v1/completions` and `/v1/models`, good requests and bad."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import Settings
from model.run_folder import RunFolder


def complete(client: TestClient, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/completions", json={"model": "baseline", "prompt": "To", **fields})
    assert answer.status_code == 200, answer.text
    return answer.json()


def events(client: TestClient, **fields: Any) -> list[dict[str, Any]]:
    body = {"model": "baseline", "prompt": "To", "stream": True, **fields}
    answer = client.post("/v1/completions", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    lines = [line for line in answer.text.split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


def test_greedy_text_is_the_argmax_of_a_plain_forward_pass(
    client: TestClient, shared_checkpoints: Path
) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    model, tokenizer = folder.load_model(), folder.read_tokenizer()
    ids = tokenizer.encode("To be")
    for _ in range(30):  # past the context of 16
        with torch.inference_mode():
            ids.append(int(model(torch.tensor([ids[-16:]]))[0, -1].argmax()))
    answer = complete(client, prompt="To be", max_tokens=30, temperature=0)
    assert answer["choices"][0]["text"] == tokenizer.decode(ids[5:])
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 30, "total_tokens": 35}


def test_log_probabilities_are_the_models_own(client: TestClient, shared_checkpoints: Path) -> None:
    folder = RunFolder(shared_checkpoints / "baseline")
    model, tokenizer = folder.load_model(), folder.read_tokenizer()
    answer = complete(client, max_tokens=3, logprobs=2, echo=True, temperature=3, seed=4)
    choice = answer["choices"][0]
    ids = tokenizer.encode(choice["text"])
    with torch.inference_mode():
        rows = model(torch.tensor([ids]))[0].log_softmax(-1)
    logprobs = choice["logprobs"]
    assert logprobs["tokens"] == list(choice["text"])
    assert logprobs["text_offset"] == list(range(5))
    assert logprobs["token_logprobs"][0] is None
    for place in range(1, 5):
        expected = rows[place - 1]
        assert logprobs["token_logprobs"][place] == pytest.approx(
            float(expected[ids[place]]), abs=1e-4
        )
        top = logprobs["top_logprobs"][place]
        best = expected.topk(2).indices.tolist()
        assert set(top) == {tokenizer.vocabulary[i] for i in [*best, ids[place]]}


def test_the_same_seed_gives_the_same_text(client: TestClient) -> None:
    one, two = (complete(client, seed=7, max_tokens=40) for _ in range(2))
    assert one["choices"][0]["text"] == two["choices"][0]["text"]
    assert complete(client, seed=8, max_tokens=40)["choices"] != one["choices"]


def test_n_counts_seeds_up_and_several_prompts_keep_their_order(client: TestClient) -> None:
    alone = [complete(client, seed=seed)["choices"][0]["text"] for seed in (7, 8)]
    other = complete(client, prompt="be", seed=8)["choices"][0]["text"]
    answer = complete(client, prompt=["To", "be"], n=2, seed=7)
    texts = [choice["text"] for choice in answer["choices"]]
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2, 3]
    assert texts[:2] == alone
    assert texts[3] == other
    assert [context["seen_text"] for context in answer["contexts"]] == ["To", "be"]
    assert answer["usage"]["prompt_tokens"] == 4


def test_token_ids_are_a_prompt(client: TestClient, shared_checkpoints: Path) -> None:
    ids = RunFolder(shared_checkpoints / "baseline").read_tokenizer().encode("To")
    plain = complete(client, seed=1)["choices"]
    assert complete(client, prompt=ids, seed=1)["choices"] == plain
    assert complete(client, prompt=[ids], seed=1)["choices"] == plain


def test_an_empty_prompt_starts_from_a_newline_that_is_not_echoed(client: TestClient) -> None:
    empty = complete(client, prompt="", seed=1, echo=True)
    assert (
        empty["choices"][0]["text"] == complete(client, prompt="\n", seed=1)["choices"][0]["text"]
    )
    assert empty["context"] == {"prompt_tokens": 0, "seen_tokens": 0, "seen_text": ""}


def test_a_long_prompt_says_what_was_seen(client: TestClient) -> None:
    prompt = "To be, or not to be: that is the"
    answer = complete(client, prompt=prompt, seed=1)
    assert answer["context"] == {
        "prompt_tokens": len(prompt),
        "seen_tokens": 16,
        "seen_text": prompt[-16:],
    }
    cropped = complete(client, prompt=prompt[-16:], seed=1)
    assert answer["choices"] == cropped["choices"]
    assert complete(client, model="bigram", prompt=prompt)["context"]["seen_text"] == "e"


def test_stop_strings_end_the_text_before_them(client: TestClient) -> None:
    whole = complete(client, seed=3, max_tokens=60)["choices"][0]["text"]
    stop = whole[20:23]
    choice = complete(client, seed=3, max_tokens=60, stop=stop)["choices"][0]
    assert choice["text"] == whole[: whole.index(stop)]
    assert choice["finish_reason"] == "stop"


def test_a_snapshot_writes_something_else(client: TestClient) -> None:
    texts = {complete(client, seed=1, step=step)["choices"][0]["text"] for step in (None, 10, 50)}
    assert len(texts) == 3


def test_max_tokens_zero_scores_a_text(client: TestClient) -> None:
    choice = complete(client, prompt="To be", max_tokens=0, echo=True, logprobs=0)["choices"][0]
    assert choice["text"] == "To be"
    assert len(choice["logprobs"]["token_logprobs"]) == 5
    streamed = events(client, prompt="To be", max_tokens=0, echo=True)
    assert streamed[0]["choices"][0]["text"] == "To be"
    assert streamed[0]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("fields", [{}, {"echo": True, "logprobs": 1}, {"stop": ["a", "\n"]}])
def test_a_stream_joined_is_the_whole(client: TestClient, fields: dict[str, Any]) -> None:
    fields = {"seed": 5, "n": 2, "max_tokens": 50, **fields}
    whole = complete(client, **fields)
    chunks = events(client, stream_options={"include_usage": True}, **fields)
    assert chunks[0]["context"] == whole["context"]
    assert all("context" not in chunk for chunk in chunks[1:])
    *chunks, last = chunks
    assert last["choices"] == []
    assert last["usage"] == whole["usage"]
    for index, choice in enumerate(whole["choices"]):
        parts = [c for chunk in chunks for c in chunk["choices"] if c["index"] == index]
        assert "".join(part["text"] for part in parts) == choice["text"]
        assert [part["finish_reason"] for part in parts[:-1]] == [None] * (len(parts) - 1)
        assert parts[-1]["finish_reason"] == choice["finish_reason"]
        if choice["logprobs"]:
            for name, values in choice["logprobs"].items():
                joined = [value for part in parts for value in part["logprobs"][name]]
                assert joined == values
            sent = choice["logprobs"]["token_logprobs"][1:]
            assert all(math.isfinite(lp) and lp <= 0 for lp in sent)


@pytest.mark.parametrize(
    ("fields", "param", "says"),
    [
        ({"max_tokens": 0}, "max_tokens", "must be at least 1"),
        ({"max_tokens": 10_001}, "max_tokens", "less than or equal to 10000"),
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
        ({"temperature": "hot"}, "temperature", "number"),
        ({"top_p": 0}, "top_p", "greater than 0"),
        ({"top_k": 0}, "top_k", "greater than or equal to 1"),
        ({"n": 33}, "n", "less than or equal to 32"),
        ({"logprobs": 6}, "logprobs", "less than or equal to 5"),
        ({"stop": ["a"] * 5}, "stop", "at most 4"),
        ({"stop": ""}, "stop.0", "at least 1 character"),
        ({"prompt": 5}, "prompt", "must be a text"),
        ({"prompt": "a" * 100_001}, "prompt", "100,000 characters"),
        ({"prompt": [99]}, "prompt", "token ids go from 0 to"),
        ({"prompt": ["a"] * 9, "n": 4}, "prompt", "1 to 32 texts"),
        ({"prompt": []}, "prompt", "1 to 32 texts"),
        ({"stream_options": {"include": 1}}, "stream_options.include", "no such field"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "unless stream is true"),
        ({"temprature": 1}, "temprature", "no such field"),
        ({"frequency_penalty": 2.5}, "frequency_penalty", "less than or equal to 2"),
        ({"presence_penalty": -3}, "presence_penalty", "greater than or equal to -2"),
        ({"logit_bias": {"99": 1}}, "logit_bias", "token ids go from 0 to 42, not 99"),
        ({"logit_bias": {"1": 101}}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": {"1": "5"}}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": {"1": True}}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": {"e": 1}}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": {"-1": 1}}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": [1]}, "logit_bias", "token ids to numbers from -100 to 100"),
        ({"logit_bias": dict.fromkeys(range(301), 1)}, "logit_bias", "at most 300"),
        ({"best_of": 21}, "best_of", "less than or equal to 20"),
        ({"n": 3, "best_of": 2}, "best_of", "at least n, which is 3"),
        ({"best_of": 2, "stream": True}, "best_of", "to stream"),
        ({"prompt": ["a"] * 3, "best_of": 11}, "prompt", "prompts times best_of must make 1 to 32"),
        ({"suffix": "the end"}, "suffix", "only write on from a prompt"),
        ({"stream_options": {}}, "stream_options", "unless stream is true"),
        ({"messages": []}, "messages", "no such field"),
        ({"prompt": "a" * 10_001, "echo": True, "logprobs": 1}, "prompt", "at most 10,000"),
    ],
)
def test_a_wrong_field_is_named(
    client: TestClient, fields: dict[str, Any], param: str | None, says: str
) -> None:
    answer = client.post("/v1/completions", json={"model": "baseline", **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert says in error["message"]


def test_a_client_has_a_place_for_each_text_that_is_written(
    shared_checkpoints: Path, tmp_path: Path
) -> None:
    settings = Settings(checkpoints=shared_checkpoints, data=tmp_path, client_sequences=4)
    with TestClient(create_app(settings)) as limited:
        assert complete(limited, n=2, best_of=4)["usage"]["completion_tokens"] == 4 * 16
        body = {"model": "baseline", "prompt": "To", "best_of": 5}
        answer = limited.post("/v1/completions", json=body)
    assert answer.status_code == 400
    assert "may have 4 texts at once, not 5" in answer.json()["error"]["message"]


def test_characters_outside_the_vocabulary_are_named(client: TestClient) -> None:
    answer = client.post("/v1/completions", json={"model": "baseline", "prompt": "To €5 ☃ €"})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("prompt", "unknown_characters")
    assert "'€', '5', '☃'" in error["message"]


def test_an_unknown_model_is_told_which_exist(client: TestClient) -> None:
    for name in ("gpt-4", "../baseline", ""):
        answer = client.post("/v1/completions", json={"model": name, "stream": True})
        assert answer.status_code == 404
        error = answer.json()["error"]
        assert (error["param"], error["code"]) == ("model", "model_not_found")
        assert "baseline, bigram, case-1, ngram" in error["message"]
    answer = client.post("/v1/completions", json={"model": "baseline", "step": 11})
    assert (answer.status_code, answer.json()["error"]["param"]) == (404, "step")


def test_models_are_the_runs(client: TestClient) -> None:
    listed = client.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["baseline", "bigram", "case-1", "ngram"]
    assert client.get("/v1/models/bigram").json() == listed[1]
    missing = client.get("/v1/models/nope")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "model_not_found")
