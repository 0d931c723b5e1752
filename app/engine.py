"""Many requests, one thread: the texts of a run are written together, and runs take turns.

One thread keeps the models from fighting over cores. A turn is a few milliseconds of one run's
batch: long enough to be worth its while, short enough that whoever joins, leaves or waits for
another run hardly notices. The run that has had least of its fair share has the next one.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Protocol

from app.errors import (
    DeadlinePassed,
    EngineStopped,
    QueueFull,
    RequestError,
    Shortage,
    ShuttingDown,
    WritingFailed,
)
from app.shortages import shortage_of
from app.writing import FEW_UNREAD, MOST_UNREAD, TOGETHER_S, FinishReason, Task, Text, Writing
from model.batch import Batch
from model.sequence import Token

log = logging.getLogger("sidelight")

FAILED = "the model failed while writing; the server's log says why"
BROKEN = "its engine has failed, as the log says; start it again"
RETRY_AFTER_S = 2
TURN_S = 0.005
MOST_STEPS = 64
SHARES_OVER_S = 2.0  # how long an unequal turn is remembered
IDLE_S = 3600.0
LAST_TURN_S = 2.0  # a thread that takes longer ends with the process


class Observer(Protocol):
    """Hears what happens, from the engine's thread."""

    def waited(self, seconds: float) -> None: ...

    def first_token(self, seconds: float) -> None: ...

    def advanced(self, sequences: int, tokens: int, seconds: float) -> None: ...


@dataclass(frozen=True)
class Load:
    """What the engine is doing, and has done since it started."""

    active: int
    waiting: int
    paused: int  # until their readers have caught up
    runs: int
    fairness: float  # least of what a run gets over its fair share, 1 where all are even
    tokens: int
    finished: int
    cancelled: int
    expired: int
    failed: int
    refused: int  # requests that found no place


@dataclass(eq=False)
class _Turns:
    """A batch with work, and how its turns have been."""

    batch: Batch
    texts: list[Text] = field(default_factory=list)
    step_s: float = TURN_S  # what a step last took
    had_s: float = 0.0  # of late
    fair_s: float = 0.0  # what it should have had


