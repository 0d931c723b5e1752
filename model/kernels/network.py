"""A GPT's forward pass for any rows: a prompt's, a window's, or one of each of many texts."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.kernels.block import ROWS, Packed, linear
from model.kernels.compiling import PANEL, compiled, part
from model.kernels.elementwise import activate, layer_norm, rms_norm
from model.kernels.heads import attend, keep, mix_earlier, prepare_heads

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

ACTIVATIONS = ("relu", "gelu", "relu2", "swiglu", "gelu_erf")
ROWS_AT_ONCE = 64


class Weights(NamedTuple):
    """A network's numbers, layer by layer, laid out for `linear`; empty where it has none."""

    n_head: int
    qk_norm: bool
    activation: int
    ring: bool  # whether the cache is written round and round
    wte: Floats  # (V, C)
    wpe: Floats  # (block_size, C)
    frequencies: NDArray[np.float64]  # (D / 2), of rotary positions
    norms: Floats  # (2 n_layer + 1, 2, C), weight and bias; the last is before the logits
    qkv: Packed  # (n_layer, panels, C * PANEL)
    qkv_bias: Floats  # (n_layer, padded 3C)
    conv: Floats  # (n_layer, size or 0, 3C)
    gain: Floats  # (n_layer, H or 0)
    proj: Packed
    proj_bias: Floats
    fc: Packed
    fc_bias: Floats
    mlp_proj: Packed
    mlp_proj_bias: Floats
    head: Packed  # (panels, C * PANEL)
    head_bias: Floats  # (padded V)


class Cache(NamedTuple):
    """What each place has read."""

    keys: Floats  # (places, n_layer, H, panels of S, D, PANEL)
    values: Floats  # (places, n_layer, H, S, D)
    earlier: Floats  # (places, n_layer, conv size, 3C)


class Room(NamedTuple):
    """Room to work in, for up to ROWS_AT_ONCE rows; each as wide as whole panels."""

    x: Floats  # the residual stream
    normed: Floats
    qkv: Floats
    mixed: Floats
    hidden: Floats
    logits: Floats
    scores: Floats  # (ROWS, padded S)
    one_head: Floats  # (ROWS, padded D)
    rotations: Floats  # (ROWS_AT_ONCE, D or 0)
    seen: Ints  # (ROWS)


@compiled
def read(
    weights: Weights,
    cache: Cache,
    room: Room,
    ids: Ints,
    places: Ints,
    positions: Ints,
    rows: int,
    wanted: int,
) -> None:
    """Let rows of ids, each at a position of its place, go through the network.

    Their keys and values are kept. `room.logits` gets one row for each of the last `wanted` ones.
    Rows of one place must be in order.
    """
    n_layer = weights.qkv.shape[0]
    _embed(weights, room, ids, positions, rows)
    start, first_wanted = 0, rows - wanted
    for layer in range(n_layer):
        for r in range(start, rows):
            _norm(weights, 2 * layer, room.x[r], room.normed[r])
        _attention(weights, cache, room, layer, places, positions, rows, first_wanted)
        if layer == n_layer - 1:  # from here on only what is wanted has to be worked out
            start = first_wanted
        count = rows - start
        _add_linear(
            weights.proj, weights.proj_bias, layer, room.mixed[start:], room.x[start:], count
        )
        for r in range(start, rows):
            _norm(weights, 2 * layer + 1, room.x[r], room.normed[r])
        _mlp(weights, room, layer, start, count)
    for r in range(start, rows):
        _norm(weights, 2 * n_layer, room.x[r], room.normed[r])
        _copy(weights.head_bias, room.logits[r - start])
    if wanted > 0:
        normed, logits = room.normed[start:].reshape(-1), room.logits.reshape(-1)
        wide = room.logits.shape[1]
        linear(normed, room.normed.shape[1], wanted, weights.head, logits, wide)


@compiled
def _embed(weights: Weights, room: Room, ids: Ints, positions: Ints, rows: int) -> None:
    C = weights.wte.shape[1]
    half = len(weights.frequencies)
    for r in range(rows):
        x, token = room.x[r], weights.wte[ids[r]]
        if half > 0:
            for i in range(C):
                x[i] = token[i]
            for i in range(half):
                angle = positions[r] * weights.frequencies[i]
                room.rotations[r, i] = np.cos(angle)
                room.rotations[r, half + i] = np.sin(angle)
        else:
            place = weights.wpe[positions[r]]
            for i in range(C):
                x[i] = token[i] + place[i]


