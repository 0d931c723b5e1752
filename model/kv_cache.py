"""Keys and values of many texts, each at a place of its own and as long as it is.

All that is done with them has fixed shapes and waits for no number from the device, so that it can
be captured as a CUDA graph.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import GPTConfig


class LayerCache(Protocol):
    """What one block has to do with a cache."""

    @property
    def mask(self) -> Tensor | None:
        """Which keys that `extend` returned a single query sees (B, 1, 1, keys); None for all."""

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keep k and v (B, H, T, D); returns all that the last query sees, in any order."""

    def with_earlier(self, x: Tensor, count: int) -> Tensor:
        """x (B, T, C) -> (B, count + T, C): behind what came before it, zeros before the first."""


@dataclass(frozen=True)
class Cache:
    """What a model goes on from, for one forward pass."""

    start: int | Tensor  # the position of the next ids; (B,) if each row has its own
    layers: Sequence[LayerCache]  # one for each block


class PlacedCache:
    """`keys` and `values` (n_layer, places, H, size, D), `earlier` (n_layer, places, conv, 3C).

    `earlier` is what a convolution still has to see. Position p lies at p modulo `size`, which is
    the attention window if there is one, else the context.
    """

    def __init__(self, config: GPTConfig, places: int, like: Tensor) -> None:
        """Buffers take the device and dtype of `like`.

        They are zeros at first: what lies behind the last position is masked, that is multiplied by
        zero, and must be a number.
        """
        H, C, L = config.n_head, config.n_embd, config.n_layer
        size = config.attention_window or config.block_size
        self.keys, self.values = like.new_zeros((2, L, places, H, size, C // H))
        self.earlier = like.new_zeros((L, places, config.qkv_conv, 3 * C))

    def beginnings(self, rows: Tensor) -> Cache:
        """For ids (B, T) that texts at the places `rows` (B,) begin with."""
        each = zip(self.keys, self.values, self.earlier, strict=True)
        return Cache(0, [_Beginning(*layer, rows) for layer in each])

    def following(self, positions: Tensor) -> Cache:
        """For ids (B, 1) at `positions` (B,) of the texts at the first B places."""
        B, size = len(positions), self.keys.shape[3]
        mask = torch.arange(size, device=positions.device) <= positions[:, None]
        mask, slots = mask[:, None, None], (positions % size).view(B, 1, 1, 1)
        each = zip(self.keys[:, :B], self.values[:, :B], self.earlier[:, :B], strict=True)
        return Cache(positions, [_Following(*layer, slots, mask) for layer in each])


@dataclass(frozen=True)
class _Beginning:
    """A `LayerCache` for the first positions of texts, which see no earlier ones."""

    keys: Tensor  # (places, H, size, D)
    values: Tensor
    earlier: Tensor  # (places, conv, 3C)
    rows: Tensor  # (B,)
    mask: Tensor | None = None

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        size, T = self.keys.shape[2], k.shape[2]
        for kept, new in ((self.keys, k), (self.values, v)):
            if size < T:
                kept.index_copy_(0, self.rows, new[:, :, -size:].roll(T % size, dims=2))
            else:
                kept[:, :, :T].index_copy_(0, self.rows, new)
        return k, v

    def with_earlier(self, x: Tensor, count: int) -> Tensor:
        x = F.pad(x, (0, 0, count, 0))
        self.earlier.index_copy_(0, self.rows, x[:, -count:])
        return x


@dataclass(frozen=True)
class _Following:
    """A `LayerCache` for one more position of each text."""

    keys: Tensor  # (B, H, size, D)
    values: Tensor
    earlier: Tensor  # (B, conv, 3C)
    slots: Tensor  # (B, 1, 1, 1)
    mask: Tensor  # (B, 1, 1, size)

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        slots = self.slots.expand_as(k)
        return self.keys.scatter_(2, slots, k), self.values.scatter_(2, slots, v)

    def with_earlier(self, x: Tensor, count: int) -> Tensor:
        x = torch.cat((self.earlier, x), dim=1)
        self.earlier.copy_(x[:, -count:])
        return x
