"""A text that is being written: what is there, and how it goes on."""

import random
from collections.abc import Sequence as Ids
from dataclasses import dataclass, field
from typing import Literal

from model.sampling import Sampling

PastContext = Literal["exact", "jump"]


@dataclass
class Token:
    """A token with its log-probability, and the likeliest ones there with theirs, best first.

    Logarithms are natural, and of the model's own distribution, before temperature and filters.
    """

    id: int
    logprob: float
    top: list[tuple[int, float]] = field(default_factory=list)


class Sequence:
    """The ids so far, and all that decides the next: it may change batches between two tokens.

    Each token takes one number from `random`, so the same seed gives the same text. What the model
    sees past its context is the last `block_size` tokens (`exact`), or, if the caller wants speed
    and other text, a window that is filled up and then jumps ahead by half its length (`jump`).
    """

    def __init__(
        self,
        ids: Ids[int],
        sampling: Sampling | None = None,
        alternatives: int = 0,
        past_context: PastContext = "exact",
    ) -> None:
        """Raises ValueError without any ids."""
        if not ids:
            raise ValueError("there must be at least one token to go on from")
        self.ids = list(ids)
        self._prompt = len(self.ids)
        self.sampling = sampling or Sampling()
        self.alternatives = alternatives
        self.past_context: PastContext = past_context
        self.random = random.Random(self.sampling.seed)

    @property
    def written(self) -> list[int]:
        """The ids that came after those that it began with."""
        return self.ids[self._prompt :]

    def seen(self, context: int) -> int:
        """How many of the last ids a model with that context looks at for the next one."""
        if self.past_context == "exact":
            return min(len(self.ids), context)
        shortest = max(context // 2, 1)
        count = min(self._prompt, context) + len(self.ids) - self._prompt
        if count <= context:
            return count
        return shortest + (count - context - 1) % (context + 1 - shortest)
