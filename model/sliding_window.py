"""Attention to a window that slides along: a query sees itself and a fixed number before it.

As in Longformer (Beltagy et al. 2020) and Mistral 7B (Jiang et al. 2023); a local pattern of it is
in Sparse Transformers (Child et al. 2019). Shapes are (B, H, T, D): batch, heads, positions,
channels of one head.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# Up to so many positions, or windows, one mask over all is as quick as blocks or quicker.
MASKED_TOKENS = 256
MASKED_WINDOWS = 4


def is_blockwise(length: int, window: int) -> bool:
    """Whether that many positions are worked out block by block."""
    return length > max(MASKED_TOKENS, MASKED_WINDOWS * window)


def sliding_attention(q: Tensor, k: Tensor, v: Tensor, window: int, dropout: float) -> Tensor:
    """Mix v (B, H, T, D) over each query's `window` last positions, T > window; like q.

    Long texts take time and memory for T times `window` pairs, not for T times T.
    """
    T = q.shape[2]
    if is_blockwise(T, window):
        return _blockwise(q, k, v, window, dropout)
    mask = _seen(T, T, window, 0, q.device)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)


def _blockwise(q: Tensor, k: Tensor, v: Tensor, window: int, dropout: float) -> Tensor:
    """The first `window` queries see all before them; the others are cut into blocks as long.

    A block and the window - 1 positions before it hold all that its queries see.
    """
    B, _, T, _ = q.shape
    first_q, first_k, first_v = (x[:, :, :window] for x in (q, k, v))
    first = F.scaled_dot_product_attention(
        first_q, first_k, first_v, dropout_p=dropout, is_causal=True
    )
    blocks = -(-(T - window) // window)
    missing = (1 + blocks) * window - T  # positions in the last block
    q = F.pad(q[:, :, window:], (0, 0, 0, missing))
    q = q.unflatten(2, (blocks, window)).transpose(1, 2).flatten(0, 1)  # (B blocks, H, window, D)
    k, v = (
        F.pad(x[:, :, 1:], (0, 0, 0, missing))
        .unfold(2, 2 * window - 1, window)  # (B, H, blocks, D, 2 window - 1)
        .permute(0, 2, 1, 4, 3)
        .flatten(0, 1)
        for x in (k, v)
    )
    mask = _seen(window, 2 * window - 1, window, window - 1, q.device)
    y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    rest = y.unflatten(0, (B, blocks)).transpose(1, 2).flatten(2, 3)[:, :, : T - window]
    return torch.cat((first, rest), dim=2)


def _seen(queries: int, keys: int, window: int, start: int, device: torch.device) -> Tensor:
    """(queries, keys), whether the query sees the key; the first query is key number `start`."""
    places = torch.arange(start, start + queries, device=device)
    back = places[:, None] - torch.arange(keys, device=device)
    return (back >= 0) & (back < window)
