"""From ids to what every head looks at, in each of the ways to measure it."""

from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor

from model.gpt import GPT, Block
from model.language_model import LanguageModel
from model.rollout import rollout
from model.trace import AttentionTrace, Trace

Kind = Literal["raw", "value_weighted", "output_weighted", "rollout"]
Merge = Literal["heads", "all"]
MergeBy = Literal["mean", "max"]


class NoAttention(ValueError):
    """The model's family has no attention heads."""


def attention_maps(
    model: LanguageModel,
    ids: Sequence[int],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    *,
    kind: Kind = "raw",
    merge: Merge | None = None,
    merge_by: MergeBy = "mean",
) -> Tensor:
    """What each head of each layer looks at: float32 (layer, head, query, key).

    `layers` and `heads` pick some, counted from 0. `kind` is explained at `layer_maps`, `merge` at
    `pick`. Raises as these two do.
    """
    return torch.stack(pick(layer_maps(model, ids, kind), layers, heads, merge, merge_by))


@torch.inference_mode()
def layer_maps(model: LanguageModel, ids: Sequence[int], kind: Kind = "raw") -> list[Tensor]:
    """The maps of one forward pass in evaluation mode: float32 (H, T, T) for each layer.

    `raw` is the softmax as the pass itself uses it; rows sum to 1. With v_j the value that a head
    takes from key j, `value_weighted` is a_ij |v_j|, and `output_weighted` is a_ij |v_j W_O|, W_O
    being that head's part of the output projection: the length of what goes from j to i on the
    residual stream (Kobayashi et al. 2020, "Attention is not only a weight"). `rollout` goes on to
    the tokens at the bottom, see `model.rollout`.

    Raises NoAttention for a model without heads, ValueError for none, or more ids than the context
    unless the model is endless.
    """
    if not isinstance(model, GPT):
        raise NoAttention(f"a {model.config.kind} model has no attention heads")
    if not ids:
        raise ValueError("there must be at least one token to look at")
    trace = Trace()
    model(torch.tensor([list(ids)], device=model.wte.weight.device), trace)
    return [maps.float().cpu() for maps in _of_kind(kind, model, trace.attention)]


def pick(
    maps: Sequence[Tensor],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    merge: Merge | None = None,
    merge_by: MergeBy = "mean",
) -> list[Tensor]:
    """Of each layer's maps (H, T, T) the chosen, those of a layer (`heads`) or `all` made one.

    They become one by their `mean` or by their `max`, cell by cell. Raises IndexError for a layer
    or head that is not there.
    """
    chosen = list(maps) if layers is None else [maps[layer] for layer in layers]
    if heads is not None and list(heads) != list(range(len(maps[0]))):
        chosen = [layer[list(heads)] for layer in chosen]
    if merge is None:
        return chosen
    each = [_merged(layer, merge_by) for layer in chosen]
    return each if merge == "heads" else [_merged(torch.cat(each), merge_by)]


def _merged(maps: Tensor, by: MergeBy) -> Tensor:
    """(N, T, T) -> (1, T, T)."""
    return maps.mean(0, keepdim=True) if by == "mean" else maps.amax(0, keepdim=True)


def _of_kind(kind: Kind, model: GPT, layers: Sequence[AttentionTrace]) -> Iterator[Tensor]:
    weights = (layer.weights[0] for layer in layers)
    match kind:
        case "raw":
            yield from weights
        case "rollout":
            yield from rollout(weights)
        case "value_weighted":
            for layer in layers:
                yield layer.weights[0] * layer.v[0].norm(dim=-1)[:, None]
        case "output_weighted":
            for layer, block in zip(layers, model.blocks, strict=True):
                assert isinstance(block, Block)
                yield layer.weights[0] * _written(layer.v[0], block.attn.proj.weight)[:, None]


def _written(values: Tensor, projection: Tensor) -> Tensor:
    """Lengths (H, T) of what each value (H, T, D) adds to the stream by `projection` (C, H D)."""
    parts = projection.chunk(len(values), dim=1)  # (C, D) of each head
    each = zip(values, parts, strict=True)
    return torch.stack([(value @ part.T).norm(dim=-1) for value, part in each])
