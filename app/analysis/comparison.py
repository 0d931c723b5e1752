"""Two runs' heads side by side, as a reply."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from app.attention_schemas import ComparisonReply, ComparisonRequest, HeadPair
from app.attention_schemas import Window as Side
from app.errors import InvalidRequest, RequestError
from app.reading import Reader, Window
from app.registry import LoadedRun
from model.head_matching import Pair, pair_heads

MOST_PAIRS = 2**24  # of heads that may belong together; to choose among so many takes seconds


def compare(a: LoadedRun, b: LoadedRun, body: ComparisonRequest, reader: Reader) -> ComparisonReply:
    """Each head of `a` with its counterpart in `b`. Raises InvalidRequest."""
    length = min(a.model.reach, b.model.reach, body.length or a.model.reach)
    windows = []
    for side, loaded in (("a", a), ("b", b)):
        with of_side(side):
            windows.append(reader.read(loaded, body.text, length))
    first, second = windows
    _check_tokens(first, second)
    _check_heads(first, second, body)
    maps_a, maps_b = (torch.stack(window.maps()) for window in windows)
    pairs = pair_heads(maps_a, maps_b, body.match, body.without_first)
    return ComparisonReply(
        a=Side(**first.facts()),
        b=Side(**second.facts()),
        match=body.match,
        pairs=[_reply(pair) for pair in pairs],
    )


@contextmanager
def of_side(name: str) -> Iterator[None]:
    """An error about a run or a step inside the block tells which side's it is."""
    try:
        yield
    except RequestError as error:
        if error.param in {"run", "step"}:
            error.param = f"{name}.{error.param}"
        raise


def _check_tokens(a: Window, b: Window) -> None:
    if a.tokens != b.tokens:
        message = (
            f"b: run {b.loaded.run.id!r} cuts this text into other tokens than "
            f"{a.loaded.run.id!r}: compare runs with the same tokenizer"
        )
        raise InvalidRequest(message, param="b", code="different_tokens")


def _check_heads(a: Window, b: Window, body: ComparisonRequest) -> None:
    (layers_a, heads_a), (layers_b, heads_b) = (
        (side.model.config.n_layer, side.model.config.n_head) for side in (a, b)
    )
    shapes = f"a has {layers_a} layers of {heads_a} heads, b {layers_b} of {heads_b}"
    problem = None
    if body.match == "place" and (layers_a, heads_a) != (layers_b, heads_b):
        problem = f"{shapes}, so that places do not correspond: use anywhere"
    elif body.match == "layer" and layers_a != layers_b:
        problem = f"{shapes}, so that layers do not correspond: use anywhere"
    elif body.match == "anywhere" and layers_a * heads_a * layers_b * heads_b > MOST_PAIRS:
        problem = f"{shapes}, more than can be matched anywhere: use layer or place"
    if problem:
        raise InvalidRequest(f"match: {problem}", param="match", code="invalid_value")


def _reply(pair: Pair) -> HeadPair:
    return HeadPair(
        a=list(pair.a),
        b=None if pair.b is None else list(pair.b),
        divergence=None if pair.divergence is None else round(pair.divergence, 6),
        similarity=None if pair.similarity is None else round(pair.similarity, 6),
    )
