"""Keys and values of the positions already seen, so that the next one costs one position."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import GPTConfig


class LayerCache:
    """One block's keys and values, in buffers as long as the context."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        self._keys, self._values = keys, values  # (B, H, block_size, D)
        self._length = 0
        self._earlier: Tensor | None = None  # what a convolution still has to see

    def extend(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Add k and v (B, H, T, D); returns all of them up to here."""
        end = self._length + k.shape[2]
        self._keys[:, :, self._length : end] = k
        self._values[:, :, self._length : end] = v
        self._length = end
        return self._keys[:, :, :end], self._values[:, :, :end]

    def with_earlier(self, x: Tensor, count: int) -> Tensor:
        """x (B, T, C) -> (B, count + T, C): behind what came before it, zeros before the first."""
        if self._earlier is None:
            x = F.pad(x, (0, 0, count, 0))
        else:
            x = torch.cat((self._earlier, x), dim=1)
        self._earlier = x[:, -count:]
        return x


class KeyValueCache:
    """A cache for every block; `length` positions are filled."""

    def __init__(self, config: GPTConfig, batch_size: int, like: Tensor) -> None:
        """Buffers take the device and dtype of `like`."""
        head_size = config.n_embd // config.n_head
        shape = (2, batch_size, config.n_head, config.block_size, head_size)
        self.length = 0
        self.layers = [LayerCache(*like.new_empty(shape)) for _ in range(config.n_layer)]
