"""What each attention head does: scores of its maps on a text, and on random tokens repeated.

Maps are (L, H, T, T): layer, head, query, key; their rows sum to 1. Scores are (L, H).

A query with little to look for often looks at the first token (Xiao et al. 2023), which hides what
the head does where it does something. A corrected score is about the rest: the share of the
attention to all tokens but the first. Sums over queries are divided by sums, so that a query counts
for as much as it has left.

`window` is the model's attention window, if it has one: a query has no more tokens in sight.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.special import entr

from model.gpt import GPT
from model.trace import Trace

LEAST_LEFT = 0.01  # share of the attention; with less, nothing is said about where it goes
ABOVE_EVEN = 2.0  # what a badge's score must be, over that of a head that looks everywhere alike
LONGEST_HALF = 64
SEQUENCES = 8
SEED = 1337
CELLS_AT_ONCE = 2**24  # numbers of all maps of a batch


@dataclass(frozen=True)
class Role:
    """What one score says."""

    name: str
    title: str
    definition: str
    source: str
    unit: Literal["share", "bits", "tokens"]
    on: Literal["text", "repeated random tokens"] = "text"
    badge_from: float | None = None


ROLES = [
    Role(
        "previous",
        "Previous token",
        "Mean attention to the token just before the query.",
        "Voita et al. 2019, Analyzing Multi-Head Self-Attention",
        "share",
        badge_from=0.4,
    ),
    Role(
        "first",
        "First token",
        "Mean attention to the first token of the window.",
        "Xiao et al. 2023, Efficient Streaming Language Models with Attention Sinks",
        "share",
        badge_from=0.5,
    ),
    Role(
        "self",
        "Self",
        "Mean attention of a token to itself.",
        "Clark et al. 2019, What Does BERT Look At?",
        "share",
        badge_from=0.4,
    ),
    Role(
        "induction",
        "Induction",
        "Mean attention to the token that came after the query's earlier occurrence.",
        "Olsson et al. 2022, In-context Learning and Induction Heads",
        "share",
        "repeated random tokens",
        badge_from=0.4,
    ),
    Role(
        "duplicate",
        "Duplicate token",
        "Mean attention to the query's own earlier occurrence.",
        "Wang et al. 2022, Interpretability in the Wild",
        "share",
        "repeated random tokens",
        badge_from=0.4,
    ),
    Role(
        "diffuse",
        "Diffuse",
        "Entropy over the most that it can be, the logarithm of the number of tokens in sight.",
        "Clark et al. 2019, What Does BERT Look At?",
        "share",
        badge_from=0.9,
    ),
    Role(
        "entropy",
        "Entropy",
        "Mean entropy of a query's attention.",
        "Clark et al. 2019, What Does BERT Look At?",
        "bits",
    ),
    Role(
        "distance",
        "Distance",
        "Mean number of tokens from the query back to what it looks at.",
        "Vig and Belinkov 2019, Analyzing the Structure of Attention",
        "tokens",
    ),
]


@dataclass(frozen=True)
class Score:
    """One role's scores of all heads; 0 where no query can be scored, as in a text of one token."""

    raw: Tensor  # (L, H)
    corrected: Tensor | None  # (L, H)
    even: float = 0.0  # the telling score of a head that looks everywhere alike

    @property
    def telling(self) -> Tensor:
        """The one that decides about badges, (L, H)."""
        return self.raw if self.corrected is None else self.corrected


def text_scores(maps: Tensor, window: int | None = None) -> dict[str, Score]:
    """The roles that a text shows, from its maps.

    A first query sees only itself, so queries count from the second on; without the first token,
    from the third on. Whether they look at the first token is asked of those that see it.
    """
    T = maps.shape[-1]
    window = T if window is None else window
    queries = torch.arange(1, T)
    with_first = queries[queries < window]
    back = torch.arange(T)[:, None] - torch.arange(T)  # tokens from key to query
    return {
        "previous": _attention_to(maps, queries, queries - 1, window),
        "first": Score(_mean(maps[..., with_first, 0]), None, float(_mean(1 / (with_first + 1)))),
        "self": _attention_to(maps, queries, queries, window),
        "entropy": Score(_mean(_bits(maps)[..., 1:]), _per_left(maps, _bits_left(maps))),
        "diffuse": _diffuse(maps, window),
        "distance": Score(
            _mean((maps * back).sum(-1)[..., 1:]),
            _per_left(maps, (maps * back)[..., 1:].sum(-1)),
        ),
    }


