"""The engine with batches that are as simple as a test needs them."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from app.engine import MOST_STEPS, Engine
from app.errors import DeadlinePassed, QueueFull, ShuttingDown, WritingFailed
from app.writing import MOST_UNREAD, TOGETHER_S, Task, Writing
from model.sequence import Sequence
from tests.conftest import on_a_loop
from tests.stand_in_batch import Counting, Gate


class Heard:
    """What an observer is told."""

    def __init__(self) -> None:
        self.waits: list[float] = []
        self.firsts: list[float] = []
        self.turns: list[tuple[int, int]] = []

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def first_token(self, seconds: float) -> None:
        self.firsts.append(seconds)

    def advanced(self, sequences: int, tokens: int, seconds: float) -> None:
        assert seconds >= 0
        self.turns.append((sequences, tokens))


def task(batch: Counting, max_tokens: int = 5, stops: tuple[str, ...] = ()) -> Task:
    return Task(batch, Sequence([0]), lambda i: chr(ord("a") + i), max_tokens, stops)


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def engine(heard: Heard) -> Iterator[Engine]:
    engine = Engine(max_active=2, max_waiting=1, observer=heard)
    yield engine
    engine.close()


async def read(writing: Writing) -> dict[int, tuple[str, str | None]]:
    """Text and finish reason of each choice."""
    texts: dict[int, str] = {}
    reasons: dict[int, str | None] = {}
    async for delivery in writing:
        texts[delivery.choice] = texts.get(delivery.choice, "") + "".join(
            piece.text for piece in delivery.pieces
        )
        assert reasons.get(delivery.choice) is None, "something came after the end"
        reasons[delivery.choice] = delivery.finish_reason
    return {choice: (texts[choice], reasons[choice]) for choice in texts}


async def until(condition: Callable[[], object]) -> None:
    while not condition():  # noqa: ASYNC110 (the engine's thread does not tell)
        await asyncio.sleep(0.001)


async def written(engine: Engine, *tasks: Task) -> dict[int, tuple[str, str | None]]:
    return await read(engine.submit(tasks))


def test_writes_to_the_length_and_to_the_stop(engine: Engine) -> None:
    batch = Counting()
    result = on_a_loop(written(engine, task(batch), task(batch, 20, ("ef", "xyz"))))
    assert result == {0: ("abcde", "length"), 1: ("abcd", "stop")}


@pytest.mark.parametrize("stops", [(), ("ef", "xyz")])
def test_a_text_ends_at_its_end(engine: Engine, stops: tuple[str, ...]) -> None:
    """Though others draw on, and many tokens are drawn at once."""
    batch = Counting()
    ending = [replace(task(batch, most, stops), end_id=3) for most in (300, 4)]

    async def journey() -> None:
        writing = engine.submit([*ending, task(batch, 20)])
        found = await read(writing)
        assert found == {
            0: ("abc", "stop"),
            1: ("abc", "stop"),
            2: ("abcdefghijklmnopqrst", "length"),
        }
        assert [text.drawn for text in writing.texts] == [4, 4, 20]
        assert writing.texts[0].mean_logprob == -(1 + 2 + 3 + 4) / 4

    on_a_loop(journey())
    assert engine.load().tokens == 28


def test_held_back_text_comes_out_at_the_end(engine: Engine) -> None:
    result = on_a_loop(written(engine, task(Counting(), 5, ("def", "ez"))))
    assert result == {0: ("abcde", "length")}


def test_texts_of_a_run_are_written_together(engine: Engine, heard: Heard) -> None:
    batch = Counting()
    on_a_loop(written(engine, task(batch, 300), task(batch, 300)))
    assert len(batch.diary) == 300
    assert heard.turns[0] == (2, 2)  # the first token does not wait for others
    assert sum(tokens for _, tokens in heard.turns) == 600
    assert all(sequences == 2 and tokens <= 2 * MOST_STEPS for sequences, tokens in heard.turns)


def test_a_text_joins_and_leaves_between_two_steps(engine: Engine) -> None:
    gate = Gate()

    def slowly() -> None:  # so that a turn is one step
        gate()
        time.sleep(0.006)

    batch = Counting(before_step=slowly)

    async def journey() -> None:
        long = engine.submit([task(batch, 20)])
        gate.open()
        await until(lambda: long.drawn)
        short = engine.submit([task(batch, 3)])
        gate.open(100)
        assert await read(short) == {0: ("abc", "length")}
        assert await read(long) == {0: ("abcdefghijklmnopqrst", "length")}

    on_a_loop(journey())
    assert 20 <= gate.passed <= 22  # the short one's steps were the long one's as well


def test_runs_take_turns_by_time_and_not_by_tokens(engine: Engine) -> None:
    diary: list[str] = []
    quick = Counting("quick", diary, lambda: time.sleep(0.001))
    slow = Counting("slow", diary, lambda: time.sleep(0.02))

    async def both() -> None:
        await asyncio.gather(
            written(engine, task(quick, 200)), written(engine, task(slow, 1000)), cancel_later()
        )

    async def cancel_later() -> None:
        await asyncio.sleep(0.4)
        assert engine.load().runs == 2
        assert engine.load().fairness > 0.7
        for turns in list(engine._turns.values()):
            engine.cancel(list(turns.texts))
            for text in turns.texts:
                text.wake()

    async def run() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(both(), 0.6)

    on_a_loop(run())
    assert 5 <= diary.count("slow") <= 14  # half of 0.4 s
    assert diary.count("quick") > 8 * diary.count("slow")


def test_one_broken_run_harms_no_other(engine: Engine, heard: Heard) -> None:
    def breaks() -> None:
        if len(broken.diary) == 2:
            raise RuntimeError("no weights")

    broken, whole = Counting(before_step=breaks), Counting()

    async def both() -> list[object]:
        return await asyncio.gather(
            written(engine, task(broken)),
            written(engine, task(whole, 20)),
            return_exceptions=True,
        )

    first, second = on_a_loop(both())
    assert isinstance(first, WritingFailed)
    assert first.code == "writing_failed"
    assert second == {0: ("abcdefghijklmnopqrst", "length")}
    assert on_a_loop(written(engine, task(whole))) == {0: ("abcde", "length")}
    load = engine.load()
    assert (load.failed, load.finished, load.active, load.waiting) == (1, 2, 0, 0)
    assert len(heard.waits) == len(heard.firsts) == 3


def test_a_text_that_cannot_be_shown_harms_no_other(engine: Engine) -> None:
    def no_text(_: int) -> str:
        raise KeyError("no such token")

    batch = Counting()
    broken = Task(batch, Sequence([0]), no_text, 5, stops=("x",))

    async def both() -> list[object]:
        return await asyncio.gather(
            written(engine, broken), written(engine, task(batch, 20)), return_exceptions=True
        )

    first, second = on_a_loop(both())
    assert isinstance(first, WritingFailed)
    assert second == {0: ("abcdefghijklmnopqrst", "length")}


def test_a_full_queue_takes_nothing_of_a_request(engine: Engine) -> None:
    gate = Gate()
    batch = Counting(before_step=gate)

    async def fill() -> None:
        writing = engine.submit([task(batch, 1) for _ in range(3)])
        assert (engine.load().active, engine.load().waiting) == (2, 1)
        with pytest.raises(QueueFull) as refused:
            engine.submit([task(Counting())])
        assert refused.value.headers["Retry-After"]
        assert engine.load().refused == 1
        gate.open(10)
        assert len(await read(writing)) == 3

    on_a_loop(fill())
    assert engine.load().finished == 3
    with pytest.raises(QueueFull):
        on_a_loop(written(engine, *[task(Counting()) for _ in range(4)]))
    assert engine.load().tokens == 3


def test_closing_frees_the_place_within_one_step(engine: Engine) -> None:
    gate = Gate()
    batch = Counting(before_step=gate)

    async def leave() -> None:
        writing = engine.submit([task(batch, 1000) for _ in range(3)])
        gate.open()
        async for _ in writing:
            break
        writing.close()
        load = engine.load()
        assert (load.active, load.waiting, load.cancelled) == (0, 0, 3)

    on_a_loop(leave())
    gate.open(MOST_STEPS)  # the turn that was under way ends
    assert on_a_loop(written(engine, task(Counting()))) == {0: ("abcde", "length")}
    assert gate.passed <= 1 + MOST_STEPS


def test_a_text_closed_during_its_last_token_is_cancelled_once_and_not_finished(
    engine: Engine,
) -> None:
    async def journey() -> None:
        gate = Gate()
        writing = engine.submit([task(Counting(before_step=gate), max_tokens=1)])
        writing.close()
        writing.close()
        gate.open()
        await written(engine, task(Counting()))  # the thread is past the closed one's token

    on_a_loop(journey())
    load = engine.load()
    assert (load.cancelled, load.finished, load.active) == (1, 1, 0)


def test_a_slow_reader_waits_alone(engine: Engine) -> None:
    batch = Counting()
    batch_of_another = Counting()

    def at(i: int) -> str:
        return "ab"[i % 2]

    async def journey() -> None:
        slow = engine.submit([Task(batch, Sequence([0]), at, 10_000)])
        await until(lambda: engine.load().paused)
        ahead = slow.texts[0].unread
        assert MOST_UNREAD < ahead <= MOST_UNREAD + MOST_STEPS
        assert engine.load().active == 0
        assert await written(engine, task(batch), task(batch_of_another)) == {
            0: ("abcde", "length"),
            1: ("abcde", "length"),
        }
        assert slow.texts[0].unread == ahead
        assert await read(slow) == {0: ("ab" * 5000, "length")}

    on_a_loop(journey())
    assert engine.load().paused == 0


def test_a_slow_reader_that_leaves_is_forgotten(engine: Engine) -> None:
    async def journey() -> None:
        slow = engine.submit([Task(Counting(), Sequence([0]), lambda _: "a", 10_000)])
        await until(lambda: engine.load().paused)
        slow.close()

    on_a_loop(journey())
    assert (engine.load().paused, engine.load().cancelled) == (0, 1)


def test_time_is_up_in_the_middle_and_before_the_beginning(engine: Engine) -> None:
    gate = Gate()
    held = Counting(before_step=gate)
    slow = Counting(before_step=lambda: time.sleep(0.002))

    async def journey() -> None:
        short_of_time = engine.submit([task(slow, 10_000)], deadline_s=0.05)
        deliveries = [delivery async for delivery in short_of_time]
        assert (deliveries[-1].finish_reason, deliveries[-1].stop_reason) == ("length", "deadline")
        assert 5 < sum(len(delivery.pieces) for delivery in deliveries) <= 50
        full = engine.submit([task(held, 2), task(held, 2)])
        waiting = engine.submit([task(held)], deadline_s=0.02)
        await asyncio.sleep(0.03)
        gate.open(10)
        with pytest.raises(DeadlinePassed) as late:
            await read(waiting)
        assert late.value.headers["Retry-After"]
        assert len(await read(full)) == 2

    on_a_loop(journey())
    assert engine.load().expired == 2


def test_what_waits_hears_of_its_deadline_though_nothing_else_happens() -> None:
    engine = Engine(max_active=0, max_waiting=1, observer=Heard())

    async def wait() -> None:
        with pytest.raises(DeadlinePassed):
            await asyncio.wait_for(read(engine.submit([task(Counting())], deadline_s=0.02)), 5)

    on_a_loop(wait())
    engine.close()


def test_the_first_piece_comes_at_once_and_then_some_together(engine: Engine) -> None:
    batch = Counting(before_step=lambda: time.sleep(0.001))

    async def journey() -> None:
        began, times, sizes = time.monotonic(), [], []
        async for delivery in engine.submit([Task(batch, Sequence([0]), lambda _: "a", 150)]):
            times.append(time.monotonic() - began)
            sizes.append(len(delivery.pieces))
        assert sizes[0] <= 5
        gaps = [after - before for before, after in pairwise(times)]
        assert min(gaps) > TOGETHER_S * 0.9
        assert len(sizes) < 30

    on_a_loop(journey())


def test_shutdown_ends_every_text_with_an_error() -> None:
    engine = Engine(max_active=1, max_waiting=1, observer=Heard())
    gate = Gate()

    async def shut() -> None:
        writing = engine.submit([task(Counting(before_step=gate), 1000), task(Counting())])
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.05)
        gate.open(MOST_STEPS)
        with pytest.raises(ShuttingDown, match="shutting down"):
            async for _ in writing:
                pass
        await closing

    on_a_loop(shut())
    with pytest.raises(ShuttingDown, match="shutting down"):
        on_a_loop(written(engine, task(Counting())))


def test_the_engine_keeps_to_the_threads_it_was_given(engine: Engine) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        batch = Counting(before_step=lambda: seen.append(torch.get_num_threads()))
        on_a_loop(written(engine, task(batch, 1)))
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
