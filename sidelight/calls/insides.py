"""What the heads of a run are for: one from the inside, all of them missed, the next token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np

from sidelight.asking import Call
from sidelight.attention_shapes import Drawing, Fill, Inside, WithoutHeads, WritingOn
from sidelight.calls.heads import Array, analysis, reading


@dataclass(frozen=True)
class NextToken:
    """The likeliest next tokens, and their probabilities after each stage of sampling."""

    stages: list[str]
    tokens: list[str]
    probabilities: Array  # (token, stage)


def inside(run: str, text: str, layer: int, head: int, query: int | None = None) -> Call[Inside]:
    """One query of one head: `row` in arrays over the keys, with `lens` and `attribution`."""
    body = reading(run, text) | {"layer": int(layer), "head": int(head)}
    reply: Any = yield from analysis(
        "inside", body | {"query": None if query is None else int(query)}
    )
    reply["row"] = {name: np.array(values) for name, values in reply["row"].items()}
    looked: Inside = reply
    return looked


def importance(run: str, text: str, fill: Fill = "zero") -> Call[tuple[float, Array]]:
    """The loss in nats per token, and what it changes by without each head: (layer, head)."""
    reply = yield from analysis("importance", reading(run, text) | {"fill": fill})
    return reply["loss"], np.array(reply["changes"], np.float32)


def without_heads(
    run: str,
    text: str,
    heads: Sequence[tuple[int, int]],
    fill: Fill = "zero",
    **writing: Unpack[WritingOn],
) -> Call[WithoutHeads]:
    """Loss, next token and text before and after; `generate=100, seed=1` and so on write on."""
    places = [[int(layer), int(head)] for layer, head in heads]  # they may be numpy's
    body = reading(run, text) | {"heads": places, "fill": fill} | dict(writing)
    reply: Any = yield from analysis("ablation", body)
    changed: WithoutHeads = reply
    return changed


def next_token(run: str, text: str, **drawing: Unpack[Drawing]) -> Call[NextToken]:
    """What follows; `temperature`, `top_k`, `top_p` … add a stage each, `top` more tokens."""
    reply = yield from analysis("distribution", reading(run, text) | dict(drawing))
    candidates = reply["candidates"]
    probabilities = np.array([c["probabilities"] for c in candidates], np.float32)
    return NextToken(reply["stages"], [c["token"] for c in candidates], probabilities)
