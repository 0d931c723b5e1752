"""One query of one head, from its scores to what it takes of each value."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from model.trace import AttentionTrace


@dataclass(frozen=True)
class QueryRow:
    """A query against every key of the text, each (T,)."""

    scale: float  # 1 / sqrt(D)
    scores: Tensor  # q·k, masked keys too
    scaled: Tensor
    masked: Tensor  # bool: the key comes later, or before the attention window
    weights: Tensor  # the softmax that the output was computed from
    values: Tensor  # length of v
    weighted: Tensor  # length of weight times v


@torch.inference_mode()
def query_row(trace: AttentionTrace, head: int, query: int) -> QueryRow:
    """Position `query` of `head`; `trace` is of one text."""
    q, k, v = trace.q[0, head, query], trace.k[0, head], trace.v[0, head]  # (D,), (T, D), (T, D)
    scale = 1 / math.sqrt(len(q))
    scores = k @ q
    weights = trace.weights[0, head, query]
    lengths = v.norm(dim=-1)
    back = query - torch.arange(len(k), device=k.device)
    window = len(k) if trace.window is None else trace.window
    return QueryRow(
        scale=scale,
        scores=scores,
        scaled=scores * scale,
        masked=(back < 0) | (back >= window),
        weights=weights,
        values=lengths,
        weighted=weights * lengths,
    )
