"""One axis of a figure: from values to places, with round ticks."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

STEPS = (1, 2, 2.5, 5, 10)
EPSILON = 1e-9


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` lie between the places `start` and `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def at(self, value: float) -> float:
        """The place of a value; beyond the ends for one outside."""
        low, high, here = self.low, self.high, value
        if self.logarithmic:
            low, high, here = math.log(low), math.log(high), math.log(value)
        return self.start + (here - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 6) -> list[float]:
        """Round values inside, about as many as `most` at most."""
        if self.logarithmic and self.high / self.low > 5:
            return [tick for tick in self._decades() if self.low <= tick <= self.high]
        step = _round_step((self.high - self.low) / most)
        first = math.ceil(self.low / step - EPSILON)
        last = math.floor(self.high / step + EPSILON)
        return [round(i * step, 12) for i in range(first, last + 1)]

    def _decades(self) -> Iterable[float]:
        decades = math.log10(self.high / self.low)
        digits = (1, 2, 5) if decades <= 3 else (1,)
        for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            yield from (digit * 10.0**power for digit in digits)


def roomy(values: Iterable[float], room: float) -> tuple[float, float]:
    """The lowest and the highest, with `room` as a share of their distance around them."""
    found = list(values)
    if not found:
        return 0.0, 1.0
    low, high = min(found), max(found)
    space = room * (high - low) or 0.1
    return low - space, high + space


def _round_step(least: float) -> float:
    """The smallest round number that is not below `least`."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(step * power for step in STEPS if step * power >= least * (1 - EPSILON))
