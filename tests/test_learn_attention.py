"""Attention step by step: against sums written as loops, torch's own layers, and the real pass."""

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from fastapi.testclient import TestClient
from torch import Tensor, nn

from model.attention_steps import attend, causal, entropy, head_steps, three_kinds
from model.config import GPTConfig
from model.gpt import GPT
from model.trace import Trace
from tests.small_gpts import DESIGNS, TODAY, every_design, random_gpt, random_ids

CLOSE = {"rtol": 0, "atol": 1e-10}
LENGTH, SOURCE_LENGTH = 9, 6
SOURCE_SEED = 7
Q, K, V = [[1, 0.5], [-2, 3]], [[2, 1], [0, -1], [1.5, 4]], [[1, 0, 2], [0, 1, -1], [3, 3, 0]]

# The steps themselves


def slow_attend(q: Any, k: Any, v: Any, allowed: Any, scale: float) -> tuple[Any, Any]:
    """Weights and output by the definition, one number at a time."""
    weights, output = [], []
    for i, query in enumerate(q):
        scores = [scale * sum(a * b for a, b in zip(query, key, strict=True)) for key in k]
        terms = [math.exp(s) if allowed(i, j) else 0.0 for j, s in enumerate(scores)]
        weights.append([term / sum(terms) for term in terms])
        columns = zip(*v, strict=True)
        output.append([sum(w * x for w, x in zip(weights[-1], c, strict=True)) for c in columns])
    return weights, output


def post(client: TestClient, what: str, **body: Any) -> Any:
    return client.post(f"/api/learn/{what}", json=body)


def alike(rows: Any, others: Any) -> bool:
    return bool(np.array(rows) == pytest.approx(np.array(others), abs=1e-5))


def test_by_hand_every_number_is_that_of_the_definition(client: TestClient) -> None:
    answer = post(client, "attend", q=Q, k=K, v=V).json()
    weights, output = slow_attend(Q, K, V, lambda *_: True, 1 / math.sqrt(2))
    unscaled, _ = slow_attend(Q, K, V, lambda *_: True, 1)
    scores = [[2.5, -0.5, 3.5], [-1, -3, 9]]  # 1·2 + 0.5·1, …
    terms = [[math.exp((s - max(row)) / math.sqrt(2)) for s in row] for row in scores]
    for name, expected in [
        ("scores", scores),
        ("exponentials", terms),
        ("weights", weights),
        ("output", output),
        ("unscaled_weights", unscaled),
    ]:
        assert alike(answer[name], expected), name
    assert answer["row_largest"] == pytest.approx([3.5 / math.sqrt(2), 9 / math.sqrt(2)])
    assert answer["row_sums"] == pytest.approx([sum(row) for row in answer["exponentials"]])
    bits = [-sum(w * math.log2(w) for w in row) for row in weights]
    assert answer["sharpness"]["entropy"] == pytest.approx(bits, abs=1e-6)
    assert answer["unscaled_sharpness"]["largest"] == pytest.approx([max(r) for r in unscaled])


def test_a_causal_query_sees_itself_and_before(client: TestClient) -> None:
    answer = post(client, "attend", q=Q, k=K[1:], v=V[1:], causal=True).json()
    weights, _ = slow_attend(Q, K[1:], V[1:], lambda i, j: j <= i, 1 / math.sqrt(2))
    assert answer["masked"] == [[False, True], [False, False]]
    assert answer["weights"][0] == [1, 0]
    assert answer["row_largest"][0] == pytest.approx(-0.5 / math.sqrt(2))  # not the masked 3.5
    assert answer["weights"][1] == pytest.approx(weights[1], abs=1e-6)
    assert answer["sharpness"]["entropy"][0] == 0


def test_numbers_at_the_bounds_stay_finite(client: TestClient) -> None:
    """e to the power of such a score is more than a double holds."""
    answer = post(client, "attend", q=[[100.0] * 12], k=[[100.0] * 12, [-100.0] * 12], v=[[1], [2]])
    assert answer.json()["weights"] == answer.json()["unscaled_weights"] == [[1, 0]]


def test_steps_are_torchs_attention() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(7, 6).double(), torch.randn(9, 6).double(), torch.randn(9, 5).double()
    expected = F.scaled_dot_product_attention(q, k, v)
    free = torch.zeros(7, 9, dtype=torch.bool)
    torch.testing.assert_close(attend(q, k, v, free).output, expected, **CLOSE)
    expected = F.scaled_dot_product_attention(q, k[:7], v[:7], is_causal=True)
    torch.testing.assert_close(attend(q, k[:7], v[:7], causal(7)).output, expected, **CLOSE)
    expected = F.scaled_dot_product_attention(q, k[:7], v[:7], is_causal=True, scale=1.0)
    unscaled = attend(q, k[:7], v[:7], causal(7)).unscaled_weights
    torch.testing.assert_close(unscaled @ v[:7], expected, **CLOSE)
    with pytest.raises(ValueError, match="at least one key"):
        attend(q, k, v, ~free)


