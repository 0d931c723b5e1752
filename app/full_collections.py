"""Keeps Python's full collections short and few: nothing else runs while one looks at everything.

Few, since what a request held is in no circle and goes with it. Short, since what `gc.freeze` has
set aside is not looked at again. It still goes as soon as nothing refers to it, but for what refers
to itself in a circle, which then stays for good: so this is done a few times only, ever more
seldom, and right after a collection.
"""

import gc
import time
from collections.abc import Callable
from functools import cache
from typing import Any, Self

FIRST_S = 10.0
MIDDLE_BEFORE_FULL = 60  # collections of what is not new any more; by default they are ten


@cache
def set_aside(_moment: str) -> None:
    """All that there is by now, mostly what was imported; only once at each moment in a process."""
    gc.freeze()


class FullCollections:
    """Makes them few from now on, and while the `with` block lasts sets aside what is found in use.

    The first time is after ten seconds, and each other when twice as long has gone by: caches,
    models and figures come with the first requests of their kind.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        freeze: Callable[[], None] = gc.freeze,
    ) -> None:
        self._clock, self._freeze = clock, freeze

    def __enter__(self) -> Self:
        self._since = self._clock()
        self._next_s = FIRST_S
        gc.set_threshold(*gc.get_threshold()[:2], MIDDLE_BEFORE_FULL)
        gc.callbacks.append(self._heard)
        return self

    def __exit__(self, *_: object) -> None:
        gc.callbacks.remove(self._heard)

    def _heard(self, phase: str, info: dict[str, Any]) -> None:
        if phase == "start" or info["generation"] < 2:
            return
        passed_s = self._clock() - self._since
        if passed_s >= self._next_s:
            self._next_s = 2 * passed_s
            self._freeze()