def repeated_scores(maps: Tensor, window: int | None = None) -> dict[str, Score]:
    """The roles that show where each token of a first half comes again, from maps (L, H, 2n, 2n).

    Both are linear in the maps, so a mean over sequences gives the mean over all their queries.
    """
    half = maps.shape[-1] // 2
    window = 2 * half if window is None else window
    queries = torch.arange(half, 2 * half)
    return {
        "induction": _attention_to(maps, queries, queries - half + 1, window),
        "duplicate": _attention_to(maps, queries, queries - half, window),
    }


def repeated_length(block_size: int, window: int | None = None) -> int:
    """Length of both halves together, so that each query sees its token's earlier occurrence.

    0 where the context or the attention window is too short for halves of two tokens.
    """
    half = min(block_size // 2, LONGEST_HALF)
    if window is not None:
        half = min(half, window - 1)
    return 2 * half if half > 1 else 0


@torch.inference_mode()
def repeated_maps(model: GPT) -> Tensor:
    """Maps on repeated random tokens, the mean over SEQUENCES of them."""
    config = model.config
    length = repeated_length(config.block_size, config.attention_window)
    shape = (config.n_layer, config.n_head, length, length)
    total = torch.zeros(shape)
    if length == 0:
        return total
    generator = torch.Generator().manual_seed(SEED)
    half = torch.randint(config.vocab_size, (SEQUENCES, length // 2), generator=generator)
    ids = torch.cat((half, half), 1).to(model.wte.weight.device)
    for batch in ids.split(max(1, CELLS_AT_ONCE // total.numel())):
        trace = Trace()
        model(batch, trace)
        total += torch.stack([layer.weights.sum(0) for layer in trace.attention]).float().cpu()
    return total / SEQUENCES


def badges(scores: dict[str, Score], layer: int, head: int) -> list[str]:
    """The roles that a head has, the highest score first.

    The corrected score decides where there is one. It must reach `badge_from`, and be clearly above
    that of a head that looks everywhere alike: of two tokens each gets half for nothing.
    """
    earned = {}
    for role in ROLES:
        score = scores[role.name]
        value = float(score.telling[layer, head])
        if role.badge_from and value >= max(role.badge_from, ABOVE_EVEN * score.even):
            earned[role.name] = value
    return sorted(earned, key=lambda name: -earned[name])


def _attention_to(maps: Tensor, queries: Tensor, keys: Tensor, window: int) -> Score:
    """How much of its attention each of `queries` gives to the one of `keys` at its index."""
    picked = maps[..., queries, keys]
    # Without the first token the second query has only itself to look at.
    fair = (keys >= 1) & (queries >= 2)
    left = maps[..., 1:].sum(-1)[..., queries[fair]]
    others = queries[fair].clamp(max=window)  # in sight, without the first token
    return Score(_mean(picked), _share(picked[..., fair], left), float(_mean(1 / others)))


def _diffuse(maps: Tensor, window: int) -> Score:
    """Entropy over its largest, log2 of the tokens in sight; 0 for a query that sees only one."""
    queries = torch.arange(maps.shape[-1])
    in_sight = (queries + 1).clamp(max=window)
    others = queries.clamp(max=window)  # without the first token
    raw = _bits(maps) / in_sight.clamp(min=2).log2()
    left = _bits_left(maps) / others.clamp(min=2).log2()
    return Score(_mean(raw[..., 1:]), _per_left(maps, left))


def _bits(maps: Tensor) -> Tensor:
    """Entropy of each row, (L, H, T)."""
    bits: Tensor = entr(maps).sum(-1) / math.log(2)
    return bits


def _bits_left(maps: Tensor) -> Tensor:
    """Entropy of each row without the first token, times what is left of it.

    r H(p / r) = sum of -p log p, less -r log r: nothing is divided by an r of nearly 0.
    """
    rest = maps[..., 1:]
    left = rest.sum(-1, keepdim=True)
    return (_bits(rest) - _bits(left)).clamp(min=0)


def _per_left(maps: Tensor, amounts: Tensor) -> Tensor:
    """Amounts (L, H, T) summed from the third query on, over all the attention left there."""
    return _share(amounts[..., 2:], maps[..., 2:, 1:].sum(-1))


def _share(amounts: Tensor, left: Tensor) -> Tensor:
    """Sum over queries of `amounts` over that of `left`; 0 where too little is left to tell."""
    total = left.sum(-1)
    least = LEAST_LEFT * max(1, left.shape[-1])
    share: Tensor = (amounts.sum(-1) / total.clamp(min=least)).where(total >= least, 0)
    return share


def _mean(values: Tensor) -> Tensor:
    """Mean over queries; 0 over none."""
    mean: Tensor = values.sum(-1) / max(1, values.shape[-1])
    return mean
