"""Text and run in; tokens and the attention of every head out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from app.attention_schemas import AttentionReply, AttentionRequest
from app.errors import InvalidRequest
from app.reading import Reader, Window
from app.registry import LoadedRun
from model.attention import pick


@dataclass(frozen=True)
class Inspection:
    """What `layers` and `heads` of a run attend to: float32 maps (H, T, T) for each layer.

    There is one of each where several are merged.
    """

    window: Window
    asked: AttentionRequest
    layers: list[int]
    heads: list[int]
    maps: list[NDArray[np.float32]]

    @property
    def shape(self) -> list[int]:
        """Layers, heads, T, T."""
        return [len(self.maps), *self.maps[0].shape]

    def facts(self) -> dict[str, Any]:
        """The fields of `AttentionReply` but for the maps."""
        return self.window.facts() | {
            "kind": self.asked.kind,
            "merge": self.asked.merge,
            "merge_by": self.asked.merge_by,
            "layers": self.layers,
            "heads": self.heads,
            "largest": max(float(layer.max()) for layer in self.maps),
            "shape": self.shape,
        }

    def json(self) -> bytes:
        """All of it as an `AttentionReply`, as numbers.

        It is put together row by row, since a million of them at once would let no other thread
        have its turn before they were done.
        """
        facts = AttentionReply(**self.facts(), maps=[]).model_dump_json().encode()
        layers = (_list(_list(map(_row, head)) for head in layer) for layer in self.maps)
        return facts.removesuffix(b"[]}") + _list(layers) + b"}"


def _row(weights: NDArray[np.float32]) -> bytes:
    return to_json(np.round(weights.astype(np.float64), 8).tolist())


def _list(parts: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(parts) + b"]"


def inspect(loaded: LoadedRun, asked: AttentionRequest, reader: Reader) -> Inspection:
    """Let the run read the text, and pick what was asked for. Raises InvalidRequest."""
    window = reader.read(loaded, asked.text, asked.length)
    config = window.model.config
    layers = _chosen("layers", asked.layers, config.n_layer)
    heads = _chosen("heads", asked.heads, config.n_head)
    maps = pick(window.maps(asked.kind), layers, heads, asked.merge, asked.merge_by)
    return Inspection(window, asked, layers, heads, [layer.numpy() for layer in maps])


def _chosen(name: str, wanted: Sequence[int] | None, count: int) -> list[int]:
    """`wanted`, or all of `count`; each must be there."""
    if wanted is None:
        return list(range(count))
    if any(i >= count for i in wanted):
        message = f"{name}: the run has {name} 0 to {count - 1}, not {max(wanted)}"
        raise InvalidRequest(message, param=name, code="invalid_value")
    return list(wanted)