@part
def _copy(bias: Floats, row: Floats) -> None:
    for i in range(len(bias)):
        row[i] = bias[i]


@part
def _norm(weights: Weights, number: int, x: Floats, y: Floats) -> None:
    if weights.norms.size > 0:
        layer_norm(x, weights.norms[number, 0], weights.norms[number, 1], y)
    else:
        rms_norm(x, weights.wte.shape[1], y)


@compiled
def _attention(
    weights: Weights,
    cache: Cache,
    room: Room,
    layer: int,
    places: Ints,
    positions: Ints,
    rows: int,
    first_wanted: int,
) -> None:
    """From `normed` to `mixed`; in the last layer only for the rows that are wanted."""
    n_layer, H, C = weights.qkv.shape[0], weights.n_head, weights.wte.shape[1]
    D, S = C // H, cache.values.shape[3]
    start = first_wanted if layer == n_layer - 1 else 0
    wide = room.qkv.shape[1]
    for r in range(rows):
        _copy(weights.qkv_bias[layer], room.qkv[r])
    qkv, mixed = room.qkv.reshape(-1), room.mixed.reshape(-1)
    normed_wide, mixed_wide = room.normed.shape[1], room.mixed.shape[1]
    linear(room.normed.reshape(-1), normed_wide, rows, weights.qkv[layer], qkv, wide)
    r = 0
    while r < rows:
        count = _together(weights, places, positions, r, rows)
        keys, values = cache.keys[places[r], layer], cache.values[places[r], layer]
        for i in range(r, r + count):
            _heads_of_row(weights, cache, room, layer, places[i], positions[i], i)
            keep(room.qkv[i], H, D, keys, values, positions[i] % S)
            room.seen[i - r] = min(positions[i] + 1, S)
        skipped = min(max(start - r, 0), count)
        if skipped < count:
            for i in range(skipped, count):
                room.seen[i - skipped] = room.seen[i]
            first, left = r + skipped, count - skipped
            attend(
                qkv, first * wide, wide, left, room.seen, H, D, keys, values,
                room.scores, room.one_head, mixed, first * mixed_wide, mixed_wide,
            )  # fmt: skip
        r += count


@part
def _together(weights: Weights, places: Ints, positions: Ints, r: int, rows: int) -> int:
    """How many rows from `r` on are of one text and may be read at once."""
    count = 1
    while (
        not weights.ring
        and count < ROWS
        and r + count < rows
        and places[r + count] == places[r]
        and positions[r + count] == positions[r] + count
    ):
        count += 1
    return count


@part
def _heads_of_row(
    weights: Weights, cache: Cache, room: Room, layer: int, place: int, position: int, r: int
) -> None:
    C, H = weights.wte.shape[1], weights.n_head
    if weights.conv.size > 0:
        mix_earlier(room.qkv[r], 3 * C, position, weights.conv[layer], cache.earlier[place, layer])
    gain, rotation = weights.gain[layer], room.rotations[r]
    prepare_heads(room.qkv[r], H, C // H, weights.qk_norm, gain, rotation)


@compiled
def _mlp(weights: Weights, room: Room, layer: int, start: int, count: int) -> None:
    """Add what the feed-forward layer makes of `normed` to the stream."""
    hidden = room.hidden
    for r in range(count):
        _copy(weights.fc_bias[layer], hidden[r])
    wide = hidden.shape[1]
    normed = room.normed[start:].reshape(-1)
    linear(normed, room.normed.shape[1], count, weights.fc[layer], hidden.reshape(-1), wide)
    width = weights.mlp_proj.shape[2] // PANEL
    for r in range(count):
        activate(weights.activation, hidden[r], width)
    _add_linear(weights.mlp_proj, weights.mlp_proj_bias, layer, hidden, room.x[start:], count)


@compiled
def _add_linear(w: Packed, bias: Floats, layer: int, x: Floats, stream: Floats, rows: int) -> None:
    """stream += x @ w + bias, of that layer."""
    for r in range(rows):
        for i in range(bias.shape[1]):
            stream[r, i] += bias[layer, i]
    linear(x.reshape(-1), x.shape[1], rows, w[layer], stream.reshape(-1), stream.shape[1])
