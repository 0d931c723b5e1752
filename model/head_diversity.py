"""How far the heads of one layer look at different places."""

import math

import torch
from torch import Tensor
from torch.special import entr


@torch.inference_mode()
def divergences(maps: Tensor) -> Tensor:
    """Attention weights (H, T, T) -> (H, H), how far each two heads are apart, in bits from 0 to 1.

    It is the Jensen-Shannon divergence (Lin 1991) of their rows: of two distributions, how much one
    key drawn from either of them tells about which of the two it came from. It is the mean over the
    queries from the second on, as the first can only see itself. Raises ValueError for one token.
    """
    H, T, _ = maps.shape
    if T < 2:
        raise ValueError("one token is seen by every head alike: there must be two or more")
    rows = maps[:, 1:].double()
    entropy = entr(rows).sum(-1)  # (H, T - 1), in nats
    apart = torch.zeros(H, H, dtype=torch.float64)
    for head in range(H - 1):
        between = entr((rows[head] + rows[head + 1 :]) / 2).sum(-1)
        apart[head, head + 1 :] = (between - (entropy[head] + entropy[head + 1 :]) / 2).mean(-1)
    return (apart + apart.T).clamp(0, math.log(2)) / math.log(2)


def mean_of_pairs(apart: Tensor) -> float | None:
    """The mean of (H, H) over all pairs of different heads; None where there is but one head."""
    H = len(apart)
    return float(apart.sum()) / (H * (H - 1)) if H > 1 else None
