"""Residual connections, normalisation and dropout, against a network written out plainly."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from fastapi.testclient import TestClient
from torch import Tensor

from model.depth import ascend, norm_statistics, walk
from model.dropout_spread import dropout_spread, with_dropout
from model.gpt import GPT
from model.trace import Trace
from tests.small_gpts import PLAIN, TODAY, every_design, random_gpt, random_ids

TEXT = "To be, or not"


def plain(model: GPT, ids: list[int], *, residual: bool, norm: bool) -> tuple[Tensor, list[Tensor]]:
    """Logits (T, V) and the stream at each sum, from the weights of PLAIN alone."""
    weights = model.state_dict()

    def linear(x: Tensor, name: str) -> Tensor:
        y = x @ weights[f"{name}.weight"].T
        return y + weights[f"{name}.bias"] if f"{name}.bias" in weights else y

    def normalised(x: Tensor, name: str) -> Tensor:
        if not norm:
            return x
        centred = x - x.mean(-1, keepdim=True)
        unit = centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def attention(x: Tensor, name: str) -> Tensor:
        T, C = x.shape
        q, k, v = linear(x, f"{name}.qkv").split(C, dim=-1)
        D = C // PLAIN.n_head
        later = torch.ones(T, T).triu(1).bool()
        heads = []
        for h in range(PLAIN.n_head):
            own = slice(h * D, (h + 1) * D)
            scores = (q[:, own] @ k[:, own].T / math.sqrt(D)).masked_fill(later, -math.inf)
            heads.append(scores.softmax(-1) @ v[:, own])
        return linear(torch.cat(heads, dim=-1), f"{name}.proj")

    def mlp(x: Tensor, name: str) -> Tensor:
        return linear(linear(x, f"{name}.fc").clamp(min=0), f"{name}.proj")

    x = weights["wte.weight"][ids] + weights["wpe.weight"][: len(ids)]
    x.requires_grad_()
    sums = [x]
    for layer in range(PLAIN.n_layer):
        for sublayer, place, before in ((attention, "attn", "norm_1"), (mlp, "mlp", "norm_2")):
            name = f"blocks.{layer}"
            y = sublayer(normalised(x, f"{name}.{before}"), f"{name}.{place}")
            x = x + y if residual else y
            sums.append(x)
    return linear(normalised(x, "norm"), "lm_head"), sums


@every_design
def test_with_everything_on_it_is_the_model(config: Any) -> None:
    model, ids = random_gpt(config), torch.tensor([random_ids(config, 10)])
    trace = Trace()
    with torch.no_grad():
        places = list(walk(model, ids))
        assert torch.equal(places[-1].vectors, model(ids))
        model(ids, trace)
    stream = [it.vectors for it in places if it.step in {"embedding", "sum_1", "sum_2"}]
    for mine, theirs in zip(stream, trace.stream, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize("norm", [True, False])
def test_each_variant_is_the_network_written_out(residual: bool, norm: bool) -> None:
    """Its loss, its vectors, and the gradients, which autograd finds in the plain one by itself."""
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, 9)
    logits, sums = plain(model, ids, residual=residual, norm=norm)
    loss = F.cross_entropy(logits[:-1], torch.tensor(ids[1:]))
    gradients = torch.autograd.grad(loss, sums)
    got = ascend(model, ids, residual=residual, norm=norm)
    assert got.loss == pytest.approx(loss.item(), rel=1e-9)
    torch.testing.assert_close(got.logits, logits[-1].detach())
    stream = [it for it in got.places if it.step in {"embedding", "sum_1", "sum_2"}]
    assert len(stream) == 1 + 2 * PLAIN.n_layer
    for place, vectors, gradient in zip(stream, sums, gradients, strict=True):
        rows = vectors.detach()
        assert place.length == pytest.approx(rows.square().sum(1).sqrt().mean().item(), rel=1e-9)
        assert place.gradient == pytest.approx(gradient.square().sum().sqrt().item(), rel=1e-9)
        cosines = F.cosine_similarity(rows[:, None], rows[None], dim=-1)
        pairs = [cosines[i, j].item() for i in range(9) for j in range(9) if i != j]
        assert place.similarity == pytest.approx(sum(pairs) / len(pairs), rel=1e-9)


def test_a_norm_leaves_mean_zero_and_variance_one() -> None:
    for each in norm_statistics(random_gpt(PLAIN), random_ids(PLAIN, 9)):
        assert each.variance_in != pytest.approx(1, abs=0.05)
        assert each.mean_normalised == pytest.approx(0, abs=1e-12)
        assert each.variance_normalised == pytest.approx(1, abs=1e-3)
    root_mean_square = norm_statistics(random_gpt(TODAY), random_ids(TODAY, 9))
    assert len(root_mean_square) == 2 * TODAY.n_layer + 1
    for each in root_mean_square:
        assert each.square_normalised == pytest.approx(1, abs=1e-3)
        assert each.mean_normalised > 0.01
        assert each.variance_normalised == each.variance_out


@every_design
def test_without_dropout_every_pass_is_the_same(config: Any) -> None:
    model, ids = random_gpt(config), random_ids(config, 10)
    with torch.no_grad():
        logits = model(torch.tensor([ids]))[0]
    loss = F.cross_entropy(logits[:-1], torch.tensor(ids[1:])).item()
    spread = dropout_spread(model, ids, 0.0, 3, seed=0)
    assert spread.losses.tolist() == pytest.approx([loss] * 3)
    assert spread.loss_of_mean == pytest.approx(loss)
    torch.testing.assert_close(spread.probabilities, logits[-1].softmax(-1).expand(3, -1))
    assert not model.training
    assert model.get_submodule("blocks.0.mlp.drop").p == config.dropout


def test_dropout_scatters_the_more_the_higher_it_is() -> None:
    model, ids = random_gpt(PLAIN), random_ids(PLAIN, 10)
    outside = torch.random.get_rng_state()
    few, many, most = (dropout_spread(model, ids, p, 40, seed=3) for p in (0.02, 0.2, 0.6))
    deviations = [it.losses.std().item() for it in (few, many, most)]
    assert 0 < deviations[0] < deviations[1] < deviations[2]
    assert torch.equal(many.losses, dropout_spread(model, ids, 0.2, 40, seed=3).losses)
    assert not torch.equal(many.losses, dropout_spread(model, ids, 0.2, 40, seed=4).losses)
    assert torch.equal(outside, torch.random.get_rng_state())
    # Of averaged predictions the loss is at most the average loss, as -log is convex.
    assert many.loss_of_mean < many.losses.mean().item()


def test_what_is_dropped_keeps_its_mean() -> None:
    """Over many masks; each activation is gone, or greater by 1 / (1 - p)."""
    dropping = with_dropout(random_gpt(PLAIN), 0.25)
    mlp = dropping.get_submodule("blocks.0.mlp")
    torch.manual_seed(0)
    x = torch.randn(PLAIN.n_embd, dtype=torch.float64)
    drawn = mlp(x.expand(20_000, -1))
    whole = mlp.eval()(x)
    torch.testing.assert_close(drawn.mean(0), whole, rtol=0.05, atol=0)
    assert ((drawn == 0) | torch.isclose(drawn, whole / 0.75)).all()
    assert (drawn == 0).double().mean().item() == pytest.approx(0.25, abs=0.01)


# Over the API


def test_depth_over_the_api(client: TestClient) -> None:
    answer = client.post("/api/learn/depth", json={"run": "baseline", "text": TEXT}).json()
    usual, *others = answer["variants"]
    assert [(it["residual"], it["norm"]) for it in answer["variants"]] == [
        (True, True),
        (True, False),
        (False, True),
        (False, False),
    ]
    body = {"model": "baseline", "prompt": TEXT, "max_tokens": 1, "echo": True, "logprobs": 5}
    written = client.post("/v1/completions", json=body).json()["choices"][0]["logprobs"]
    scores = written["token_logprobs"][1 : len(TEXT)]
    assert usual["loss"] == pytest.approx(-sum(scores) / len(scores), abs=1e-4)
    top = written["top_logprobs"][len(TEXT)]
    for token, probability in usual["next"]:
        assert math.log(probability) == pytest.approx(top[token], abs=1e-4)
    assert len({it["loss"] for it in answer["variants"]}) == 4
    assert [len(it["places"]) for it in others] == [1 + 2 * 6 + 2] * 3
    assert answer["norm"] == "layernorm"
    norms = [(it["step"], it["layer"]) for it in answer["norms"]]
    assert norms == [("norm_1", 0), ("norm_2", 0), ("norm_1", 1), ("norm_2", 1), ("norm", None)]


def test_dropout_over_the_api(client: TestClient) -> None:
    fields = {"run": "baseline", "text": TEXT, "draws": 4, "seed": 5}
    still, moved, again = (
        client.post("/api/learn/dropout", json=fields | {"dropout": p}).json()
        for p in (0, 0.5, 0.5)
    )
    assert moved == again
    assert still["losses"] == pytest.approx([still["loss"]] * 4, abs=1e-5)
    assert (moved["loss"], moved["trained_with"]) == (still["loss"], 0)
    mean = sum(moved["losses"]) / 4
    variance = sum((loss - mean) ** 2 for loss in moved["losses"]) / 3
    assert moved["mean"] == pytest.approx(mean, abs=1e-4)
    assert moved["deviation"] == pytest.approx(math.sqrt(variance), rel=1e-3)
    assert [it["deviation"] for it in still["next"]] == pytest.approx([0] * 5, abs=1e-6)


@pytest.mark.parametrize(
    ("path", "fields", "status", "param", "words"),
    [
        ("depth", {"run": "bigram"}, 422, "run", "no attention heads"),
        ("dropout", {"run": "ngram"}, 422, "run", "no attention heads"),
        ("depth", {"run": "nope"}, 404, "run", "no run"),
        ("depth", {"step": 11}, 404, "step", "no snapshot"),
        ("depth", {"text": "T"}, 422, "text", "a loss needs two"),
        ("dropout", {"length": 1}, 422, "text", "a loss needs two"),
        ("depth", {"text": "5€"}, 422, "text", "5"),
        ("dropout", {"dropout": 0.95}, 422, "dropout", "less than or equal to 0.9"),
        ("dropout", {"draws": 1}, 422, "draws", "greater than or equal to 2"),
    ],
)
def test_wrong_requests(
    client: TestClient, path: str, fields: dict[str, Any], status: int, param: str, words: str
) -> None:
    answer = client.post(f"/api/learn/{path}", json={"run": "baseline", "text": TEXT} | fields)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]
