"""How late the event loop comes to what is due: whatever holds it up makes every client wait.

A task sleeps in small steps and looks how late it is woken. A busy machine alone makes it late, so
two more things are told apart: for how long we held it up, whether by work on the loop, by threads
that kept the interpreter or by a lock; and what the loop's own thread worked.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, Self

STEP_S = 0.01  # what is shorter than this may be missed
WORST_OVER_S = 60
SCHEDULED = Path("/proc/thread-self/schedstat")  # on Linux


class Late(NamedTuple):
    """Seconds that the loop was late; of these, those that we held it up; and what it worked.

    The last is from one look to the next, so that it may be a step more than the others.
    """

    lag_s: float
    blocked_s: float
    own_s: float


class LoopLag:
    """Watches the running event loop while the `async with` block lasts.

    `heard` is told of every look.
    """

    def __init__(self, heard: Callable[[Late], None] = lambda _: None) -> None:
        self._heard = heard
        self._seconds: deque[tuple[int, Late]] = deque(maxlen=WORST_OVER_S)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    def worst(self) -> Late:
        """The most of each over the last minute; they need not be of the same moment."""
        since = time.monotonic() - WORST_OVER_S
        recent = [late for second, late in tuple(self._seconds) if second >= since]
        return Late(*map(max, zip(*recent, strict=True))) if recent else Late(0.0, 0.0, 0.0)

    async def _watch(self) -> None:
        while True:
            began, waited, worked = time.monotonic(), _waited(), time.thread_time()
            await asyncio.sleep(STEP_S)
            now = time.monotonic()
            lag = max(0.0, now - began - STEP_S)
            blocked = max(0.0, lag - (_waited() - waited))
            late = Late(lag, blocked, time.thread_time() - worked)
            self._heard(late)
            self._note(int(now), late)

    def _note(self, second: int, late: Late) -> None:
        if self._seconds and self._seconds[-1][0] == second:
            most = map(max, zip(self._seconds[-1][1], late, strict=True))
            self._seconds[-1] = (second, Late(*most))
        else:
            self._seconds.append((second, late))


def _waited() -> float:
    """Seconds that this thread could have run and others did; always 0 where nobody counts them."""
    try:
        return int(SCHEDULED.read_bytes().split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
