"""Text and run in; tokens and the attention of every head out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.registry import LoadedRun
from model.attention import NoAttention, attention_maps
from model.config import GPTConfig
from model.tokenizer import UnknownCharacters


@dataclass(frozen=True)
class Inspection:
    """What `layers` and `heads` of a run attend to: maps (layer, head, query, key), float32."""

    run: str
    step: int | None
    tokens: list[str]
    text_offset: int
    n_layer: int
    n_head: int
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
    config = loaded.model.config
    if not isinstance(config, GPTConfig):
        message = f"run {loaded.run.id!r} is a {config.kind} model, which has no attention heads"
        raise InvalidRequest(message, param="run", code="no_attention")
    chosen_layers = _chosen("layers", layers, config.n_layer)
    chosen_heads = _chosen("heads", heads, config.n_head)
    try:
        ids, text_offset = loaded.tokenizer.encode_end(text, config.block_size)
    except UnknownCharacters as error:
        raise InvalidRequest(f"text: {error}", param="text", code="unknown_characters") from None
    # The model works out every head, whichever are asked for.
    check_size(config.n_layer * config.n_head * len(ids) ** 2, max_cells, "use a shorter text")
    try:
        maps = attention_maps(loaded.model, ids, chosen_layers, chosen_heads).numpy()
    except NoAttention as error:
        raise InvalidRequest(str(error), param="run", code="no_attention") from None
    return Inspection(
        run=loaded.run.id,
        step=loaded.step,
        tokens=[loaded.tokenizer.token_text(i) for i in ids],
        text_offset=text_offset,
        n_layer=config.n_layer,
        n_head=config.n_head,
        layers=chosen_layers,
        heads=chosen_heads,
        maps=maps,
    )


def check_size(cells: int, limit: int, advice: str) -> None:
    """Raises InvalidRequest if there are more numbers than `limit`."""
    if cells > limit:
        message = f"text: these maps have {cells:,} numbers, the limit is {limit:,}: {advice}"
        raise InvalidRequest(message, param="text", code="too_large")


def _chosen(name: str, wanted: Sequence[int] | None, count: int) -> list[int]:
    """`wanted`, or all of `count`; each must be there."""
    if wanted is None:
        return list(range(count))
    if any(i >= count for i in wanted):
        message = f"{name}: the run has {name} 0 to {count - 1}, not {max(wanted)}"
        raise InvalidRequest(message, param=name, code="invalid_value")
    return list(wanted)
