"""`/api/attention/ablation` and `/importance`, against completions, the model and each other."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient

from app.main import create_app
from app.settings import ROOT, Settings
from model.ablation import head_means, without_heads
from model.config import BigramConfig
from model.decoding import generate
from model.gpt import GPT
from model.run_folder import RunFolder
from model.sampling import Sampling
from model.scoring import score
from tests.conftest import CHARACTERS, write_run
from tests.conftest import GPT as SMALL
from tests.small_gpts import random_gpt

TEXT = "To be, or"
LONG = "ROMEO:\nTo be, or not to be.\n"  # the run sees 16 characters
HEADS = [[1, 0], [0, 1]]


def ask(client: TestClient, **fields: Any):
    body = {"run": "baseline", "text": TEXT, "heads": HEADS, **fields}
    return client.post("/api/attention/ablation", json=body)


def missed(client: TestClient, **fields: Any):
    body = {"run": "baseline", "text": TEXT, **fields}
    return client.post("/api/attention/importance", json=body)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose every head has a say, unlike one that has not begun to learn."""
    root = tmp_path_factory.mktemp("checkpoints")
    wide = SMALL.model_copy(update={"n_embd": 32})
    write_run(root, "baseline", wide, steps=(10,)).write_weights(random_gpt(wide).float())
    write_run(root, "bigram", BigramConfig(vocab_size=len(CHARACTERS)))
    return root


@pytest.fixture(scope="module")
def client(root: Path) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(checkpoints=root, data=root / "data"))) as client:
        yield client


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    data = tmp_path_factory.mktemp("data")
    with TestClient(create_app(Settings(checkpoints=ROOT / "checkpoints", data=data))) as client:
        yield client


def load(root: Path) -> tuple[GPT, Any]:
    folder = RunFolder(root / "baseline")
    model = folder.load_model()
    assert isinstance(model, GPT)
    return model, folder.read_tokenizer()


@pytest.mark.parametrize("text", [TEXT, LONG])
@pytest.mark.parametrize(
    "drawing", [{"temperature": 0}, {"seed": 5}, {"seed": 6, "top_k": 9, "top_p": 0.8}], ids=str
)
def test_before_is_what_completions_write(
    client: TestClient, text: str, drawing: dict[str, Any]
) -> None:
    """From within the context, beyond it, and across its end."""
    request = {"model": "baseline", "prompt": text, "max_tokens": 30, **drawing}
    first = client.post("/v1/completions", json=request).json()["choices"][0]["text"]
    answer = ask(client, text=text, generate=30, **drawing).json()
    assert answer["text_before"] == first
    assert len(answer["text_after"]) == 30
    again = client.post("/v1/completions", json=request).json()["choices"][0]["text"]
    assert again == first, "the run itself has all its heads"


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_after_is_what_the_ablated_model_says(client: TestClient, root: Path, fill: str) -> None:
    model, tokenizer = load(root)
    ids = tokenizer.encode(LONG)
    means = head_means(model, ids[-16:]) if fill == "mean" else None
    ablated = without_heads(model, [(1, 0), (0, 1)], means)
    answer = ask(client, text=LONG, fill=fill, generate=25, seed=4, top=200).json()
    written = generate(ablated, ids, 25, Sampling(seed=4))
    assert answer["text_after"] == tokenizer.decode(token.id for token in written)
    for name, it in (("before", model), ("after", ablated)):
        losses = [-token.logprob for token in score(it, ids[-16:]) if token]
        assert answer[f"losses_{name}"][0] is None
        assert answer[f"losses_{name}"][1:] == pytest.approx(losses, abs=1e-5)
        assert answer[f"loss_{name}"] == pytest.approx(sum(losses) / 15, abs=1e-5)
        with torch.no_grad():
            expected = it(torch.tensor([ids[-16:]]))[0, -1].softmax(-1)
        got = {entry["token"]: entry[name] for entry in answer["next"]}
        assert got == pytest.approx(
            {tokenizer.token_text(i): float(p) for i, p in enumerate(expected)}, abs=1e-6
        )
    assert answer["fill"] == fill
    assert answer["text_after"] != answer["text_before"]


