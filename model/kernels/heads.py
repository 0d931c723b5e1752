"""Attention of rows to what is cached for their place. All arrays float32 and flat, or as said."""

import numpy as np
from numpy.typing import NDArray

from model.kernels.block import product
from model.kernels.compiling import PANEL, compiled, part
from model.kernels.elementwise import exponential, rms_norm

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@part
def mix_earlier(qkv: Floats, channels: int, position: int, weight: Floats, earlier: Floats) -> None:
    """Add to one row what `weight` (size, channels) makes of those before it, the nearest first.

    `earlier` (size, channels) holds the last rows as they were, that of position p at p % size.
    """
    size = weight.shape[0]
    kept = earlier[position % size]
    for i in range(channels):
        # The oldest row's place is this row's, so it has its turn before it is written over.
        oldest = kept[i] if position >= size else np.float32(0)
        kept[i] = qkv[i]
        qkv[i] += weight[size - 1, i] * oldest
    for distance in range(1, min(size, position + 1)):
        row, factors = earlier[(position - distance) % size], weight[distance - 1]
        for i in range(channels):
            qkv[i] += factors[i] * row[i]


@part
def prepare_heads(
    row: Floats, n_head: int, D: int, qk_norm: bool, gain: Floats, rotation: Floats
) -> None:
    """Normalise, sharpen and rotate the queries and keys of one row (3 * n_head * D), in place.

    `rotation` (D) is the cosines of the position's angles, then their sines; empty if none.
    """
    if not qk_norm and gain.size + rotation.size == 0:
        return
    half = D // 2
    for h in range(2 * n_head):  # queries, then keys
        head = row[h * D : (h + 1) * D]
        if qk_norm:
            rms_norm(head, D, head)
        if h < n_head and gain.size > 0:
            for i in range(D):
                head[i] *= gain[h]
        if rotation.size > 0:
            for i in range(half):
                a, b = head[i], head[i + half]
                head[i] = a * rotation[i] - b * rotation[half + i]
                head[i + half] = a * rotation[half + i] + b * rotation[i]


@part
def keep(row: Floats, n_head: int, D: int, keys: Floats, values: Floats, slot: int) -> None:
    """Put one row's keys into `keys` (H, panels, D, PANEL), its values into `values` (H, S, D)."""
    C, panel, column = n_head * D, slot // PANEL, slot % PANEL
    for h in range(n_head):
        kept = values[h, slot]
        for d in range(D):
            keys[h, panel, d, column] = row[C + h * D + d]
            kept[d] = row[2 * C + h * D + d]


@part
def attend(
    qkv: Floats,
    at: int,
    step: int,
    rows: int,
    seen: Ints,
    n_head: int,
    D: int,
    keys: Floats,
    values: Floats,
    scores: Floats,
    mixed: Floats,
    y: Floats,
    y_at: int,
    y_step: int,
) -> None:
    """y (rows, n_head * D) = what up to 4 rows of queries take from the cached values.

    Row r sees the first `seen[r]` cached positions. `scores` (ROWS, S) and `mixed` (ROWS, D) are
    room to work in, as long as whole panels.
    """
    S, most = scores.shape[1], seen[rows - 1]
    scale = np.float32(1 / np.sqrt(D))
    s, m, wide = scores.reshape(-1), mixed.reshape(-1), mixed.shape[1]
    for h in range(n_head):
        k, v = keys[h].reshape(-1), values[h].reshape(-1)
        for r in range(rows):
            _fill(scores[r], min(S, most + PANEL))
        for first in range(0, most, PANEL):
            some = min(most - first, PANEL)
            product(qkv[at + h * D :], step, rows, D, k[first * D :], PANEL, some, s[first:], S)
        for r in range(rows):
            _softmax(scores[r], seen[r], scale)
            for i in range(seen[r], most):
                scores[r, i] = 0
            _fill(mixed[r], wide)
        product(s, S, rows, most, v, D, D, m, wide)
        for r in range(rows):
            taken, to = mixed[r], y[y_at + r * y_step + h * D :]
            for i in range(D):
                to[i] = taken[i]


@part
def _fill(row: Floats, count: int) -> None:
    """Zero the first `count`; numba takes far longer for an assignment to a slice."""
    for i in range(count):
        row[i] = 0


@compiled
def _softmax(scores: Floats, n: int, scale: np.float32) -> None:
    """Make shares of the first `n` scores, in place."""
    largest = scores[0]
    for i in range(1, n):
        largest = max(largest, scores[i])
    total = np.float32(0)
    for i in range(n):
        scores[i] = exponential((scores[i] - largest) * scale)
        total += scores[i]
    share = np.float32(1) / total
    for i in range(n):
        scores[i] *= share
