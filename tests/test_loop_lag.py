"""What tells how late the event loop is: on a real loop that is really held up."""

import asyncio
import time

from app.figures.loop_lag import Late, LoopLag
from tests.conftest import on_a_loop

HELD_UP_S = 0.2


def watched(hold_up) -> tuple[Late, list[Late]]:
    """What is known once `hold_up` has been called on the loop, and every look at it."""
    looks: list[Late] = []

    async def run() -> Late:
        async with LoopLag(looks.append) as lag:
            await asyncio.sleep(0.05)
            hold_up()
            await asyncio.sleep(0.05)
            return lag.worst()

    return on_a_loop(run()), looks


def test_a_loop_that_sleeps_is_late_and_has_not_worked() -> None:
    worst, looks = watched(lambda: time.sleep(HELD_UP_S))
    assert worst.lag_s > 0.75 * HELD_UP_S
    assert worst.blocked_s > 0.5 * HELD_UP_S
    assert worst.own_s < 0.5 * HELD_UP_S
    assert max(look.lag_s for look in looks) == worst.lag_s
    assert len(looks) > 2


def test_a_loop_that_works_is_late_by_its_own_work() -> None:
    def work() -> None:
        ends = time.thread_time() + HELD_UP_S
        while time.thread_time() < ends:
            pass

    worst, _ = watched(work)
    assert worst.own_s > 0.75 * HELD_UP_S
    assert worst.lag_s > 0.75 * HELD_UP_S


def test_nothing_is_known_before_the_first_look() -> None:
    assert LoopLag().worst() == Late(0.0, 0.0, 0.0)


def test_waiting_for_the_processor_is_not_being_held_up() -> None:
    worst, looks = watched(lambda: None)
    assert all(0 <= look.blocked_s <= look.lag_s for look in looks)
    assert worst.blocked_s <= worst.lag_s
