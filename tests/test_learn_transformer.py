"""The parts of a model against torch's own parameters, and what they give against plain layers."""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastapi.testclient import TestClient
from torch import Tensor

from app.registry import Registry
from app.settings import ROOT
from model.activations import activations
from model.config import GPTConfig
from model.families import build_empty
from model.gpt import GPT
from model.head_diversity import divergences, mean_of_pairs
from model.parts import Learned, Part, PartName, parts
from tests.conftest import CHARACTERS
from tests.slow_gpt import slow_attention
from tests.small_gpts import DESIGNS, PLAIN, every_design, random_gpt, random_ids

LENGTH = 10
TEXT = "To be, or not"
CLOSE = {"rtol": 1e-5, "atol": 1e-5}
MORE_DESIGNS = [
    PLAIN.model_copy(update={"activation": "swiglu", "mlp_ratio": 2.67, "head_bias": False}),
    PLAIN.model_copy(update={"bias": False, "qkv_bias": True, "dropout": 0.1}),
    PLAIN.model_copy(update={"norm": "rmsnorm", "tie_weights": True, "head_bias": False}),
    PLAIN.model_copy(update={"position": "rotary", "qkv_conv": 3, "qk_gain": True, "n_head": 1}),
    GPTConfig(vocab_size=50257, block_size=1024, n_layer=12, n_head=12, n_embd=768),
]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """More only wait for each other on numbers so few."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tensors(found: list[Part]) -> list[Learned]:
    return [tensor for part in found for tensor in part.learned]


@pytest.mark.parametrize("config", [*DESIGNS.values(), *MORE_DESIGNS])
def test_parts_have_every_parameter_once(config: GPTConfig) -> None:
    model = build_empty(config)
    found = parts(model)
    real = {name: tuple(p.shape) for name, p in model.named_parameters()}  # tied ones once
    assert {it.name: it.shape for it in tensors(found) if not it.shared} == real
    assert sum(part.count for part in found) == sum(math.prod(shape) for shape in real.values())
    everywhere = dict(model.named_parameters(remove_duplicate=False))
    assert [it.name for it in tensors(found) if it.shared] == list(everywhere.keys() - real.keys())


def test_shipped_runs_are_their_parts(client: TestClient) -> None:
    """To the last number: the sum of the parts is what the run says it learned."""
    registry = Registry(ROOT / "checkpoints", 10**9)
    for run in registry.runs():
        with registry.lend(run.id, None) as loaded:
            found = parts(loaded.model)
            learned = dict(loaded.model.state_dict())
        assert sum(part.count for part in found) == run.config.params, run.id
        assert all(tuple(learned[it.name].shape) == it.shape for it in tensors(found)), run.id
    answer = client.get("/api/learn/parts", params={"run": "bigram"}).json()
    V = len(CHARACTERS)
    assert answer["total"] == V * V == sum(part["count"] for part in answer["parts"])


class Looked:
    """What the parts of a model give on one text, by name and layer."""

    def __init__(self, model: GPT, ids: list[int]) -> None:
        self.model, self.ids = model, ids
        self.parts = {(part.name, part.layer): part for part in parts(model)}

    def __call__(self, name: PartName, layer: int | None = None) -> Tensor:
        return activations(self.model, self.ids, self.parts[name, layer]).double()


def test_every_part_by_hand() -> None:
    """The exercise's architecture again, from its weights, with torch's plain functions."""
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, LENGTH)
    w, given = model.state_dict(), Looked(model, ids)
    C, H, D = 8, 2, 4
    x = w["wte.weight"][ids] + w["wpe.weight"][:LENGTH]
    torch.testing.assert_close(given("embedded"), x, **CLOSE)
    for layer in range(PLAIN.n_layer):
        in_block = {name.split(".", 2)[2]: w[name] for name in w if f"blocks.{layer}." in name}
        normed = F.layer_norm(x, (C,), in_block["norm_1.weight"], in_block["norm_1.bias"])
        q, k, v = (normed @ part.T for part in in_block["attn.qkv.weight"].chunk(3))
        outputs = []
        for head in range(H):
            mine = slice(head * D, (head + 1) * D)
            scores = q[:, mine] @ k[:, mine].T / math.sqrt(D)
            scores[torch.ones(LENGTH, LENGTH).triu(1) > 0] = -math.inf
            torch.testing.assert_close(given("scores", layer)[head], scores, **CLOSE)
            torch.testing.assert_close(given("weights", layer)[head], scores.softmax(-1), **CLOSE)
            outputs.append(scores.softmax(-1) @ v[:, mine])
        torch.testing.assert_close(given("mixed", layer), torch.stack(outputs), **CLOSE)
        joined = torch.cat(outputs, dim=-1)
        x = x + F.linear(joined, in_block["attn.proj.weight"], in_block["attn.proj.bias"])
        torch.testing.assert_close(given("after_attention", layer), x, **CLOSE)
        normed = F.layer_norm(x, (C,), in_block["norm_2.weight"], in_block["norm_2.bias"])
        hidden = F.relu(F.linear(normed, in_block["mlp.fc.weight"], in_block["mlp.fc.bias"]))
        torch.testing.assert_close(given("activated", layer), hidden, **CLOSE)
        x = x + F.linear(hidden, in_block["mlp.proj.weight"], in_block["mlp.proj.bias"])
        torch.testing.assert_close(given("after_mlp", layer), x, **CLOSE)
    logits = F.linear(
        F.layer_norm(x, (C,), w["norm.weight"], w["norm.bias"]),
        w["lm_head.weight"],
        w["lm_head.bias"],
    )
    torch.testing.assert_close(given("logits"), logits, **CLOSE)


@every_design
def test_parts_fit_together(config: GPTConfig) -> None:
    """Heads as the slow attention has them, branches that add up to the stream, the model's end."""
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    given = Looked(model, ids)
    stream = given("token_embedding")
    if config.position == "learned":
        stream = stream + given("position_embedding")
    for layer, heads in enumerate(slow_attention(model, ids)):
        for index, head in enumerate(heads):
            weights = torch.from_numpy(head.weights)
            torch.testing.assert_close(given("weights", layer)[index], weights, **CLOSE)
            torch.testing.assert_close(
                given("v", layer)[index], torch.from_numpy(head.values), **CLOSE
            )
        at_last = given("conv" if config.qkv_conv else "qkv", layer)
        values = given("v", layer).transpose(0, 1).flatten(1)  # the heads side by side
        torch.testing.assert_close(values, at_last[:, 2 * config.n_embd :], **CLOSE)
        after = given("after_attention", layer)
        torch.testing.assert_close(after, stream + given("attention", layer), **CLOSE)
        stream = given("after_mlp", layer)
        torch.testing.assert_close(stream, after + given("mlp", layer), **CLOSE)
    logits = model(torch.tensor([ids]))[0]
    torch.testing.assert_close(given("logits"), logits, **CLOSE)
    torch.testing.assert_close(given("probabilities"), logits.softmax(-1), **CLOSE)
    assert not any(module._forward_hooks for module in model.modules())


