"""From logits to the next id."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Applied in this order; the defaults change nothing.

    `repetition_penalty` divides the positive logits of tokens already there and multiplies the
    negative ones (Keskar et al. 2019, CTRL). `temperature` divides all; 0 takes the likeliest.
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


class Sampler:
    """Draws ids with a generator of its own, so nothing else changes what it draws."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._generator = torch.Generator()
        if sampling.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(sampling.seed)

    def draw(self, logits: Tensor, history: Sequence[int] = ()) -> int:
        """logits (V,) on the CPU -> the next id; `history` is what is there already."""
        if self.sampling.temperature == 0:
            return int(penalised(logits, history, self.sampling.repetition_penalty).argmax())
        probabilities = distribution(logits, self.sampling, history)
        return int(torch.multinomial(probabilities, 1, generator=self._generator))


def distribution(logits: Tensor, sampling: Sampling, history: Sequence[int] = ()) -> Tensor:
    """logits (V,) -> the probabilities (V,) that the next id is drawn from; temperature above 0."""
    logits = penalised(logits.float(), history, sampling.repetition_penalty)
    logits = logits / sampling.temperature
    if sampling.top_k is not None and sampling.top_k < len(logits):
        smallest = logits.topk(sampling.top_k).values[-1]
        logits = logits.masked_fill(logits < smallest, -torch.inf)
    probabilities = logits.softmax(-1)
    if sampling.top_p is not None and sampling.top_p < 1:
        probabilities = _nucleus(probabilities, sampling.top_p)
    if sampling.min_p:
        too_small = probabilities < sampling.min_p * probabilities.max()
        probabilities = probabilities.masked_fill(too_small, 0)
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
