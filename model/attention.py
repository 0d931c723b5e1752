"""From ids to the attention of every head."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from model.gpt import GPT
from model.language_model import LanguageModel
from model.trace import Trace

Kind = Literal["raw", "value_weighted", "output_weighted", "rollout"]


class NoAttention(ValueError):
    """The model's family has no attention heads."""


@torch.inference_mode()
def attention_maps(
    model: LanguageModel,
    ids: Sequence[int],
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
) -> Tensor:
    """What each head of each layer looks at: float32 (layer, head, query, key), rows sum to 1.

    The maps are the softmax that the forward pass itself uses, in evaluation mode. `layers` and
    `heads` pick some, counted from 0. Raises NoAttention for a model without heads, ValueError for
    more ids than the context or none, IndexError for a layer or head that is not there.
    """
    if not isinstance(model, GPT):
        raise NoAttention(f"a {model.config.kind} model has no attention heads")
    if not ids:
        raise ValueError("there must be at least one token to look at")
    trace = Trace()
    model(torch.tensor([list(ids)], device=model.wte.weight.device), trace)
    maps = [layer.weights for layer in trace.attention]
    chosen_layers = range(model.config.n_layer) if layers is None else layers
    chosen_heads = list(range(model.config.n_head)) if heads is None else list(heads)
    return torch.stack([maps[layer][0, chosen_heads] for layer in chosen_layers]).float().cpu()