def test_the_likeliest_in_either_come_first(client: TestClient) -> None:
    everything = ask(client, top=200).json()["next"]
    larger = [max(entry["before"], entry["after"]) for entry in everything]
    assert larger == sorted(larger, reverse=True)
    assert ask(client, top=3).json()["next"] == everything[:3]


def test_heads_come_once_and_as_asked_for(client: TestClient) -> None:
    once = ask(client).json()
    assert once["heads"] == HEADS
    assert ask(client, heads=[*HEADS, *HEADS]).json() == once
    assert (once["text_before"], once["text_after"]) == ("", "")


def test_a_single_token_has_no_loss(client: TestClient) -> None:
    answer = ask(client, text="T").json()
    assert (answer["loss_before"], answer["loss_after"]) == (None, None)
    assert (answer["losses_before"], answer["losses_after"]) == ([None], [None])


def test_without_a_seed_both_draw_alike(tmp_path: Path) -> None:
    """A model whose blocks do nothing yet writes the same without any of its heads."""
    write_run(tmp_path, "baseline", SMALL.model_copy(update={"zero_init": True}))
    settings = Settings(checkpoints=tmp_path, data=tmp_path / "data")
    with TestClient(create_app(settings)) as client:
        first, second = (ask(client, generate=40).json() for _ in range(2))
    assert first["text_before"] == first["text_after"]
    assert first["text_before"] != second["text_before"]


@pytest.mark.parametrize(
    ("fields", "status", "param"),
    [
        ({"run": "nope"}, 404, "run"),
        ({"run": "bigram"}, 422, "run"),
        ({"step": 11}, 404, "step"),
        ({"heads": []}, 422, "heads"),
        ({"heads": [[0]]}, 422, "heads.0"),
        ({"heads": [[0, 0, 0]]}, 422, "heads.0"),
        ({"heads": [[0, 0], [0, 2]]}, 422, "heads"),
        ({"heads": [[2, 0]]}, 422, "heads"),
        ({"heads": [[0, -1]]}, 422, "heads.0.1"),
        ({"fill": "noise"}, 422, "fill"),
        ({"generate": 501}, 422, "generate"),
        ({"text": "5€"}, 422, "text"),
        ({"text": ""}, 422, "text"),
    ],
)
def test_wrong_ablations(
    client: TestClient, fields: dict[str, Any], status: int, param: str
) -> None:
    answer = ask(client, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
    assert answer.json()["error"]["message"]


# How much each head is missed


@pytest.mark.parametrize("fill", ["zero", "mean"])
@pytest.mark.parametrize("text", [TEXT, LONG])
def test_importance_is_what_ablations_cost(client: TestClient, text: str, fill: str) -> None:
    answer = missed(client, text=text, fill=fill).json()
    for layer in (0, 1):
        for head in (0, 1):
            one = ask(client, text=text, fill=fill, heads=[[layer, head]]).json()
            assert answer["loss"] == pytest.approx(one["loss_before"], abs=1e-5)
            change = one["loss_after"] - one["loss_before"]
            assert answer["changes"][layer][head] == pytest.approx(change, abs=1e-5)


@pytest.mark.parametrize("fields", [{"text": "T"}, {"length": 1}], ids=str)
def test_a_single_token_has_no_importance(client: TestClient, fields: dict[str, Any]) -> None:
    answer = missed(client, **fields)
    assert (answer.status_code, answer.json()["error"]["param"]) == (422, "text")
    assert "needs two" in answer.json()["error"]["message"]


@pytest.mark.parametrize("fill", ["zero", "mean"])
def test_the_baseline_needs_the_head_that_looks_at_the_previous_token(
    shipped: TestClient, fill: str
) -> None:
    text = "ROMEO:\nBut, soft! what light th"
    changes = missed(shipped, text=text, fill=fill).json()["changes"]
    places = [(layer, head) for layer in range(4) for head in range(4)]
    assert max(places, key=lambda place: changes[place[0]][place[1]]) == (0, 0)
    assert changes[0][0] > 0.3
    maps = shipped.post("/api/attention", json={"run": "baseline", "text": text}).json()["maps"]
    previous = [row[i] for i, row in enumerate(maps[0][0][1:])]
    assert sum(previous) / len(previous) > 0.9
