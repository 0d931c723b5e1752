"""Inside a head, the logit lens and direct logit attribution, against slower ways to the same."""

import copy
import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attribution import attribute, head_outputs
from model.config import GPTConfig
from model.gpt import GPT
from model.inside import query_row
from model.logit_lens import logit_lens
from model.trace import Trace
from tests.small_gpts import PLAIN, every_design, random_gpt, random_ids

CLOSE = {"rtol": 0, "atol": 1e-10}
LENGTH = 10


def traced(model: GPT, ids: list[int]) -> Trace:
    trace = Trace()
    model(torch.tensor([ids]), trace)
    return trace


def outputs(model: GPT, ids: list[int], name: str) -> list[Tensor]:
    """What `name` of each block gives in the fused pass, each (T, ·)."""
    seen: list[Tensor] = []
    hooks = [
        block.get_submodule(name).register_forward_hook(lambda *args: seen.append(args[2][0]))
        for block in model.blocks
    ]
    model(torch.tensor([ids]))
    for hook in hooks:
        hook.remove()
    return seen


# One query of one head


def test_a_query_by_hand() -> None:
    config = PLAIN.model_copy(update={"n_layer": 1, "qkv_bias": True})
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    q, k, v = outputs(model, ids, "attn.qkv")[0].chunk(3, dim=-1)
    row = query_row(traced(model, ids).attention[0], head=1, query=6)
    exponentials = []
    for t in range(LENGTH):
        score = sum(float(q[6, c] * k[t, c]) for c in range(4, 8))  # head 1 of two, 4 wide
        assert float(row.scores[t]) == pytest.approx(score)
        assert float(row.scaled[t]) == pytest.approx(score / 2)
        assert bool(row.masked[t]) == (t > 6)
        assert float(row.values[t]) == pytest.approx(math.hypot(*v[t, 4:].tolist()))
        exponentials.append(math.exp(score / 2) if t <= 6 else 0.0)
    weights = [e / sum(exponentials) for e in exponentials]
    assert row.scale == 0.5
    assert row.weights.tolist() == pytest.approx(weights)
    expected = [w * float(length) for w, length in zip(weights, row.values, strict=True)]
    assert row.weighted.tolist() == pytest.approx(expected)


@every_design
def test_weights_are_the_softmax_of_the_scores(config: GPTConfig) -> None:
    """Of what is behind norms, gain and rotation, which a wrong score would miss."""
    trace = traced(random_gpt(config), random_ids(config, LENGTH))
    for attention in trace.attention:
        for head in range(config.n_head):
            row = query_row(attention, head, query=7)
            expected = row.scaled.masked_fill(row.masked, -torch.inf).softmax(-1)
            torch.testing.assert_close(row.weights, expected, **CLOSE)
            assert not row.weighted[8:].any()


# The logit lens


def ended(model: GPT, parts: int) -> GPT:
    """`model` where only so many parts still write, attention and MLP in turn."""
    other = copy.deepcopy(model)
    projections = [proj for block in other.blocks for proj in (block.attn.proj, block.mlp.proj)]
    for proj in projections[parts:]:
        nn.init.zeros_(proj.weight)
        if proj.bias is not None:
            nn.init.zeros_(proj.bias)
    return other


@every_design
def test_the_lens_shows_models_that_end_earlier(config: GPTConfig) -> None:
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    lens = logit_lens(model, traced(model, ids), query=4)
    assert lens.shape == (1 + 2 * config.n_layer, config.vocab_size)
    for parts, logits in enumerate(lens):
        expected = ended(model, parts)(torch.tensor([ids]))[0, 4]
        torch.testing.assert_close(logits, expected, **CLOSE)
    torch.testing.assert_close(lens[-1], model(torch.tensor([ids]))[0, 4], **CLOSE)


# Direct logit attribution


@every_design
@pytest.mark.parametrize("query", [0, 5, LENGTH - 1])
def test_the_parts_sum_to_the_logit(config: GPTConfig, query: int) -> None:
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    trace, logits = traced(model, ids), model(torch.tensor([ids]))[0, query]
    for target in range(config.vocab_size):
        parts = attribute(model, trace, query, target)
        expected = float(logits[target] - logits.mean())
        assert sum(part.logit for part in parts) == pytest.approx(expected, abs=1e-10)


def held(norm: nn.Module, x: Tensor, vector: Tensor) -> Tensor:
    """What the norm makes of `vector` if it takes its scale from x; without its bias."""
    if isinstance(norm, nn.LayerNorm):
        spread = ((x - x.mean()) ** 2).mean()
        return norm.weight * (vector - vector.mean()) / math.sqrt(spread + 1e-5)
    return vector / math.sqrt((x**2).mean() + torch.finfo(torch.float64).eps)


@every_design
def test_each_part_is_what_it_wrote(config: GPTConfig) -> None:
    """Part by part, from what hooks saw of the fused pass."""
    model, ids, query, target = random_gpt(config), random_ids(config, LENGTH), 6, 3
    size = config.n_embd // config.n_head
    vectors = {("embedding", None, None): model.wte.weight[ids[query]]}
    if config.position == "learned":
        vectors["embedding", None, None] = vectors["embedding", None, None] + model.wpe.weight[6]
    mixed: list[Tensor] = []
    for block in model.blocks:
        block.attn.proj.register_forward_pre_hook(lambda _, args: mixed.append(args[0][0, query]))
    for layer, written in enumerate(outputs(model, ids, "mlp")):
        proj = model.blocks[layer].attn.proj
        for head in range(config.n_head):
            own = slice(head * size, (head + 1) * size)
            vectors["head", layer, head] = F.linear(mixed[layer][own], proj.weight[:, own])
        if config.bias:
            vectors["attention_bias", layer, None] = proj.bias
        vectors["mlp", layer, None] = written[query]
    stream = sum(vectors.values())
    expected = {}
    for part, vector in vectors.items():
        logits = model.lm_head.weight @ held(model.norm, stream, vector)
        expected[part] = float(logits[target] - logits.mean())
    if config.norm == "layernorm":
        logits = model.lm_head.weight @ model.norm.bias
        expected["norm_bias", None, None] = float(logits[target] - logits.mean())
    if config.head_bias:
        bias = model.lm_head.bias
        expected["output_bias", None, None] = float(bias[target] - bias.mean())
    parts = attribute(model, traced(model, ids), query, target)
    got = {(part.name, part.layer, part.head): part.logit for part in parts}
    assert got == pytest.approx(expected, abs=1e-10)


@every_design
def test_heads_and_bias_make_up_what_attention_adds(config: GPTConfig) -> None:
    model, ids = random_gpt(config), random_ids(config, LENGTH)
    trace = traced(model, ids)
    for block, attention, added in zip(
        model.blocks, trace.attention, outputs(model, ids, "attn"), strict=True
    ):
        heads = head_outputs(block.attn, attention.mixed)
        assert heads.shape == (1, config.n_head, LENGTH, config.n_embd)
        bias = 0 if block.attn.proj.bias is None else block.attn.proj.bias
        torch.testing.assert_close(heads[0].sum(0) + bias, added, **CLOSE)