# Over the API


def test_numbers_over_the_api(client: TestClient) -> None:
    """Of masked scores null is sent, and nothing of them is in the statistics."""
    body = {"run": "baseline", "text": TEXT, "layer": 1}
    scores = client.post("/api/learn/activations", json=body | {"part": "scores"}).json()
    T = len(TEXT)
    assert scores["shape"] == [2, T, T]
    assert scores["axes"][1]["labels"] == list(TEXT)
    values = np.array(scores["values"], dtype=float)
    assert (np.isnan(values) == (np.triu(np.ones((T, T)), 1) > 0)).all()
    seen = values[~np.isnan(values)]
    found = scores["statistics"]
    assert found["count"] == len(seen) == 2 * T * (T + 1) // 2
    assert [found["mean"], found["std"]] == pytest.approx([seen.mean(), seen.std()], rel=1e-4)
    weights = client.post("/api/learn/activations", json=body | {"part": "weights"}).json()
    maps = client.post("/api/attention", json={"run": "baseline", "text": TEXT, "layers": [1]})
    assert np.allclose(weights["values"], maps.json()["maps"][0], atol=1e-6)
    odds = client.post(
        "/api/learn/activations", json={"run": "ngram", "text": TEXT, "part": "counts", "layer": 3}
    ).json()
    assert np.allclose(np.sum(odds["values"], axis=1), 1, atol=1e-4)


def test_what_is_not_there_is_refused(client: TestClient) -> None:
    body = {"run": "baseline", "text": TEXT}
    for wrong, param in (
        ({"part": "table"}, "part"),
        ({"part": "conv", "layer": 0}, "part"),
        ({"part": "norm_1"}, "layer"),
        ({"part": "norm_1", "layer": 2}, "layer"),
        ({"part": "logits", "layer": 0}, "layer"),
        ({"part": "logits", "text": "€"}, "text"),
        ({"part": "logits", "text": ""}, "text"),
    ):
        answer = client.post("/api/learn/activations", json=body | wrong)
        assert (answer.status_code, answer.json()["error"]["param"]) == (422, param), wrong
    answer = client.post("/api/learn/head-diversity", json={"run": "baseline", "text": "T"})
    assert answer.json()["error"]["param"] == "text"
    assert client.get("/api/learn/parts?run=none").status_code == 404


# How different heads are


def test_divergences_by_hand() -> None:
    scores = 2 * torch.randn(4, 7, 7, generator=torch.Generator().manual_seed(0))
    maps = scores.masked_fill(torch.ones(7, 7).triu(1) > 0, -torch.inf).softmax(-1)
    maps[3] = maps[0]
    apart = divergences(maps)

    def bits(p: Tensor, q: Tensor) -> float:
        both = (p + q) / 2
        return sum(
            (float(of[i] * torch.log2(of[i] / both[i])) if of[i] > 0 else 0.0) / 2
            for of in (p, q)
            for i in range(7)
        )

    pairs = list(combinations(range(4), 2))
    slow = {(a, b): np.mean([bits(maps[a, t], maps[b, t]) for t in range(1, 7)]) for a, b in pairs}
    for (a, b), expected in slow.items():
        assert float(apart[a, b]) == float(apart[b, a]) == pytest.approx(expected, abs=1e-6)
    assert float(apart[0, 3]) == pytest.approx(0, abs=1e-9)
    assert mean_of_pairs(apart) == pytest.approx(np.mean(list(slow.values())), abs=1e-6)
    two = torch.stack((torch.eye(3), torch.eye(3)))
    two[1, 2] = torch.tensor([1.0, 0, 0])
    assert float(divergences(two)[0, 1]) == pytest.approx(0.5), "one row of two is another"
    assert mean_of_pairs(divergences(maps[:1])) is None