class Engine:
    """Writes at most `max_active` texts at once and lets `max_waiting` more wait."""

    def __init__(
        self,
        max_active: int,
        max_waiting: int,
        observer: Observer,
        warm_up: Callable[[], None] = lambda: None,
    ) -> None:
        """`warm_up` is called by the engine's thread before it writes anything."""
        self._max_active, self._max_waiting = max_active, max_waiting
        self._observer, self._warm_up, self.is_warm = observer, warm_up, False
        self.trouble: str | None = None  # why nothing is written any more, if it is so
        self._changed = threading.Condition()
        self._turns: dict[Batch, _Turns] = {}
        self._waiting: deque[Text] = deque()
        self._paused: set[Text] = set()
        self._closing = self._refusing = False
        self._tokens = self._finished = self._cancelled = 0
        self._expired = self._failed = self._refused = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(
        self, tasks: Sequence[Task], deadline_s: float = IDLE_S, together_s: float = TOGETHER_S
    ) -> Writing:
        """Begin `tasks`, all or none; to be called on an event loop.

        Raises QueueFull, ShuttingDown and EngineStopped.

        What is not written `deadline_s` seconds from now ends where it is. What has become ready
        within `together_s` seconds is handed out together.
        """
        writing = Writing(self, tasks, time.monotonic() + deadline_s, together_s)
        with self._changed:
            if self.trouble:
                raise EngineStopped(self.trouble)
            if self._closing or self._refusing:
                raise ShuttingDown
            places = self._max_active + self._max_waiting
            taken = self._active() + len(self._waiting)
            if taken + len(tasks) > places:
                message = (
                    f"{taken} of {places} places are taken and this request needs {len(tasks)}: "
                    f"try again in {RETRY_AFTER_S} seconds"
                )
                self._refused += 1
                raise QueueFull(message, RETRY_AFTER_S)
            self._waiting.extend(writing.texts)
            self._fill()
            self._changed.notify()
        return writing

    def cancel(self, texts: Sequence[Text]) -> None:
        """Free their places now; what is being drawn is thrown away."""
        with self._changed:
            for text in texts:
                if not (text.ended or text.cancelled):
                    text.cancelled = True
                    self._cancelled += 1
                    self._remove(text)

    def resume(self, text: Text) -> None:
        """Go on with a text that had to wait for its reader, before those that have not begun."""
        with self._changed:
            if text in self._paused and text.unread <= FEW_UNREAD:
                self._paused.remove(text)
                text.paused = False
                self._waiting.appendleft(text)
                self._fill()
                self._changed.notify()

    def load(self) -> Load:
        with self._changed:
            return Load(
                active=self._active(),
                waiting=len(self._waiting),
                paused=len(self._paused),
                runs=len(self._turns),
                fairness=min((_share(turns) for turns in self._turns.values()), default=1.0),
                tokens=self._tokens,
                finished=self._finished,
                cancelled=self._cancelled,
                expired=self._expired,
                failed=self._failed,
                refused=self._refused,
            )

    def refuse(self) -> None:
        """Take no more texts, and end those that have not begun; the others go on."""
        with self._changed:
            self._refusing = True
            for text in [text for text in self._waiting if not text.drawn]:
                self._end(text, failure=ShuttingDown())

    def end_all(self) -> None:
        """End every text with ShuttingDown, and take no more."""
        with self._changed:
            self._refusing = True
            for text in list(self._all_texts()):
                self._end(text, failure=ShuttingDown())

    def close(self) -> None:
        """End every text, and the thread with its turn."""
        self.end_all()
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(LAST_TURN_S)

    # The engine's thread

    def _run(self) -> None:
        try:
            self._warm_up()
            self.is_warm = True
            while not self._closing:
                self._go_on()
        except BaseException:
            log.exception("the engine has failed")
            with self._changed:
                self.trouble, self.is_warm = BROKEN, False
                for text in list(self._all_texts()):
                    self._end(text, failure=EngineStopped(BROKEN))

    def _go_on(self) -> None:
        """Take a turn or wait for one; whose it was is forgotten, or their models would stay."""
        with self._changed:
            self._expire()
            if not (self._closing or self._turns):
                self._changed.wait(self._until_deadline())
            if self._closing or not self._turns:
                return
            turns = min(self._turns.values(), key=lambda turns: turns.had_s - turns.fair_s)
            texts = tuple(turns.texts)
        self._take_turn(turns, texts)

    def _take_turn(self, turns: _Turns, texts: Sequence[Text]) -> None:
        began = time.perf_counter()
        try:
            _seat(turns.batch, texts)
            steps = _steps(turns, texts)
            written = _written(turns.batch, steps)
        except Exception as error:
            log.exception("a batch failed")
            _seat(turns.batch, ())
            with self._changed:
                for text in texts:
                    self._end(text, failure=_failure(error))
            return
        took_s = time.perf_counter() - began
        turns.step_s = took_s / steps
        self._hand_out(texts, written)
        self._observer.advanced(len(texts), steps * len(texts), took_s)
        with self._changed:
            self._share_out(turns, took_s)

    def _hand_out(self, texts: Sequence[Text], written: dict[int, list[Token]]) -> None:
        for text in texts:
            if text.cancelled or text.ended:
                continue
            is_first, before = text.drawn == 0, text.drawn
            reason, failure = None, None
            try:
                reason = text.add(written[id(text.task.sequence)])
            except Exception as error:
                log.exception("a text failed")
                failure = _failure(error)
            if is_first:
                self._observer.first_token(time.monotonic() - text.asked)
            with self._changed:
                self._tokens += text.drawn - before
                if reason or failure:
                    self._end(text, reason, failure)
                elif text.unread > MOST_UNREAD and not text.cancelled:
                    self._remove(text)
                    text.paused = True
                    self._paused.add(text)
            text.wake()

    # With the lock held

    def _share_out(self, turned: _Turns, took_s: float) -> None:
        """Note who has had the time and who should have, and let what is long ago fade."""
        fades = max(0.0, 1 - took_s / SHARES_OVER_S)
        for turns in self._turns.values():
            turns.had_s = turns.had_s * fades + (took_s if turns is turned else 0.0)
            turns.fair_s = turns.fair_s * fades + took_s / len(self._turns)

    def _expire(self) -> None:
        """End what is past its deadline: where it is, or with an error if it is nowhere yet."""
        now = time.monotonic()
        for text in [text for text in self._all_texts() if text.deadline <= now]:
            self._expired += 1
            if text.drawn:
                text.flush()
                text.stop_reason = "deadline"
                self._end(text, "length")
            else:
                message = (
                    "max_time: the time was up before the first token; allow more, or try later"
                )
                self._end(text, failure=DeadlinePassed(message, RETRY_AFTER_S))

    def _until_deadline(self) -> float:
        """Seconds until the next deadline of a text that nothing else would look at."""
        deadlines = [text.deadline for text in chain(self._waiting, self._paused)]
        return max(0.0, min(deadlines, default=time.monotonic() + IDLE_S) - time.monotonic())

    def _end(
        self, text: Text, reason: FinishReason | None = None, failure: RequestError | None = None
    ) -> None:
        if text.ended or text.cancelled:
            return
        self._finished += failure is None
        self._failed += isinstance(failure, (WritingFailed, EngineStopped, Shortage))
        self._remove(text)  # first: whoever hears of the end finds the place free
        text.finish_reason, text.failure = reason, failure
        text.ended = True
        text.wake()

    def _fill(self) -> None:
        while self._waiting and self._active() < self._max_active:
            text = self._waiting.popleft()
            self._turns.setdefault(text.task.batch, _Turns(text.task.batch)).texts.append(text)
            if not text.drawn:
                self._observer.waited(time.monotonic() - text.asked)

    def _remove(self, text: Text) -> None:
        turns = self._turns.get(text.task.batch)
        if turns and text in turns.texts:
            turns.texts.remove(text)
            if not turns.texts:
                del self._turns[text.task.batch]
        elif text in self._paused:
            self._paused.remove(text)
        elif text in self._waiting:
            self._waiting.remove(text)
        self._fill()

    def _active(self) -> int:
        return sum(len(turns.texts) for turns in self._turns.values())

    def _all_texts(self) -> Iterator[Text]:
        active = chain.from_iterable(turns.texts for turns in self._turns.values())
        return chain(active, self._waiting, self._paused)


