"""What is left of the bottom's tokens at each layer, if attention were all that mixed them."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor


def rollout(weights: Iterable[Tensor]) -> Iterator[Tensor]:
    """Each layer's attention (H, T, T), bottom first -> attention rollout (H, T, T) of each.

    From Abnar and Zuidema 2020, "Quantifying attention flow in transformers": the residual
    connection counts for half, so layer l mixes by 0.5 mean_h A_lh + 0.5 I, and what it is made of
    is that times the rollout R of the layer below; below the first layer R is I. Here each head is
    kept apart, R_lh = (0.5 A_lh + 0.5 I) R_(l-1). As all of this is linear, the mean over the heads
    of a layer is exactly the paper's R_l. Rows sum to 1.
    """
    below = None
    for layer in weights:
        if below is None:
            below = torch.eye(layer.shape[-1], dtype=layer.dtype, device=layer.device)
        heads = torch.baddbmm(
            below.expand_as(layer), layer, below.expand_as(layer), beta=0.5, alpha=0.5
        )
        yield heads
        below = heads.mean(0)
