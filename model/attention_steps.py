"""Attention one step at a time, for one head: in a text, between two texts, and by hand.

Scaled dot-product attention (Vaswani et al. 2017, Attention Is All You Need, 3.2.1). Shapes: T_q
queries and T_k keys of D channels each, and to every key a value of E channels; within a head of a
transformer E is D. The C channels are those of the residual stream.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from model.attribution import head_outputs
from model.gpt import GPT, Block
from model.trace import AttentionTrace, Trace


@dataclass(frozen=True)
class Steps:
    """All that lies between queries, keys and values and what becomes of them."""

    q: Tensor  # (T_q, D)
    k: Tensor  # (T_k, D)
    v: Tensor  # (T_k, E)
    masked: Tensor  # bool (T_q, T_k): pairs that may not meet
    scale: float  # 1 / sqrt(D)
    scores: Tensor  # (T_q, T_k), q·k of every pair, masked or not
    scaled: Tensor  # (T_q, T_k), scores times scale
    exponentials: Tensor  # (T_q, T_k), e^(scaled less the largest of its row); 0 where masked
    weights: Tensor  # (T_q, T_k), exponentials over the sum of their row
    output: Tensor  # (T_q, E), weights @ v
    unscaled_weights: Tensor  # (T_q, T_k), the softmax of scores that were not scaled


@dataclass(frozen=True)
class HeadSteps:
    """One head on one text of T tokens."""

    x: Tensor  # (T, C), the normalised residual stream that the head reads
    steps: Steps  # q, k and v as they meet; weights and output are those of the forward pass
    written: Tensor  # (T, C), what the head adds to the residual stream


@dataclass(frozen=True)
class ThreeKinds:
    """The same head's attention of one query, of a text to itself, and of a text to another."""

    general: Steps  # T_q = 1
    own: Steps  # self-attention, T_q = T_k
    cross: Steps


def attend(q: Tensor, k: Tensor, v: Tensor, masked: Tensor) -> Steps:
    """q (T_q, D), k (T_k, D), v (T_k, E) and masked (T_q, T_k) -> every step.

    The largest score of a row is taken from all of them before the exponential, which changes no
    weight and keeps every number finite. Raises ValueError for a query that may meet no key.
    """
    if masked.all(dim=1).any():
        raise ValueError("a query must be left at least one key")
    scale = 1 / math.sqrt(q.shape[1])
    scores = q @ k.T
    scaled = scores * scale
    allowed = scaled.masked_fill(masked, -torch.inf)
    exponentials = (allowed - allowed.amax(dim=1, keepdim=True)).exp()
    weights = exponentials / exponentials.sum(dim=1, keepdim=True)
    return Steps(
        q=q,
        k=k,
        v=v,
        masked=masked,
        scale=scale,
        scores=scores,
        scaled=scaled,
        exponentials=exponentials,
        weights=weights,
        output=weights @ v,
        unscaled_weights=scores.masked_fill(masked, -torch.inf).softmax(dim=1),
    )


def causal(count: int, window: int | None = None, like: Tensor | None = None) -> Tensor:
    """bool (count, count): keys behind their query, or `window` or more positions before it."""
    places = torch.arange(count, device=None if like is None else like.device)
    back = places[:, None] - places
    return (back < 0) | (back >= (window or count))


def entropy(weights: Tensor) -> Tensor:
    """weights (T_q, T_k) -> bits (T_q,): 0 for one key alone, log2 n for n keys alike."""
    exact = weights.cpu().double()
    bits: Tensor = torch.special.xlogy(exact, exact).sum(dim=1) / math.log(2)
    return bits.clamp(max=0).abs()


@torch.inference_mode()
def head_steps(model: GPT, ids: Sequence[int], layer: int, head: int) -> HeadSteps:
    """A head in the forward pass over `ids`. Raises IndexError for a head that is not there."""
    trace = _traced(model, ids)
    attention, block = trace.attention[layer], _block(model, layer)
    return HeadSteps(
        x=_normalised(model, trace, layer)[0],
        steps=_as_computed(attention, head),
        written=head_outputs(block.attn, attention.mixed)[0, head],
    )


@torch.inference_mode()
def three_kinds(
    model: GPT, ids: Sequence[int], source: Sequence[int], layer: int, head: int, query: int
) -> ThreeKinds:
    """What the head at `layer` makes of `ids` alone, and of `ids` that look at `source`.

    Each text is read in a forward pass of its own. Between them queries are those of `ids`, keys
    and values those of `source`, all without rotary positions: a rotation tells how far apart two
    tokens of one text are, and between two texts there is no such distance. `general` is the query
    at position `query` alone. Raises IndexError for a head or a position that is not there.
    """
    reading, other = _traced(model, ids), _traced(model, source)
    q = _without_rotation(model, reading, layer).q[0, head]
    of_source = _without_rotation(model, other, layer)
    k, v = of_source.k[0, head], of_source.v[0, head]
    everything = torch.zeros(len(q), len(k), dtype=torch.bool, device=q.device)
    return ThreeKinds(
        general=attend(q[[query]], k, v, everything[[query]]),
        own=_as_computed(reading.attention[layer], head),
        cross=attend(q, k, v, everything),
    )


def _as_computed(attention: AttentionTrace, head: int) -> Steps:
    """The steps to the very weights and output that the forward pass has gone on with."""
    q, k, v = attention.q[0, head], attention.k[0, head], attention.v[0, head]
    steps = attend(q, k, v, causal(len(q), attention.window, like=q))
    return replace(steps, weights=attention.weights[0, head], output=attention.mixed[0, head])


def _without_rotation(model: GPT, trace: Trace, layer: int) -> AttentionTrace:
    """A layer's attention to what it read, as if it had no rotary positions."""
    apart = Trace()
    _block(model, layer).attn(_normalised(model, trace, layer), None, apart, None)
    return apart.attention[0]


def _normalised(model: GPT, trace: Trace, layer: int) -> Tensor:
    """(1, T, C): what a layer's attention reads."""
    x: Tensor = _block(model, layer).norm_1(trace.stream[2 * layer])
    return x


def _traced(model: GPT, ids: Sequence[int]) -> Trace:
    trace = Trace()
    model(torch.tensor([list(ids)], device=model.wte.weight.device), trace)
    return trace


def _block(model: GPT, layer: int) -> Block:
    block = model.blocks[layer]
    assert isinstance(block, Block)
    return block