def _failure(error: Exception) -> RequestError:
    return shortage_of(error) or WritingFailed(FAILED, code="writing_failed")


def _seat(batch: Batch, texts: Sequence[Text]) -> None:
    """Let the batch have just the sequences of `texts`."""
    wanted = [text.task.sequence for text in texts]
    there = batch.sequences
    for sequence in there:
        if sequence not in wanted:
            batch.leave(sequence)
    for sequence in wanted:
        if sequence not in there:
            batch.join(sequence)


def _steps(turns: _Turns, texts: Sequence[Text]) -> int:
    """As many as make a turn; one where somebody has nothing yet, and none past an end."""
    if any(text.drawn == 0 for text in texts):
        return 1
    fitting = int(TURN_S / turns.step_s) if turns.step_s > 0 else MOST_STEPS
    return max(1, min(fitting, MOST_STEPS, *(text.left for text in texts)))


def _written(batch: Batch, steps: int) -> dict[int, list[Token]]:
    """What each sequence, by its identity, has become longer by."""
    sequences = batch.sequences
    return dict(zip(map(id, sequences), batch.advance(steps), strict=True))


def _share(turns: _Turns) -> float:
    """Of its fair one; who has only just come has had nothing yet."""
    return min(1.0, turns.had_s / turns.fair_s) if turns.fair_s > 4 * TURN_S else 1.0
