"""How alike the heads of two models are on the same tokens, and which belongs to which.

Maps are (L, H, T, T): layer, head, query, key. A first query sees only itself, so queries are
compared from the second on. Without the first token, each row is shared out anew over the other
keys, from the third query on; one that leaves them nothing does not say where it would look.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch.nn.functional as F
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.special import entr

from model.head_roles import LEAST_LEFT

Match = Literal["place", "layer", "anywhere"]
Place = tuple[int, int]


@dataclass(frozen=True)
class Pair:
    """A head of `a`, by layer and head, and the one of `b` that it is compared with, if any.

    `divergence` is in bits, from 0 to 1; None where there is no query to compare. `similarity` is
    the cosine of the two maps, from 0 to 1.
    """

    a: Place
    b: Place | None
    divergence: float | None
    similarity: float | None


def pair_heads(
    a: Tensor, b: Tensor, match: Match = "place", without_first: bool = False
) -> list[Pair]:
    """Every head of maps `a`, by layer and head, with its counterpart in `b`.

    `place` takes the one at the same place. `layer` and `anywhere` take the pairing, within each
    layer or of all heads, whose similarities have the largest sum (an assignment, Kuhn 1955); no
    head of `b` has two. Raises ValueError for maps of different lengths, and where the layers
    (`place`, `layer`) or the heads of each (`place`) are not as many.
    """
    is_layer_bound = match != "anywhere"
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"maps of {a.shape[-1]} and {b.shape[-1]} tokens cannot be compared")
    if is_layer_bound and (len(a) != len(b) or (match == "place" and a.shape[1] != b.shape[1])):
        raise ValueError(f"{match}: the models do not have the same layers or heads")
    heads_a, heads_b = a.shape[1], b.shape[1]
    rows_a, rows_b = _rows(a, without_first), _rows(b, without_first)
    partners: dict[int, int]
    if match == "place":
        partners = {i: i for i in range(len(rows_a))}
    else:
        groups = len(a) if match == "layer" else 1
        partners = _assignment(rows_a.unflatten(0, (groups, -1)), rows_b.unflatten(0, (groups, -1)))
    pairs = []
    for i, p in enumerate(rows_a):
        place, j = divmod(i, heads_a), partners.get(i)
        if j is None:
            pairs.append(Pair(place, None, None, None))
        else:
            q = rows_b[j]
            pairs.append(Pair(place, divmod(j, heads_b), divergence(p, q), similarity(p, q)))
    return pairs


def divergence(p: Tensor, q: Tensor) -> float | None:
    """Jensen-Shannon divergence (Lin 1991) in bits, the mean over rows of p and q (queries, keys).

    Rows are distributions, or 0 throughout and then not compared; None if none is.
    """
    comparable = (p.sum(-1) > 0) & (q.sum(-1) > 0)
    if not comparable.any():
        return None
    nats = entr((p + q) / 2).sum(-1) - (entr(p).sum(-1) + entr(q).sum(-1)) / 2
    return float(nats[comparable].mean().clamp(0, math.log(2))) / math.log(2)


def similarity(p: Tensor, q: Tensor) -> float:
    """Cosine of two maps; 0 where one of them is empty."""
    return float(F.cosine_similarity(p.flatten(), q.flatten(), dim=0, eps=1e-12).clamp(0, 1))


def _rows(maps: Tensor, without_first: bool) -> Tensor:
    """The rows to compare, (L * H, queries, keys), each a distribution or 0."""
    maps = maps.flatten(0, 1)
    if not without_first:
        return maps[:, 1:]
    rest = maps[:, 2:, 1:]
    left = rest.sum(-1, keepdim=True)
    return (rest / left.clamp(min=LEAST_LEFT)).where(left >= LEAST_LEFT, 0)


def _assignment(a: Tensor, b: Tensor) -> dict[int, int]:
    """The heads of `b` by those of `a`, both counted through all groups.

    Rows are (groups, heads, queries, keys).
    """
    similarities = F.normalize(a.flatten(2), dim=2) @ F.normalize(b.flatten(2), dim=2).mT
    partners = {}
    for group, values in enumerate(similarities.numpy()):
        for i, j in zip(*linear_sum_assignment(values, maximize=True), strict=True):
            partners[group * a.shape[1] + int(i)] = group * b.shape[1] + int(j)
    return partners