def test_entropy_of_keys_alike() -> None:
    assert entropy(torch.full((1, 8), 1 / 8)).item() == pytest.approx(3)
    assert str(entropy(torch.eye(1, 8)).item()) == "0.0"


# A head of a model


@every_design
def test_a_heads_steps_are_those_of_the_pass(config: GPTConfig) -> None:
    """What the heads of a layer add to the stream is, with the bias, what the pass has added."""
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    trace = Trace()
    model(torch.tensor([ids]), trace)
    for layer, attention in enumerate(trace.attention):
        heads = [head_steps(model, ids, layer, head) for head in range(config.n_head)]
        for head, found in enumerate(heads):
            steps = found.steps
            assert torch.equal(steps.weights, attention.weights[0, head])
            assert torch.equal(steps.output, attention.mixed[0, head])
            computed = steps.exponentials / steps.exponentials.sum(1, keepdim=True)
            torch.testing.assert_close(computed, steps.weights, **CLOSE)
            assert torch.equal(steps.masked, steps.weights == 0)
        bias = model.blocks[layer].attn.proj.bias
        added = sum(found.written for found in heads) + (0 if bias is None else bias)
        before, after = trace.stream[2 * layer : 2 * layer + 2]
        torch.testing.assert_close(before[0] + added, after[0], **CLOSE)


def torchs_layer(model: GPT, layer: int) -> nn.MultiheadAttention:
    """torch's own multi-head attention with the weights of a layer copied in."""
    own, C = model.blocks[layer].attn, model.config.n_embd
    theirs = nn.MultiheadAttention(C, model.config.n_head, batch_first=True).double().eval()
    theirs.in_proj_weight.data.copy_(own.qkv.weight)
    theirs.in_proj_bias.data.copy_(0 if own.qkv.bias is None else own.qkv.bias)
    theirs.out_proj.weight.data.copy_(own.proj.weight)
    theirs.out_proj.bias.data.zero_()  # as it is no head's
    return theirs


def normalised(model: GPT, ids: list[int], layer: int) -> Tensor:
    """(1, T, C), caught on the way into a layer's attention in the fused pass."""
    seen: list[Tensor] = []
    hook = model.blocks[layer].attn.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(torch.tensor([ids]))
    hook.remove()
    return seen[0]


@pytest.mark.parametrize("name", ["plain", "gpt2"])
def test_torchs_multi_head_attention_says_the_same(name: str) -> None:
    """Of a text to itself, and of a text to another one."""
    config, layer = DESIGNS[name], 1
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    source = random_ids(config, SOURCE_LENGTH, SOURCE_SEED)
    x, y = normalised(model, ids, layer), normalised(model, source, layer)
    with torch.no_grad():
        theirs = torchs_layer(model, layer)
        options = {"average_attn_weights": False}
        later = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
        own_output, own = theirs(x, x, x, attn_mask=later, **options)
        _, cross = theirs(x, y, y, **options)
    written = 0
    for head in range(config.n_head):
        found = head_steps(model, ids, layer, head)
        kinds = three_kinds(model, ids, source, layer, head, query=4)
        torch.testing.assert_close(found.x, x[0], **CLOSE)
        torch.testing.assert_close(found.steps.weights, own[0, head], **CLOSE)
        torch.testing.assert_close(kinds.own.weights, own[0, head], **CLOSE)
        torch.testing.assert_close(kinds.cross.weights, cross[0, head], **CLOSE)
        torch.testing.assert_close(kinds.general.weights[0], cross[0, head, 4], **CLOSE)
        written = written + found.written
    torch.testing.assert_close(written, own_output[0], **CLOSE)


def test_between_texts_there_are_no_rotary_positions() -> None:
    """All that the projections give but the rotation, worked out from the parameters."""
    config = TODAY.model_copy(update={"qkv_conv": 0})
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    source = random_ids(config, SOURCE_LENGTH, SOURCE_SEED)
    kinds = three_kinds(model, ids, source, layer=1, head=1, query=0)
    D, attn = config.n_embd // config.n_head, model.blocks[1].attn
    of_q, of_k, of_v = (part[D:] for part in attn.qkv.weight.chunk(3))  # the second head of two
    q = normalised(model, ids, 1)[0] @ of_q.T
    k, v = (normalised(model, source, 1)[0] @ of.T for of in (of_k, of_v))
    q = q / q.square().mean(1, keepdim=True).sqrt() * attn.gain[1]
    k = k / k.square().mean(1, keepdim=True).sqrt()
    expected = F.scaled_dot_product_attention(q, k, v)
    torch.testing.assert_close(kinds.cross.output, expected, rtol=0, atol=1e-6)
    trace = Trace()
    model(torch.tensor([ids]), trace)
    assert torch.equal(kinds.own.weights, trace.attention[1].weights[0, 1])


