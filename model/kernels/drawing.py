"""From logits to the next id, as `model.sampling` defines it, without finding memory for it."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.kernels.compiling import compiled, part
from model.sampling import COLDEST

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_COUNTED = 65535


class Choosing(NamedTuple):
    """How each place draws; a `top_k` of 0 and a `top_p` of 1 leave nothing out."""

    temperature: Doubles
    top_k: Ints
    top_p: Doubles
    min_p: Doubles
    repetition: Doubles  # the penalties
    presence: Doubles
    frequency: Doubles
    biased: NDArray[np.bool_]
    alternatives: Ints
    # What is asked of each id by few texts: (places, V), or (places, 0) until one asks for it.
    bias: Floats
    there: NDArray[np.uint8]  # which ids its text has
    counts: NDArray[np.uint16]  # how often each was written, MOST_COUNTED at most


class Drawn(NamedTuple):
    """What was drawn: (steps, places), and the likeliest (steps, places, MOST_ALTERNATIVES)."""

    ids: Ints
    logprobs: Floats
    top_ids: Ints
    top_logprobs: Floats


class Table(NamedTuple):
    """Room for one distribution (V)."""

    scaled: Doubles
    shares: Doubles
    heap: Ints


@compiled
def draw(
    logits: Floats, how: Choosing, place: int, u: float, table: Table, drawn: Drawn, step: int
) -> None:
    """Choose from `logits` (V or longer) with `u` in [0, 1), and note it at that step and place."""
    V = len(table.shares)
    total = _log_of_sum(logits, V)
    for i in range(V):
        table.scaled[i] = logits[i]
    _adjust(how, place, table.scaled)
    chosen = _choose(how, place, u, table)
    _count(how, place, chosen)
    drawn.ids[step, place] = chosen
    drawn.logprobs[step, place] = logits[chosen] - total
    if how.alternatives[place] > 0:
        for i in range(V):
            table.scaled[i] = logits[i]
        _fill(table.heap, table.scaled)
        for rank in range(how.alternatives[place]):
            id = _take(table.heap, V - rank, table.scaled)
            drawn.top_ids[step, place, rank] = id
            drawn.top_logprobs[step, place, rank] = logits[id] - total


@part
def _log_of_sum(logits: Floats, count: int) -> float:
    """Of the exponentials of the first `count`."""
    largest = logits[0]
    for i in range(1, count):
        largest = max(largest, logits[i])
    total = 0.0
    for i in range(count):
        total += np.exp(np.float64(logits[i] - largest))
    return float(largest + np.log(total))


@part
def _adjust(how: Choosing, place: int, scaled: Doubles) -> None:
    """Change the logits of single ids, those that are wanted and those that are there already."""
    if how.biased[place]:
        for i in range(len(scaled)):
            scaled[i] += how.bias[place, i]
    repetition, presence = how.repetition[place], how.presence[place]
    frequency = how.frequency[place]
    if repetition != 1:
        for i in range(len(scaled)):
            if how.there[place, i]:
                scaled[i] *= 1 / repetition if scaled[i] > 0 else repetition
    if presence != 0 or frequency != 0:
        for i in range(len(scaled)):
            if how.counts[place, i] > 0:
                scaled[i] -= presence + frequency * how.counts[place, i]


@part
def _count(how: Choosing, place: int, id: int) -> None:
    """Take note that `id` is there now, for whom that matters."""
    if how.repetition[place] != 1:
        how.there[place, id] = 1
    if how.presence[place] != 0 or how.frequency[place] != 0:
        how.counts[place, id] = min(how.counts[place, id] + 1, MOST_COUNTED)


@part
def _choose(how: Choosing, place: int, u: float, table: Table) -> int:
    """The id at which the shares of what is left, in order, exceed `u` of their sum."""
    scaled, shares = table.scaled, table.shares
    likeliest = 0
    for i in range(len(scaled)):
        if scaled[i] > scaled[likeliest]:
            likeliest = i
    if how.temperature[place] < COLDEST:
        return likeliest
    _set_shares(how, place, scaled[likeliest], table)
    passed, wanted = 0.0, u * shares.sum()
    for i in range(len(shares)):
        passed += shares[i]
        if passed > wanted:
            return i
    return likeliest


@part
def _set_shares(how: Choosing, place: int, largest: float, table: Table) -> None:
    """What may be drawn, the likeliest with a share of 1."""
    scaled, shares, lowest = table.scaled, table.shares, -np.inf
    if 0 < how.top_k[place] < len(scaled):
        lowest = _largest(how.top_k[place], table.heap, scaled)
    for i in range(len(scaled)):
        shares[i] = 0.0
        if scaled[i] >= lowest:
            shares[i] = np.exp((scaled[i] - largest) / how.temperature[place])
    if how.top_p[place] < 1:
        _keep_nucleus(how.top_p[place], table.heap, shares)
    for i in range(len(shares)):
        if shares[i] < how.min_p[place]:
            shares[i] = 0.0


@part
def _keep_nucleus(top_p: float, heap: Ints, shares: Doubles) -> None:
    """Zero all but the fewest largest that hold `top_p` of the sum."""
    wanted, held = top_p * shares.sum(), 0.0
    _fill(heap, shares)
    left = len(shares)
    while held < wanted and left > 0:
        id = _take(heap, left, shares)
        held += shares[id]
        left -= 1
    for i in range(left):
        shares[heap[i]] = 0.0


@part
def _largest(k: int, heap: Ints, values: Doubles) -> float:
    """The k-th largest value."""
    _fill(heap, values)
    id = heap[0]
    for taken in range(k):
        id = _take(heap, len(values) - taken, values)
    return values[id]  # type: ignore[no-any-return]


@compiled
def _fill(heap: Ints, values: Doubles) -> None:
    """Put all ids on a heap, the largest value on top; of equal ones the lowest id."""
    for i in range(len(values)):
        heap[i] = i
    for i in range(len(values) // 2 - 1, -1, -1):
        _sink(heap, i, len(values), values)


@compiled
def _take(heap: Ints, size: int, values: Doubles) -> int:
    """Take the top off a heap of `size` ids; the others are its first `size - 1` then."""
    top = heap[0]
    heap[0] = heap[size - 1]
    _sink(heap, 0, size - 1, values)
    return top  # type: ignore[no-any-return]


@compiled
def _sink(heap: Ints, at: int, size: int, values: Doubles) -> None:
    id = heap[at]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _is_above(heap[child + 1], heap[child], values):
            child += 1
        if not _is_above(heap[child], id, values):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = id


@part
def _is_above(a: int, b: int, values: Doubles) -> bool:
    return values[a] > values[b] or (values[a] == values[b] and a < b)
