"""The engine with writers that are as simple as a test needs them."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import torch

from app.engine import Engine, Task
from app.errors import QueueFull, WritingFailed
from model.decoding import Token


class Counter:
    """Writes 0, 1, 2, …, and notes each step in a diary that several may share."""

    def __init__(self, name: str = "", diary: list[str] | None = None) -> None:
        self.name, self.diary, self.next = name, diary if diary is not None else [], 0

    def step(self) -> Token:
        self.diary.append(self.name)
        self.next += 1
        return Token(self.next - 1, -float(self.next))


class Gate(Counter):
    """Waits before each step until it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = threading.Semaphore(0)

    def step(self) -> Token:
        assert self.opened.acquire(timeout=10)
        return super().step()


class Broken(Counter):
    def step(self) -> Token:
        if self.next == 2:
            raise RuntimeError("no weights")
        return super().step()


def task(writer: Counter, max_tokens: int = 5, stops: tuple[str, ...] = ()) -> Task:
    return Task(writer, lambda i: chr(ord("a") + i), max_tokens, stops)


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine(max_active=2, max_waiting=1)
    yield engine
    engine.close()


async def written(engine: Engine, *tasks: Task) -> dict[int, tuple[str, str | None]]:
    """Text and finish reason of each choice."""
    texts: dict[int, str] = {}
    reasons: dict[int, str | None] = {}
    async for delivery in engine.submit(tasks):
        texts[delivery.choice] = texts.get(delivery.choice, "") + "".join(
            piece.text for piece in delivery.pieces
        )
        assert reasons.get(delivery.choice) is None, "something came after the end"
        reasons[delivery.choice] = delivery.finish_reason
    return {choice: (texts[choice], reasons[choice]) for choice in texts}


def test_writes_to_the_length_and_to_the_stop(engine: Engine) -> None:
    result = asyncio.run(written(engine, task(Counter()), task(Counter(), 20, ("ef", "xyz"))))
    assert result == {0: ("abcde", "length"), 1: ("abcd", "stop")}


def test_held_back_text_comes_out_at_the_end(engine: Engine) -> None:
    result = asyncio.run(written(engine, task(Counter(), 5, ("def", "ez"))))
    assert result == {0: ("abcde", "length")}


def test_turns_are_fair(engine: Engine) -> None:
    diary: list[str] = []
    first, second = Counter("1", diary), Counter("2", diary)
    asyncio.run(written(engine, task(first, 50), task(second, 50)))
    assert diary == ["1", "2"] * 50


def test_one_broken_sequence_harms_no_other(engine: Engine) -> None:
    async def both() -> list[object]:
        return await asyncio.gather(
            written(engine, task(Broken())),
            written(engine, task(Counter(), 20)),
            return_exceptions=True,
        )

    broken, whole = asyncio.run(both())
    assert isinstance(broken, WritingFailed)
    assert broken.code == "writing_failed"
    assert whole == {0: ("abcdefghijklmnopqrst", "length")}
    assert asyncio.run(written(engine, task(Counter()))) == {0: ("abcde", "length")}
    load = engine.load()
    assert (load.failed, load.finished, load.active, load.waiting) == (1, 2, 0, 0)
    assert load.tokens == 2 + 20 + 5


def test_a_full_queue_takes_nothing_of_a_request(engine: Engine) -> None:
    gates = [Gate() for _ in range(3)]

    async def fill() -> None:
        writing = engine.submit([task(gate, 1) for gate in gates])
        assert (engine.load().active, engine.load().waiting) == (2, 1)
        with pytest.raises(QueueFull) as refused:
            engine.submit([task(Counter())])
        assert refused.value.headers["Retry-After"]
        for gate in gates:
            gate.opened.release()
        assert len([delivery async for delivery in writing]) == 3

    asyncio.run(fill())
    assert engine.load().finished == 3
    with pytest.raises(QueueFull):
        asyncio.run(written(engine, *[task(Counter()) for _ in range(4)]))
    assert engine.load().tokens == 3


def test_closing_frees_the_place_within_one_token(engine: Engine) -> None:
    gates = [Gate(), Gate(), Gate()]

    async def leave() -> None:
        writing = engine.submit([task(gate, 1000) for gate in gates])
        gates[0].opened.release()
        async for _ in writing:
            break
        writing.close()
        load = engine.load()
        assert (load.active, load.waiting, load.cancelled) == (0, 0, 3)

    asyncio.run(leave())
    for gate in gates:
        gate.opened.release(10)
    assert asyncio.run(written(engine, task(Counter()))) == {0: ("abcde", "length")}
    assert sum(gate.next for gate in gates) <= 3  # the one that was being drawn, and no more


def test_a_text_closed_during_its_last_token_is_cancelled_once_and_not_finished(
    engine: Engine,
) -> None:
    async def journey() -> None:
        gate = Gate()
        writing = engine.submit([task(gate, max_tokens=1)])
        writing.close()
        writing.close()
        gate.opened.release()
        await written(engine, task(Counter()))  # the thread is past the closed one's token

    asyncio.run(journey())
    load = engine.load()
    assert (load.cancelled, load.finished, load.active) == (1, 1, 0)


def test_shutdown_ends_every_text_with_an_error() -> None:
    engine = Engine(max_active=1, max_waiting=1)
    gate = Gate()

    async def shut() -> None:
        writing = engine.submit([task(gate, 1000), task(Counter())])
        closing = asyncio.create_task(asyncio.to_thread(engine.close))
        await asyncio.sleep(0.05)
        gate.opened.release()
        with pytest.raises(WritingFailed, match="shutting down"):
            async for _ in writing:
                pass
        await closing

    asyncio.run(shut())
    with pytest.raises(QueueFull, match="shutting down"):
        asyncio.run(written(engine, task(Counter())))


def test_the_engine_keeps_to_the_threads_it_was_given(engine: Engine) -> None:
    seen: list[int] = []

    class Asking(Counter):
        def step(self) -> Token:
            seen.append(torch.get_num_threads())
            return super().step()

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        asyncio.run(written(engine, task(Asking(), 1)))
    finally:
        torch.set_num_threads(before)
    assert seen == [1]