# Over the API


def test_a_head_over_the_api(client: TestClient) -> None:
    fields = {"run": "baseline", "text": "To be, or"}
    answer = post(client, "self-attention", **fields, layer=1, head=1).json()
    maps = client.post("/api/attention", json=fields).json()["maps"]
    steps, T = answer["steps"], len("To be, or")
    assert alike(steps["weights"], maps[1][1])
    weights, output = slow_attend(steps["q"], steps["k"], steps["v"], lambda i, j: j <= i, 0.5)
    assert alike(steps["weights"], weights)
    assert alike(steps["output"], output)
    assert [len(answer[name]) for name in ("tokens", "x", "written")] == [T] * 3
    scores = [s for i, row in enumerate(steps["scores"]) for s in row[: i + 1]]
    mean = sum(scores) / len(scores)
    variance = sum((s - mean) ** 2 for s in scores) / len(scores)
    assert answer["variances"]["scores"] == pytest.approx(variance, abs=1e-5)
    assert answer["variances"]["scaled"] == pytest.approx(variance / 4, abs=1e-5)
    alone = post(client, "self-attention", run="baseline", text="T").json()
    assert alone["variances"]["scores"] is None
    assert alone["steps"]["weights"] == [[1]]


def test_three_kinds_over_the_api(client: TestClient) -> None:
    fields = {"run": "baseline", "text": "To be", "layer": 1, "head": 0, "query": 2}
    answer = post(client, "cross-attention", **fields, source="Tom or I").json()
    assert answer["source_tokens"] == list("Tom or I")
    shapes = {kind: (len(answer[kind]["weights"]), len(answer[kind]["weights"][0]))
              for kind in ("general", "own", "cross")}  # fmt: skip
    assert shapes == {"general": (1, 8), "own": (5, 5), "cross": (5, 8)}
    assert answer["general"]["weights"][0] == pytest.approx(answer["cross"]["weights"][2], abs=1e-6)
    assert all(min(row) > 0 for row in answer["cross"]["weights"])
    one = post(client, "self-attention", **{k: fields[k] for k in ("run", "text", "layer", "head")})
    assert answer["own"] == one.json()["steps"]
    swapped = post(client, "cross-attention", **fields | {"text": "Tom or I"}, source="To be")
    assert swapped.json()["cross"]["k"] != answer["cross"]["k"]


TEXTS = {"run": "baseline", "text": "To be", "source": "or"}
HAND = {"q": Q, "k": K, "v": V}


@pytest.mark.parametrize(
    ("what", "body", "status", "param", "words"),
    [
        ("self-attention", {"run": "nope", "text": "a"}, 404, "run", "no run"),
        ("self-attention", {"run": "ngram", "text": "a"}, 422, "run", "no attention heads"),
        ("self-attention", {"run": "baseline", "text": "€"}, 422, "text", "€"),
        ("self-attention", {"run": "baseline", "text": "a", "layer": 2}, 422, "layer", "not 2"),
        ("self-attention", {"run": "baseline", "text": "a", "length": 25}, 422, "length", "24"),
        ("cross-attention", TEXTS | {"head": 2}, 422, "head", "not 2"),
        ("cross-attention", TEXTS | {"source": "€"}, 422, "source", "source: "),
        ("cross-attention", TEXTS | {"source": ""}, 422, "source", "at least 1"),
        ("cross-attention", TEXTS | {"query": 5}, 422, "query", "0 to 4, not 5"),
        ("attend", HAND | {"k": [[1, 2], [3]]}, 422, "k", "row 1 needs 2 numbers"),
        ("attend", HAND | {"k": [[1, 2, 3]]}, 422, "k", "as the first query has"),
        ("attend", HAND | {"v": [[1]]}, 422, "v", "each of the 3 keys, not 1"),
        ("attend", HAND | {"causal": True}, 422, "causal", "2 queries and 3 keys"),
        ("attend", HAND | {"q": [[101, 0]]}, 422, "q.0.0", "less than or equal to 100"),
        ("attend", HAND | {"q": [["1", 0]]}, 422, "q.0.0", "number"),
        ("attend", HAND | {"q": [[0] * 13]}, 422, "q.0", "at most 12"),
    ],
)
def test_what_cannot_be_used(
    client: TestClient, what: str, body: Any, status: int, param: str, words: str
) -> None:
    answer = post(client, what, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert words in error["message"]


def test_no_number_that_is_none_is_taken(client: TestClient) -> None:
    body = '{"q": [[NaN]], "k": [[1]], "v": [[1]]}'
    assert client.post("/api/learn/attend", content=body).status_code == 422
