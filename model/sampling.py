"""From logits to the next id."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

Stage = Literal[
    "model",
    "logit_bias",
    "repetition_penalty",
    "penalties",
    "temperature",
    "top_k",
    "top_p",
    "min_p",
]

COLDEST = 1e-30  # a lower temperature would make logits infinite, so it counts as 0


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Applied in this order; the defaults change nothing.

    `logit_bias` is added to the logits of its ids. `repetition_penalty` divides the positive logits
    of tokens already there and multiplies the negative ones (Keskar et al. 2019, CTRL). Of those
    that were written, the prompt's not among them, `presence_penalty` is taken away once and
    `frequency_penalty` as often as they were. `temperature` divides all; 0 takes the likeliest.
    `top_k` keeps the k likeliest, `top_p` the fewest that hold that share of the probability
    (Holtzman et al. 2019), `min_p` those with at least that share of the likeliest one's
    (Nguyen et al. 2024). `seed` makes the draw repeatable.
    """

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    min_p: float | None = None
    repetition_penalty: float = 1.0
    seed: int | None = None
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    @property
    def counts(self) -> bool:
        """Whether it matters how often a token was written."""
        return self.presence_penalty != 0 or self.frequency_penalty != 0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise ValueError("temperature must be at least 0")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError("top_k must be at least 1")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError("top_p must be above 0 and at most 1")
        if self.min_p is not None and not 0 <= self.min_p <= 1:
            raise ValueError("min_p must be between 0 and 1")
        if self.repetition_penalty <= 0:
            raise ValueError("repetition_penalty must be above 0")
        if min(self.logit_bias, default=0) < 0:
            raise ValueError("logit_bias must name ids, which are at least 0")


def distribution(
    logits: Tensor, sampling: Sampling, history: Sequence[int] = (), written: Sequence[int] = ()
) -> Tensor:
    """logits (V,) -> the probabilities (V,) that the next id is drawn from."""
    return stages(logits, sampling, history, written)[-1][1]


def stages(
    logits: Tensor, sampling: Sampling, history: Sequence[int] = (), written: Sequence[int] = ()
) -> list[tuple[Stage, Tensor]]:
    """logits (V,) -> the probabilities (V,) after each stage, the model's own first.

    `history` are all the ids there, `written` those of them that are not the prompt's. Only stages
    that `sampling` asks for are there; the last is what the next id is drawn from.
    """
    found: list[tuple[Stage, Tensor]] = [("model", logits.float())]
    found += _adjusted(logits.float(), sampling, history, written)
    logits = found[-1][1]
    if sampling.temperature < COLDEST:
        logits = torch.full_like(logits, -torch.inf).index_fill(0, logits.argmax(), 0)
        return _as_probabilities([*found, ("temperature", logits)])
    if sampling.temperature != 1:
        logits = logits / sampling.temperature
        found.append(("temperature", logits))
    if sampling.top_k is not None and sampling.top_k < len(logits):
        smallest = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
        found.append(("top_k", logits))
    return _as_probabilities(found) + _filtered(logits.softmax(-1), sampling)


def _adjusted(
    logits: Tensor, sampling: Sampling, history: Sequence[int], written: Sequence[int]
) -> list[tuple[Stage, Tensor]]:
    """The stages that change the logits (V,) of single ids."""
    found: list[tuple[Stage, Tensor]] = []
    if any(sampling.logit_bias.values()):
        ids = torch.tensor(list(sampling.logit_bias))
        bias = torch.tensor(list(sampling.logit_bias.values()), dtype=logits.dtype)
        logits = logits.index_add(0, ids, bias)
        found.append(("logit_bias", logits))
    if sampling.repetition_penalty != 1 and history:
        logits = penalised(logits, history, sampling.repetition_penalty)
        found.append(("repetition_penalty", logits))
    if sampling.counts and written:
        counts = torch.tensor(written).bincount(minlength=len(logits))
        logits = logits - sampling.frequency_penalty * counts
        logits = logits - sampling.presence_penalty * (counts > 0)
        found.append(("penalties", logits))
    return found


def _as_probabilities(found: list[tuple[Stage, Tensor]]) -> list[tuple[Stage, Tensor]]:
    return [(stage, _normalised(logits.softmax(-1))) for stage, logits in found]


def _filtered(probabilities: Tensor, sampling: Sampling) -> list[tuple[Stage, Tensor]]:
    """The stages that leave out what is unlikely among `probabilities` (V,)."""
    found: list[tuple[Stage, Tensor]] = []
    if sampling.top_p is not None and sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
        found.append(("top_p", _normalised(probabilities)))
    if sampling.min_p:
        too_small = probabilities < sampling.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(too_small, 0)
        found.append(("min_p", _normalised(probabilities)))
    return found


def _normalised(probabilities: Tensor) -> Tensor:
    return probabilities / probabilities.sum()


def penalised(logits: Tensor, history: Sequence[int], penalty: float) -> Tensor:
    """logits (V,) with those of the ids in `history` made less likely by `penalty`."""
    if penalty == 1 or not history:
        return logits
    seen = torch.tensor(sorted(set(history)))
    change = torch.where(logits[seen] > 0, 1 / penalty, penalty)
    return logits.index_copy(0, seen, logits[seen] * change)


def _nucleus(probabilities: Tensor, top_p: float) -> Tensor:
    """Zero all but the fewest likeliest whose sum reaches `top_p`."""
    ordered, ids = probabilities.sort(descending=True, stable=True)
    before = ordered.cumsum(-1) - ordered  # the sum of all that are likelier
    return probabilities.index_fill(0, ids[before >= top_p], 0)
