"""A text's vectors on their way up through the network, with or without two of its ideas.

A network that was trained with residual connections and normalisation has its weights for them:
without, it is no network that was trained without, but shows what they did in this one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.gpt import GPT, Block

Step = Literal[
    "embedding", "norm_1", "attention", "sum_1", "norm_2", "mlp", "sum_2", "norm", "logits"
]


@dataclass(frozen=True)
class Place:
    """What comes out of one step: vectors (B, T, C), for the logits (B, T, vocab_size)."""

    step: Step
    layer: int | None  # None outside of the blocks
    vectors: Tensor


@dataclass(frozen=True)
class Measured:
    """A place in numbers. What float32 cannot hold is inf or nan."""

    step: Step
    layer: int | None
    length: float  # L2 norm of a token's vector, mean over the tokens
    variance: float  # over the channels of a token's vector, mean over the tokens
    similarity: float  # cosine between the vectors of two tokens, mean over all pairs
    gradient: float  # L2 norm of dLoss/dVectors, all tokens together


@dataclass(frozen=True)
class Ascent:
    """One way up, from the embeddings to the loss."""

    loss: float  # nats per token, mean over all tokens but the first
    logits: Tensor  # (vocab_size,) behind the last token
    places: list[Measured]


@dataclass(frozen=True)
class NormStatistics:
    """One normalisation, before and after; each number over the channels, then a mean over tokens.

    `mean` is without its sign. `normalised` is before gain and bias, `out` behind them.
    """

    step: Step
    layer: int | None
    mean_in: float
    variance_in: float
    mean_normalised: float
    variance_normalised: float
    square_normalised: float  # mean square, which RMSNorm brings to 1
    variance_out: float


def walk(model: GPT, ids: Tensor, *, residual: bool = True, norm: bool = True) -> Iterator[Place]:
    """ids (B, T) through the network, step by step, up to the logits.

    With both it is `model(ids)`. Without `residual`, a sublayer's output takes the place of the
    stream instead of being added to it; without `norm`, each sublayer and the output layer read
    the stream as it is.
    """
    T = ids.shape[1]
    rotation = model.rotation(0, T)
    x = model.wte(ids)
    if model.config.position == "learned":
        x = x + model.wpe.weight[:T]
    # From here on gradients are followed; the weights themselves need none.
    x = x.detach().requires_grad_(torch.is_grad_enabled())
    yield Place("embedding", None, x)
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        read = block.norm_1(x) if norm else x
        yield Place("norm_1", layer, read)
        mixed = block.attn(read, rotation, None, None)
        yield Place("attention", layer, mixed)
        x = x + mixed if residual else mixed
        yield Place("sum_1", layer, x)
        read = block.norm_2(x) if norm else x
        yield Place("norm_2", layer, read)
        worked = block.mlp(read)
        yield Place("mlp", layer, worked)
        x = x + worked if residual else worked
        yield Place("sum_2", layer, x)
    read = model.norm(x) if norm else x
    yield Place("norm", None, read)
    yield Place("logits", None, model.lm_head(read))


def ascend(model: GPT, ids: Sequence[int], *, residual: bool = True, norm: bool = True) -> Ascent:
    """Measure every place on the way up, and back down by backpropagation.

    The gradient at a place is what the layers below it would learn from (He et al. 2016, Veit et
    al. 2016). Raises ValueError for fewer than two ids, which have no loss.
    """
    if len(ids) < 2:
        raise ValueError("a loss needs two tokens")
    batch = torch.tensor([list(ids)], device=model.wte.weight.device)
    with torch.enable_grad():
        steps = list(walk(model, batch, residual=residual, norm=norm))
        logits = steps[-1].vectors[0]  # (T, V)
        loss = F.cross_entropy(logits[:-1], batch[0, 1:])
        gradients = torch.autograd.grad(loss, [place.vectors for place in steps])
    places = [_measured(*pair) for pair in zip(steps, gradients, strict=True)]
    return Ascent(loss.item(), logits[-1].detach(), places)


@torch.inference_mode()
def norm_statistics(model: GPT, ids: Sequence[int]) -> list[NormStatistics]:
    """What each normalisation finds and leaves (Ba et al. 2016, Zhang and Sennrich 2019)."""
    batch = torch.tensor([list(ids)], device=model.wte.weight.device)
    layers = {"norm_1", "norm_2", "norm"}
    pairs = pairwise(walk(model, batch))
    return [_norm_statistics(model, *pair) for pair in pairs if pair[1].step in layers]


def _norm_statistics(model: GPT, before: Place, after: Place) -> NormStatistics:
    inside = after.step if after.layer is None else f"blocks.{after.layer}.{after.step}"
    layer = model.get_submodule(inside)
    normalised = before.vectors
    if isinstance(layer, nn.LayerNorm):
        normalised = F.layer_norm(normalised, normalised.shape[-1:], eps=layer.eps)
    else:
        normalised = layer(normalised)  # RMSNorm has neither gain nor bias
    return NormStatistics(
        step=after.step,
        layer=after.layer,
        mean_in=_mean(before.vectors),
        variance_in=_variance(before.vectors),
        mean_normalised=_mean(normalised),
        variance_normalised=_variance(normalised),
        square_normalised=float(normalised.square().mean()),
        variance_out=_variance(after.vectors),
    )


def _measured(place: Place, gradient: Tensor) -> Measured:
    vectors = place.vectors.detach()[0].cpu().double()  # (T, C), whose squares float32 may not hold
    return Measured(
        step=place.step,
        layer=place.layer,
        length=float(vectors.norm(dim=-1).mean()),
        variance=_variance(vectors),
        similarity=_similarity(vectors),
        gradient=float(gradient.cpu().double().norm()),
    )


def _similarity(vectors: Tensor) -> float:
    """Mean cosine over all pairs of different rows of (T, C), T > 1; a row of zeros counts as 0."""
    T = len(vectors)
    directions = F.normalize(vectors, dim=-1)
    # |sum of all|² has each pair twice, and each row with itself once.
    pairs = directions.sum(0).square().sum() - directions.square().sum()
    return float(pairs / (T * (T - 1)))


def _mean(vectors: Tensor) -> float:
    return float(vectors.mean(-1).abs().mean())


def _variance(vectors: Tensor) -> float:
    return float(vectors.var(-1, correction=0).mean())
