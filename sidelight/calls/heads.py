"""What the heads of a run look at, and what each of them does."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sidelight.asking import Ask, Call
from sidelight.attention_shapes import Kind, Match, Merge, MergeBy
from sidelight.naming import run_at

PATH = "/api/attention"

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Attention:
    """What every head looks at."""

    tokens: list[str]
    maps: Array  # (layer, head, query, key)
    text_offset: int  # characters of the text before the first token


@dataclass(frozen=True)
class Roles:
    """What every head does, a score for each role."""

    names: list[str]
    scores: Array  # (layer, head, role)
    corrected: Array  # the same without the first token; NaN where that makes no sense
    badges: dict[tuple[int, int], list[str]]  # by (layer, head)


@dataclass(frozen=True)
class Comparison:
    """How much each head of one side differs from its partner on the other."""

    divergence: Array  # (layer, head) of the first side: Jensen-Shannon in bits; NaN if unmatched
    similarity: Array  # (layer, head): cosine of the two maps
    partners: dict[tuple[int, int], tuple[int, int]]


def attention(
    run: str,
    text: str,
    *,
    kind: Kind = "raw",
    merge: Merge | None = None,
    merge_by: MergeBy = "mean",
    length: int | None = None,
) -> Call[Attention]:
    """The maps of all heads, exact; `merge` makes one of each layer's, or of all.

    With `length` only so many of the text's last tokens are seen, as in a shorter context.
    """
    body = reading(run, text) | {"length": length}
    body |= {"kind": kind, "merge": merge, "merge_by": merge_by}
    file = yield Ask("POST", PATH, json=body, headers={"Accept": "application/x-npy"})
    maps = np.load(io.BytesIO(file.content), allow_pickle=False)
    facts = yield from _facts(body)
    return Attention(facts["tokens"], maps, facts["text_offset"])


def roles(run: str, text: str) -> Call[Roles]:
    """Scores of every head, by role: previous, first, induction and so on."""
    reply = yield from analysis("roles", reading(run, text))
    names = [role["name"] for role in reply["roles"]]
    shape = (reply["n_layer"], reply["n_head"], len(names))

    def scores(field: str) -> Array:
        rows = [[head[field].get(name, np.nan) for name in names] for head in reply["heads"]]
        return np.array(rows, np.float32).reshape(shape)

    badges = {(head["layer"], head["head"]): head["badges"] for head in reply["heads"]}
    return Roles(names, scores("scores"), scores("corrected"), badges)


def compare(
    a: str, b: str, text: str, *, match: Match = "place", without_first: bool = False
) -> Call[Comparison]:
    """Each head of `a` beside one of `b`: the one at its place, or the best matching."""
    body = {"text": text, "a": run_at(a), "b": run_at(b), "match": match}
    reply = yield from analysis("comparison", body | {"without_first": without_first})
    shape = (reply["a"]["n_layer"], reply["a"]["n_head"])

    def grid(field: str) -> Array:
        return np.array([pair[field] for pair in reply["pairs"]], np.float32).reshape(shape)

    partners = {
        (pair["a"][0], pair["a"][1]): (pair["b"][0], pair["b"][1])
        for pair in reply["pairs"]
        if pair["b"] is not None
    }
    return Comparison(grid("divergence"), grid("similarity"), partners)


def reading(run: str, text: str) -> dict[str, Any]:
    """A text and the run that reads it, as all that is asked about attention begins."""
    return {**run_at(run), "text": text}


def analysis(name: str, body: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """The JSON of `/api/attention/NAME`."""
    answer = yield Ask("POST", f"{PATH}/{name}", json=body)
    reply: dict[str, Any] = answer.json()
    return reply


def _facts(body: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """What the .npy file has no room for: the compact form's header, of the smallest map."""
    smallest = {**body, "layers": [0], "heads": [0]}
    answer = yield Ask("POST", PATH, json=smallest, headers={"Accept": "application/octet-stream"})
    end = 4 + int.from_bytes(answer.content[:4], "little")
    facts: dict[str, Any] = json.loads(answer.content[4:end])
    return facts
