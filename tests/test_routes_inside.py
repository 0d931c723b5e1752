"""`/api/attention/inside` and `/distribution`, against the maps, the completions and the model."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from model.run_folder import RunFolder
from model.sampling import Sampling, distribution

TEXT = "To be, or"
LONG = "ROMEO:\nTo be, or not to be.\n"  # the run sees 16 characters


def inside(client: TestClient, **fields: Any):
    body = {"run": "baseline", "text": TEXT, "layer": 1, "head": 0, **fields}
    return client.post("/api/attention/inside", json=body)


def drawing(client: TestClient, **fields: Any):
    body = {"run": "baseline", "text": TEXT, **fields}
    return client.post("/api/attention/distribution", json=body)


def completion(client: TestClient, **fields: Any) -> dict[str, Any]:
    body = {"model": "baseline", "prompt": TEXT, "logprobs": 5, **fields}
    choice: dict[str, Any] = client.post("/v1/completions", json=body).json()["choices"][0]
    return choice


# Inside one head


def test_a_row_is_the_maps_row(client: TestClient) -> None:
    maps = client.post("/api/attention", json={"run": "baseline", "text": TEXT}).json()["maps"]
    for layer, head, query in [(0, 1, 0), (1, 0, 4), (1, 1, 8)]:
        answer = inside(client, layer=layer, head=head, query=query).json()
        row = answer["row"]
        assert (answer["layer"], answer["head"], answer["query"]) == (layer, head, query)
        assert row["weight"] == pytest.approx(maps[layer][head][query], abs=1e-6)
        assert row["masked"] == [key > query for key in range(9)]
        assert row["scale"] == 0.5
        exponentials = [math.exp(scaled) for scaled in row["scaled"][: query + 1]]
        expected = [e / sum(exponentials) for e in exponentials]
        assert row["weight"][: query + 1] == pytest.approx(expected, abs=1e-5)
        products = [w * v for w, v in zip(row["weight"], row["value"], strict=True)]
        assert row["weighted"] == pytest.approx(products, abs=1e-5)


@pytest.mark.parametrize("text", [TEXT, LONG])
def test_the_lens_ends_in_what_is_written(client: TestClient, text: str) -> None:
    written = completion(client, prompt=text, max_tokens=1, temperature=0)
    likeliest = written["logprobs"]["top_logprobs"][0]
    answer = inside(client, text=text).json()
    assert answer["query"] == len(answer["tokens"]) - 1
    places = [(row["at"], row["layer"]) for row in answer["lens"]]
    parts = [(at, layer) for layer in (0, 1) for at in ("attention", "mlp")]
    assert places == [("embedding", None), *parts]
    last = answer["lens"][-1]
    assert {token: math.log(p) for token, p in last["top"]} == pytest.approx(likeliest, abs=1e-4)
    assert answer["attribution"]["target"] == written["text"] == last["top"][0][0]
    assert last["target_rank"] == 1
    assert last["target_probability"] == last["top"][0][1] == answer["attribution"]["probability"]


def test_without_a_target_the_texts_own_next_token_is_explained(client: TestClient) -> None:
    scores = completion(client, max_tokens=0, echo=True)["logprobs"]["token_logprobs"]
    for query in range(8):
        answer = inside(client, query=query, top=50).json()
        assert answer["attribution"]["target"] == TEXT[query + 1]
        probability = answer["attribution"]["probability"]
        assert math.log(probability) == pytest.approx(scores[query + 1], abs=1e-4)
        order = [token for token, _ in answer["lens"][-1]["top"]]
        assert order[answer["lens"][-1]["target_rank"] - 1] == TEXT[query + 1]


def test_parts_sum_to_the_logit(client: TestClient) -> None:
    answer = inside(client, target="b", query=3).json()
    of_b = answer["attribution"]
    assert of_b["target"] == "b"
    assert sum(part["logit"] for part in of_b["parts"]) == pytest.approx(of_b["logit"], abs=1e-5)
    heads = [(part["layer"], part["head"]) for part in of_b["parts"] if part["part"] == "head"]
    assert heads == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_a_shorter_context_sees_less(client: TestClient) -> None:
    answer = inside(client, length=3).json()
    assert (answer["tokens"], answer["text_offset"], answer["query"]) == (list(" or"), 6, 2)
    alone = inside(client, text=" or").json()
    assert answer["attribution"] == alone["attribution"]


@pytest.mark.parametrize(
    ("fields", "status", "param", "words"),
    [
        ({"run": "nope"}, 404, "run", "no run"),
        ({"run": "bigram"}, 422, "run", "no attention heads"),
        ({"layer": 2}, 422, "layer", "layers 0 to 1, not 2"),
        ({"head": 2}, 422, "head", "heads 0 to 1, not 2"),
        ({"query": 9}, 422, "query", "0 to 8, not 9"),
        ({"query": 16, "text": LONG}, 422, "query", "0 to 15, not 16"),
        ({"query": -1}, 422, "query", "greater than or equal to 0"),
        ({"target": "z"}, 422, "target", "not one of the 43 characters"),
        ({"target": "be"}, 422, "target", "not one of the 43 characters"),
        ({"target": ""}, 422, "target", "not one of the 43 characters"),
        ({"top": 0}, 422, "top", "greater than or equal to 1"),
        ({"text": "5€"}, 422, "text", "5"),
        ({"layer": None}, 422, "layer", "required"),
    ],
)
def test_wrong_places(
    client: TestClient, fields: dict[str, Any], status: int, param: str, words: str
) -> None:
    answer = inside(client, **fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]


# What the next token is drawn from


def test_the_model_at_each_step_of_what_was_written(client: TestClient) -> None:
    """Also where the text has grown beyond the context."""
    written = completion(client, prompt="ROMEO:\nTo b", max_tokens=12, seed=3, logprobs=2)
    text = "ROMEO:\nTo b"
    for token, logprob, top in zip(
        written["logprobs"]["tokens"],
        written["logprobs"]["token_logprobs"],
        written["logprobs"]["top_logprobs"],
        strict=True,
    ):
        answer = drawing(client, text=text, target=token, top=1).json()
        assert answer["stages"] == ["model"]
        by_token = {it["token"]: math.log(it["probabilities"][0]) for it in answer["candidates"]}
        assert by_token[token] == pytest.approx(logprob, abs=1e-4)
        assert answer["candidates"][0]["token"] == max(top, key=top.__getitem__)
        assert "".join(answer["tokens"]) == text[-16:]
        text += token


def test_stages_are_those_of_the_sampler(client: TestClient, shared_checkpoints: Path) -> None:
    """The penalty sees the whole text, the model its end."""
    fields = {
        "temperature": 0.7,
        "top_k": 20,
        "top_p": 0.6,
        "min_p": 0.2,
        "repetition_penalty": 1.5,
    }
    answer = drawing(client, text=LONG, top=200, **fields).json()
    assert answer["stages"] == [
        "model",
        "repetition_penalty",
        "temperature",
        "top_k",
        "top_p",
        "min_p",
    ]
    folder = RunFolder(shared_checkpoints / "baseline")
    ids = folder.read_tokenizer().encode(LONG)
    with torch.no_grad():
        logits = folder.load_model()(torch.tensor([ids[-16:]]))[0, -1]
    expected = distribution(logits, Sampling(**fields), ids)
    assert expected.ne(distribution(logits, Sampling(**fields), ids[-16:])).any()
    got = torch.zeros_like(expected)
    for candidate in answer["candidates"]:
        got[candidate["id"]] = candidate["probabilities"][-1]
        assert candidate["logit"] == pytest.approx(float(logits[candidate["id"]]), abs=1e-5)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    columns = zip(*(candidate["probabilities"] for candidate in answer["candidates"]), strict=True)
    assert answer["left"] == [sum(p > 0 for p in column) for column in columns]
    assert answer["left"] == sorted(answer["left"], reverse=True)
    assert answer["left"][0] == 43


def test_at_temperature_zero_one_is_left(client: TestClient) -> None:
    answer = drawing(client, temperature=0, top_k=5, top=3).json()
    assert (answer["stages"], answer["left"]) == (["model", "temperature"], [43, 1])
    assert [it["probabilities"][1] for it in answer["candidates"]] == [1, 0, 0]
    written = completion(client, max_tokens=1, temperature=0)
    assert answer["candidates"][0]["token"] == written["text"]


def test_the_likeliest_come_first_and_the_target_is_among_them(client: TestClient) -> None:
    everything = drawing(client, top=200).json()["candidates"]
    assert len(everything) == 43
    model = [it["probabilities"][0] for it in everything]
    assert model == sorted(model, reverse=True)
    assert sum(model) == pytest.approx(1, abs=1e-5)
    last = everything[-1]["token"]
    asked = [it["token"] for it in drawing(client, top=2, target=last).json()["candidates"]]
    assert asked == [everything[0]["token"], everything[1]["token"], last]
    first = drawing(client, top=2, target=everything[0]["token"]).json()["candidates"]
    assert [it["token"] for it in first] == asked[:2]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"target": "z"}, "target"),
        ({"target": "To"}, "target"),
        ({"temperature": -1}, "temperature"),
        ({"top_k": 0}, "top_k"),
        ({"top_p": 0}, "top_p"),
        ({"top_p": 1.5}, "top_p"),
        ({"min_p": 2}, "min_p"),
        ({"repetition_penalty": 0}, "repetition_penalty"),
        ({"run": "ngram"}, "run"),
        ({"text": "5€"}, "text"),
        ({"text": "€" + LONG, "repetition_penalty": 2}, "text"),
        ({"seed": 1}, "seed"),
    ],
)
def test_wrong_drawings(client: TestClient, fields: dict[str, Any], param: str) -> None:
    answer = drawing(client, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, param)


def test_what_is_not_seen_need_not_be_known_without_a_penalty(client: TestClient) -> None:
    seen = drawing(client, text="€" + LONG).json()
    assert seen["candidates"] == drawing(client, text=LONG).json()["candidates"]
