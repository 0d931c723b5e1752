"""Which part of the model said how much for the next token: direct logit attribution.

Everything that a transformer knows at a position is a sum: the embeddings, and what each head and
each MLP added. Behind the last norm, a logit is linear in that sum if the norm's scale is held as
it is, so it splits into what each part wrote (Elhage et al. 2021, A Mathematical Framework for
Transformer Circuits).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model.gpt import GPT, Block, CausalSelfAttention
from model.trace import Trace

PartName = Literal["embedding", "head", "attention_bias", "mlp", "norm_bias", "output_bias"]


@dataclass(frozen=True)
class Part:
    """What one part of the model adds to a logit; `layer` and `head` where it has them."""

    name: PartName
    layer: int | None
    head: int | None
    logit: float


@torch.inference_mode()
def attribute(model: GPT, trace: Trace, query: int, target: int) -> list[Part]:
    """The logit of `target` at position `query`, less the mean of all logits, as a sum of parts.

    `trace` is of one text. `embedding` is the token's together with its position's, where that is
    learned. `attention_bias` belongs to a layer's output projection, not to one of its heads;
    `norm_bias` is the last norm's and `output_bias` that of the logits. Parts whose parameters the
    model does not have are left out.
    """
    unembedding = model.lm_head.weight  # (V, C)
    direction = unembedding[target] - unembedding.mean(0)  # (C,)
    parts = []
    if isinstance(model.norm, nn.LayerNorm):
        parts.append(Part("norm_bias", None, None, float(direction @ model.norm.bias)))
        direction = direction * model.norm.weight
        direction = direction - direction.mean()  # so that the vectors need not be centred
    if model.lm_head.bias is not None:
        bias = model.lm_head.bias
        parts.append(Part("output_bias", None, None, float(bias[target] - bias.mean())))
    direction = direction * _scale(model.norm, trace.stream[-1][0, query])
    return [
        Part(name, layer, head, float(vector @ direction))
        for name, layer, head, vector in _written(model, trace, query)
    ] + parts


def head_outputs(attention: CausalSelfAttention, mixed: Tensor) -> Tensor:
    """mixed values (..., H, T, D) -> what each head adds to the residual stream (..., H, T, C)."""
    columns = attention.proj.weight.T.unflatten(0, (attention.n_head, -1))  # (H, D, C)
    outputs: Tensor = mixed @ columns
    return outputs


def _written(
    model: GPT, trace: Trace, query: int
) -> Iterator[tuple[PartName, int | None, int | None, Tensor]]:
    """Name, layer, head and vector (C,) of all whose sum is the last residual stream."""
    yield "embedding", None, None, trace.stream[0][0, query]
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        mixed = trace.attention[layer].mixed[0, :, query : query + 1]  # (H, 1, D)
        for head, vector in enumerate(head_outputs(block.attn, mixed)[:, 0]):
            yield "head", layer, head, vector
        if block.attn.proj.bias is not None:
            yield "attention_bias", layer, None, block.attn.proj.bias
        after_attention, after_mlp = trace.stream[1 + 2 * layer : 3 + 2 * layer]
        yield "mlp", layer, None, (after_mlp - after_attention)[0, query]


def _scale(norm: nn.Module, x: Tensor) -> Tensor:
    """What the norm multiplies x (C,), centred for LayerNorm, with."""
    if isinstance(norm, nn.LayerNorm):
        return (x.var(correction=0) + norm.eps).rsqrt()
    return (x.square().mean() + torch.finfo(x.dtype).eps).rsqrt()
