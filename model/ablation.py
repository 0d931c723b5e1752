"""A model with some of its heads switched off, which is a model like any other.

What a head puts out, before the output projection, is replaced at every position: by zero, or by
a vector such as its mean, which takes from the layers above only what the head told them about
this text (mean ablation, as in Wang et al. 2022, Interpretability in the Wild).
"""

import copy
from collections.abc import Iterable, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.attribution import head_outputs
from model.evaluation import tokens_at_once
from model.gpt import GPT, Block
from model.trace import Trace

Fill = Literal["zero", "mean"]


def without_heads(model: GPT, heads: Iterable[tuple[int, int]], fill: Tensor | None = None) -> GPT:
    """`model` without `heads`, each a layer and a head: a second model on the same weights.

    `fill` (L, H, D) is what they put out instead; zero if it is None. `model` itself is left as it
    is, so others may use it meanwhile. In a trace of the new model, `mixed` is what its heads would
    have put out. Raises IndexError for a head that is not there.
    """
    shared = (model.config, *model.parameters(), *model.buffers())
    ablated = copy.deepcopy(model, {id(it): it for it in shared})
    chosen = set(heads)
    for layer in sorted({layer for layer, _ in chosen}):
        off = [head for at, head in chosen if at == layer]
        _silence(_block(ablated, layer).attn.proj, model.config.n_head, off, fill, layer)
    return ablated


@torch.inference_mode()
def head_means(model: GPT, ids: Sequence[int]) -> Tensor:
    """(L, H, D): what each head puts out, before the output projection, averaged over a text."""
    trace = Trace()
    model(_batch(model, ids), trace)
    return torch.stack([layer.mixed[0].mean(1) for layer in trace.attention])


@torch.inference_mode()
def token_losses(model: GPT, ids: Sequence[int]) -> Tensor:
    """(T - 1,): the loss of each token but the first, in nats, given those before it."""
    return _losses(model(_batch(model, ids)), _batch(model, ids))[0]


@torch.inference_mode()
def importance(model: GPT, ids: Sequence[int], fill: Tensor | None = None) -> tuple[float, Tensor]:
    """The mean loss over `ids` in nats per token, and by how much it is another without each head.

    The changes are (L, H), the loss without that head less the mean loss. All heads of a layer are
    rows of one batch. What lies below a head does not change without it, so each batch starts from
    the residual stream of the whole model and goes up from there.
    """
    batch, trace = _batch(model, ids), Trace()
    loss = _losses(model(batch, trace), batch).mean()
    rows = max(1, tokens_at_once(batch.device.type, model.vocab_size) // len(ids))
    changes = []
    for layer, attention in enumerate(trace.attention):
        mixed = attention.mixed[0]  # (H, T, D)
        missing = -mixed if fill is None else fill[layer][:, None] - mixed
        for some in head_outputs(_block(model, layer).attn, missing).split(rows):
            stream = trace.stream[1 + 2 * layer] + some  # (N, T, C): in each row, one is missing
            changes.append(_losses(_from_attention(model, layer, stream), batch).mean(1) - loss)
    return float(loss), torch.cat(changes).view(model.config.n_layer, model.config.n_head)


def _from_attention(model: GPT, layer: int, stream: Tensor) -> Tensor:
    """The residual stream (N, T, C) behind a layer's attention -> logits (N, T, V)."""
    rotation = model.rotation(0, stream.shape[1])
    block = _block(model, layer)
    stream = stream + block.mlp(block.norm_2(stream))
    for above in range(layer + 1, model.config.n_layer):
        stream = _block(model, above)(stream, rotation, None, None)
    logits: Tensor = model.lm_head(model.norm(stream))
    return logits


def _losses(logits: Tensor, ids: Tensor) -> Tensor:
    """logits (N, T, V) of texts ids (1, T) -> the loss of each token but the first (N, T - 1)."""
    targets = ids[:, 1:].expand(len(logits), -1)
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), targets, reduction="none")


def _silence(
    proj: nn.Linear, n_head: int, heads: list[int], fill: Tensor | None, layer: int
) -> None:
    """Take out of an output projection what it makes of `heads`, add what it makes of `fill`."""
    weight = proj.weight.detach().unflatten(1, (n_head, -1)).clone()  # (C, H, D)
    kept: Tensor | None = proj.bias
    bias = weight.new_zeros(len(weight)) if kept is None else kept.detach().clone()
    if fill is not None:
        bias += torch.einsum("chd,hd->c", weight[:, heads], fill[layer, heads])
    weight[:, heads] = 0
    proj.weight = nn.Parameter(weight.flatten(1), requires_grad=False)
    proj.bias = nn.Parameter(bias, requires_grad=False)


def _block(model: GPT, layer: int) -> Block:
    block = model.blocks[layer]
    assert isinstance(block, Block)
    return block


def _batch(model: GPT, ids: Sequence[int]) -> Tensor:
    """ids -> (1, T) on the model's device."""
    return torch.tensor([list(ids)], device=model.wte.weight.device)
