"""What a forward pass hands out when it is asked to.

Shapes are (B, H, T, D) inside attention: batch, heads, positions, channels of one head.
"""

from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class AttentionTrace:
    """One layer's attention, as its output was computed."""

    q: Tensor  # (B, H, T, D), as they meet: behind norms, gain and rotation
    k: Tensor
    v: Tensor
    weights: Tensor  # (B, H, T, T), rows sum to 1
    mixed: Tensor  # (B, H, T, D), weights @ v, before the output projection
    window: int | None = None  # how many positions a query sees; all up to its own if None


@dataclass
class Trace:
    """Filled by one forward pass, layer by layer.

    `stream` is the residual stream, each (B, T, C): the embeddings, then the sum behind each
    layer's attention and behind each layer's MLP, 1 + 2 n_layer in all.
    """

    attention: list[AttentionTrace] = field(default_factory=list)
    stream: list[Tensor] = field(default_factory=list)
