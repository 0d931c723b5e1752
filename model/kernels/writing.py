"""Many tokens for many sequences, in one call."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.kernels.compiling import compiled, part
from model.kernels.drawing import Choosing, Drawn, Table, draw
from model.kernels.network import ROWS_AT_ONCE, Cache, Room, Weights, read

Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]


class Texts(NamedTuple):
    """What is left to read at each place: `ids[place, unread : end]`, the first at `position`."""

    ids: Ints  # (places, at least twice the context)
    unread: Ints
    end: Ints
    position: Ints
    jumps: NDArray[np.bool_]  # whether a full window jumps ahead instead of moving on by one


class Rows(NamedTuple):
    """Room for what is read at once: (ROWS_AT_ONCE)."""

    ids: Ints
    places: Ints
    positions: Ints


@compiled
def write(
    weights: Weights,
    cache: Cache,
    room: Room,
    texts: Texts,
    rows: Rows,
    how: Choosing,
    table: Table,
    taken: Ints,
    uniform: Doubles,
    drawn: Drawn,
) -> None:
    """Add tokens to the sequences at the places `taken`, one for each row of `uniform`.

    `uniform` is (steps, places). Whoever has one id to read is read with the others; whoever has
    more, a prompt or a window that has moved on, alone.
    """
    together = np.empty_like(taken)
    for step in range(len(uniform)):
        count = 0
        for place in taken:
            _move_on(texts, place, cache.values.shape[3], weights.ring)
            if texts.end[place] - texts.unread[place] == 1:
                together[count] = place
                count += 1
        for place in taken:
            if texts.end[place] - texts.unread[place] > 1:
                read_on(weights, cache, room, texts, rows, place)
                _draw(cache, room, texts, how, table, place, 0, uniform, drawn, step)
        for begin in range(0, count, ROWS_AT_ONCE):
            some = together[begin : min(begin + ROWS_AT_ONCE, count)]
            for r in range(len(some)):
                _lay(texts, rows, some[r], r)
            read(weights, cache, room, rows.ids, rows.places, rows.positions, len(some), len(some))
            for r in range(len(some)):
                _draw(cache, room, texts, how, table, some[r], r, uniform, drawn, step)


@compiled
def read_on(
    weights: Weights, cache: Cache, room: Room, texts: Texts, rows: Rows, place: int
) -> None:
    """Read all that is unread at `place`; the first row of logits is the last id's then."""
    while texts.unread[place] < texts.end[place]:
        unread = texts.end[place] - texts.unread[place]
        count = min(unread, ROWS_AT_ONCE)
        for r in range(count):
            _lay(texts, rows, place, r)
        wanted = 1 if count == unread else 0
        read(weights, cache, room, rows.ids, rows.places, rows.positions, count, wanted)


@part
def _move_on(texts: Texts, place: int, context: int, ring: bool) -> None:
    """Where the text has become longer than the context, move the window on.

    Then every id is at a new position, which changes all keys and values: all is unread again.
    """
    unread = texts.end[place] - texts.unread[place]
    if not ring and texts.position[place] + unread > context:
        kept = max(context // 2, 1) if texts.jumps[place] else context
        texts.unread[place] = texts.end[place] - kept
        texts.position[place] = 0


@part
def _draw(
    cache: Cache,
    room: Room,
    texts: Texts,
    how: Choosing,
    table: Table,
    place: int,
    row: int,
    uniform: Doubles,
    drawn: Drawn,
    step: int,
) -> None:
    """Draw from a row of logits, and add what was drawn to the text of `place`."""
    draw(room.logits[row], how, place, uniform[step, place], table, drawn, step)
    _append(texts, place, drawn.ids[step, place], cache.values.shape[3])


@part
def _lay(texts: Texts, rows: Rows, place: int, r: int) -> None:
    """Make the next unread id of `place` the row number r."""
    rows.ids[r] = texts.ids[place, texts.unread[place]]
    rows.places[r] = place
    rows.positions[r] = texts.position[place]
    texts.unread[place] += 1
    texts.position[place] += 1


@part
def _append(texts: Texts, place: int, id: int, context: int) -> None:
    """Put `id` at the end; where there is no room, keep the last ones that may be read again."""
    if texts.end[place] == texts.ids.shape[1]:
        dropped = texts.end[place] - context
        for i in range(context):
            texts.ids[place, i] = texts.ids[place, dropped + i]
        texts.end[place] = context
        texts.unread[place] -= dropped
    texts.ids[place, texts.end[place]] = id
    texts.end[place] += 1
