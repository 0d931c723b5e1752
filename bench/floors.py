"""What no way of writing gets below on this machine: weights to read, operations to do.

A token inside the context reads all weights once, and the keys and values before it; a batch reads
the weights once for all its sequences. Beyond the context every position moves, so a whole window
is worked out: in the last layer keys and values of all positions and the rest of the last one only.
Floating-point operations are those of the matrix products; norms, nonlinearities and the draw are
taken for nothing.
"""

import statistics
from dataclasses import dataclass

import torch
from measuring import seconds

from model.config import GPTConfig

BYTES = 4  # of a float32


@dataclass(frozen=True)
class Work:
    """What the mean token of a sequence costs, and what a step costs however many there are."""

    shared_bytes: float
    own_bytes: float
    operations: float


@dataclass(frozen=True)
class Machine:
    """What one thread reaches: reading the weights again and again, and multiplying."""

    bytes_per_s: float
    operations_per_s: float


@dataclass(frozen=True)
class Floor:
    seconds: float
    limit: str


def floor(work: Work, machine: Machine, sequences: int = 1) -> Floor:
    """Of one step of a batch, the mean of its steps."""
    read = work.shared_bytes + sequences * work.own_bytes
    reading = read / machine.bytes_per_s
    computing = sequences * work.operations / machine.operations_per_s
    limit = "arithmetic" if computing > reading else "reading the weights"
    return Floor(max(reading, computing), limit)


def inside(config: GPTConfig, start: int, end: int) -> Work:
    """The mean token from position `start` up to before `end`, one new position each."""
    C, V = config.n_embd, config.vocab_size
    weights = config.n_layer * _matrices(config) + C * V
    kept = statistics.mean(range(start, end)) + 1  # positions whose keys and values are read
    return Work(
        shared_bytes=BYTES * weights,
        own_bytes=BYTES * config.n_layer * 2 * C * kept,
        operations=2 * weights + config.n_layer * 4 * C * kept,
    )


def past(config: GPTConfig) -> Work:
    """A token beyond the context: a window of `block_size`."""
    C, T, V = config.n_embd, config.block_size, config.vocab_size
    weights = config.n_layer * _matrices(config) + C * V
    pairs = T * (T + 1) / 2  # of a query and a key that it sees
    whole = 2 * T * _matrices(config) + 4 * C * pairs
    last = 2 * T * 2 * C * C + 2 * (_matrices(config) - 2 * C * C) + 4 * C * T
    operations = (config.n_layer - 1) * whole + last + 2 * C * V
    return Work(shared_bytes=BYTES * weights, own_bytes=0, operations=operations)


def reading(config: GPTConfig, length: int) -> Work:
    """The first token behind a prompt of that many: a window, all positions of it new."""
    return past(config.model_copy(update={"block_size": length}))


def _matrices(config: GPTConfig) -> float:
    """Weights in a layer's matrices: q, k, v and output, and the feed-forward layer's."""
    C = config.n_embd
    gates = 3 if config.activation == "swiglu" else 2
    return 4 * C * C + gates * C * round(config.mlp_ratio * C)


def measure(config: GPTConfig) -> Machine:
    """The best of three tries of each.

    Reading is multiplying a matrix of the weights' size by a vector, or a dot product of it, which
    do little else: of small models that is the cache's speed. Operations are those of a large
    matrix product.
    """
    n = 1024
    a, b = torch.randn(n, n), torch.randn(n, n)
    out = a @ b
    best = min(seconds(lambda: torch.mm(a, b, out=out)) for _ in range(3))
    return Machine(_reading(config), 2 * n**3 / best)


def _reading(config: GPTConfig) -> float:
    """Bytes per second."""
    width = 256
    matrix = torch.randn(int(inside(config, 0, 1).shared_bytes) // BYTES // width, width)
    flat, vector = matrix.view(-1), torch.randn(width)
    out = matrix @ vector
    times = max(1, 10_000_000 // flat.numel())

    def dots() -> None:
        for _ in range(times):
            torch.dot(flat, flat)

    def products() -> None:
        for _ in range(times):
            torch.mv(matrix, vector, out=out)

    best = min(seconds(work) for _ in range(3) for work in (dots, products))
    return flat.numel() * BYTES * times / best
