"""Text and run in; tokens and the attention of every head out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.reading import Window, read
from app.registry import LoadedRun
from model.attention import attention_maps


@dataclass(frozen=True)
class Inspection:
    """What `layers` and `heads` of a run attend to: maps (layer, head, query, key), float32."""

    window: Window
    layers: list[int]
    heads: list[int]
    maps: NDArray[np.float32]


def inspect(
    loaded: LoadedRun,
    text: str,
    layers: Sequence[int] | None,
    heads: Sequence[int] | None,
    max_cells: int,
) -> Inspection:
    """Look at the last `block_size` tokens of `text`. Raises InvalidRequest."""
    window = read(loaded, text, None, max_cells)
    config = window.model.config
    chosen_layers = _chosen("layers", layers, config.n_layer)
    chosen_heads = _chosen("heads", heads, config.n_head)
    maps = attention_maps(window.model, window.ids, chosen_layers, chosen_heads).numpy()
    return Inspection(window, chosen_layers, chosen_heads, maps)


def _chosen(name: str, wanted: Sequence[int] | None, count: int) -> list[int]:
    """`wanted`, or all of `count`; each must be there."""
    if wanted is None:
        return list(range(count))
    if any(i >= count for i in wanted):
        message = f"{name}: the run has {name} 0 to {count - 1}, not {max(wanted)}"
        raise InvalidRequest(message, param=name, code="invalid_value")
    return list(wanted)
