"""`sidelight attention`: maps and roles as the rows of a table, and maps as a file."""

import csv
from collections.abc import Iterator
from pathlib import Path

from app.analysis.roles import score_heads
from app.attention_schemas import AttentionRequest
from app.attention_wire import npy
from app.inspection import Inspection
from app.reading import Window

FORMATS = (".npy", ".csv", ".json")

Table = list[list[str]]


def trouble(asked: AttentionRequest, roles: bool, out: Path | None) -> str | None:
    """Why options do not go together."""
    if out is not None:
        if roles:
            return "--roles are printed; leave --out away"
        if out.suffix not in FORMATS:
            return f"--out must end in one of {', '.join(FORMATS)}"
        return None
    is_one_map = asked.merge == "all" or (asked.layers and (asked.heads or asked.merge))
    if not (is_one_map or roles):
        return "name one --layer and --head to print, or --merge all, or a file with --out"
    return None


def map_table(seen: Inspection) -> Table:
    """The first map, a row for each query below a row of keys."""
    labels = [_shown(token) for token in seen.window.tokens]
    rows = zip(labels, seen.maps[0][0].tolist(), strict=True)
    return [["", *labels], *([label, *map(_weight, row)] for label, row in rows)]


def role_table(window: Window) -> Table:
    """Every head's scores below the roles' names, and its badges."""
    reply = score_heads(window)
    names = [role.name for role in reply.roles]
    rows = [
        [
            f"{head.layer}.{head.head}",
            ", ".join(head.badges),
            *(f"{head.scores[name]:.2f}" for name in names),
        ]
        for head in reply.heads
    ]
    return [["head", "badges", *names], *rows]


def write_maps(seen: Inspection, out: Path) -> None:
    """The file that `out`'s suffix says, one of FORMATS."""
    if out.suffix == ".npy":
        out.write_bytes(npy(seen.maps))
    elif out.suffix == ".json":
        out.write_bytes(seen.json())
    else:
        with out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(_cells(seen))


def _cells(seen: Inspection) -> Iterator[list[object]]:
    """A row for each number that is not zero by causality, below a row of names.

    Where several are merged, the layer or head is empty.
    """
    yield ["layer", "head", "query", "key", "query_token", "key_token", "weight"]
    tokens = seen.window.tokens
    merge = seen.asked.merge
    for maps, layer in zip(seen.maps, [""] if merge == "all" else seen.layers, strict=True):
        for rows, head in zip(maps.tolist(), [""] if merge else seen.heads, strict=True):
            for q, token in enumerate(tokens):
                for k in range(q + 1):
                    yield [layer, head, q, k, token, tokens[k], rows[q][k]]


def _shown(token: str) -> str:
    """Without its line breaks and the like."""
    return repr(token)[1:-1]


def _weight(weight: float) -> str:
    return f"{weight:.2f}" if weight else ""
