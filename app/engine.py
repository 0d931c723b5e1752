"""Many requests, one thread: every sequence writes one token in turn.

One thread keeps the models from fighting over cores and makes turns fair: a short text never
waits for a long one's end. The event loop only ever takes what is ready.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Literal, NamedTuple, Protocol

from app.errors import QueueFull, WritingFailed
from app.stop_strings import Piece, StopStrings
from model.decoding import Token
from model.tokenizer import TextDecoder

log = logging.getLogger("sidelight")

RETRY_AFTER_S = 2

FinishReason = Literal["length", "stop"]


class Writer(Protocol):
    """What draws the next token: `model.decoding.Decoder`."""

    def step(self) -> Token: ...


@dataclass
class Task:
    """One text to write."""

    writer: Writer
    token_text: Callable[[int], str]  # as a person sees it
    max_tokens: int
    stops: Sequence[str] = ()
    decoder: TextDecoder | None = None  # unless each token's text is what it adds to the text


class Delivery(NamedTuple):
    """What has become ready of the text number `choice`; the reason comes with its last pieces."""

    choice: int
    pieces: list[Piece]
    finish_reason: FinishReason | None


@dataclass(frozen=True)
class Load:
    """What the engine is doing, and has done since it started."""

    active: int
    waiting: int
    tokens: int
    finished: int
    cancelled: int
    failed: int


class Engine:
    """Writes at most `max_active` texts at once and lets `max_waiting` more wait."""

    def __init__(self, max_active: int, max_waiting: int) -> None:
        self._max_active, self._max_waiting = max_active, max_waiting
        self._changed = threading.Condition()
        self._active: list[_Sequence] = []
        self._waiting: deque[_Sequence] = deque()
        self._closing = False
        self._tokens = self._finished = self._cancelled = self._failed = 0
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def submit(self, tasks: Sequence[Task]) -> "Writing":
        """Begin `tasks`, all or none; to be called on an event loop. Raises QueueFull."""
        writing = Writing(self, tasks)
        with self._changed:
            if self._closing:
                raise QueueFull("the server is shutting down", RETRY_AFTER_S)
            places = self._max_active + self._max_waiting
            taken = len(self._active) + len(self._waiting)
            if taken + len(tasks) > places:
                message = (
                    f"{taken} of {places} places are taken and this request needs {len(tasks)}: "
                    f"try again in {RETRY_AFTER_S} seconds"
                )
                raise QueueFull(message, RETRY_AFTER_S)
            self._waiting.extend(writing.sequences)
            self._fill()
            self._changed.notify()
        return writing

    def cancel(self, sequences: Sequence["_Sequence"]) -> None:
        """Free their places now; a token that is being drawn is thrown away."""
        with self._changed:
            for sequence in sequences:
                if not (sequence.ended or sequence.cancelled):
                    sequence.cancelled = True
                    self._cancelled += 1
                    self._remove(sequence)

    def load(self) -> Load:
        with self._changed:
            return Load(
                active=len(self._active),
                waiting=len(self._waiting),
                tokens=self._tokens,
                finished=self._finished,
                cancelled=self._cancelled,
                failed=self._failed,
            )

    def close(self) -> None:
        """End every text with an error and the thread with it."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        for sequence in chain(self._active, self._waiting):
            sequence.end(None, "the server is shutting down")
            sequence.wake()
        self._active.clear()
        self._waiting.clear()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or self._active)
                if self._closing:
                    return
                turn = tuple(self._active)
            for sequence in turn:
                if not (sequence.cancelled or self._closing):
                    self._advance(sequence)

    def _advance(self, sequence: "_Sequence") -> None:
        reason: FinishReason | None = None
        failure: str | None = None
        try:
            reason = sequence.step()
        except Exception:
            log.exception("a sequence failed")
            failure = "the model failed while writing; the server's log says why"
        with self._changed:
            self._tokens += failure is None
            if (reason or failure) and not sequence.cancelled:
                self._finished += failure is None
                self._failed += failure is not None
                self._remove(sequence)  # first: whoever hears of the end finds the place free
                sequence.end(reason, failure)
        sequence.wake()

    def _fill(self) -> None:
        while self._waiting and len(self._active) < self._max_active:
            self._active.append(self._waiting.popleft())

    def _remove(self, sequence: "_Sequence") -> None:
        if sequence in self._active:
            self._active.remove(sequence)
        elif sequence in self._waiting:
            self._waiting.remove(sequence)
        self._fill()


class Writing:
    """The texts of one request, as they are written: `async for delivery in writing`."""

    def __init__(self, engine: Engine, tasks: Sequence[Task]) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._ready = asyncio.Event()
        self.sequences = [_Sequence(task, self._wake) for task in tasks]

    @property
    def drawn(self) -> int:
        """How many tokens have been drawn, those of a stop string among them."""
        return sum(sequence.drawn for sequence in self.sequences)

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        """Everything that is ready, whenever something is. Raises WritingFailed."""
        open_texts = dict(enumerate(self.sequences))
        while open_texts:
            await self._ready.wait()
            self._ready.clear()
            for index, sequence in list(open_texts.items()):
                # The end first: what was ready before it is then sure to be in `pieces`.
                ended = sequence.ended
                pieces = sequence.take()
                reason = sequence.finish_reason if ended else None
                if pieces or reason:
                    yield Delivery(index, pieces, reason)
                if ended:
                    del open_texts[index]
                    if sequence.failure:
                        raise WritingFailed(sequence.failure, code="writing_failed")

    def close(self) -> None:
        """Stop whatever is still being written."""
        self._engine.cancel(self.sequences)

    def _wake(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ready.set)
        except RuntimeError:  # the loop has ended, and with it whoever was listening
            log.debug("nobody is left to hear of a token")


@dataclass(eq=False)
class _Sequence:
    task: Task
    wake: Callable[[], None]
    drawn: int = 0
    ended: bool = False
    cancelled: bool = False
    finish_reason: FinishReason | None = None
    failure: str | None = None
    _ready: deque[Piece] = field(default_factory=deque)

    def __post_init__(self) -> None:
        self._stops = StopStrings(self.task.stops)

    def step(self) -> FinishReason | None:
        """Draw one token and hand out what may go; tells whether that was the last."""
        token = self.task.writer.step()
        self.drawn += 1
        is_last = self.drawn >= self.task.max_tokens
        shown = self.task.token_text
        top = [(shown(i), logprob) for i, logprob in token.top]
        piece = Piece(self._text(token.id, is_last), token.logprob, top, shown(token.id))
        self._ready.extend(self._stops.feed(piece))
        if self._stops.found:
            return "stop"
        if is_last:
            self._ready.extend(self._stops.flush())
            return "length"
        return None

    def _text(self, id: int, is_last: bool) -> str:
        """What the token adds to the text."""
        decoder = self.task.decoder
        if decoder is None:
            return self.task.token_text(id)
        return decoder.feed(id) + (decoder.flush() if is_last else "")

    def take(self) -> list[Piece]:
        return [self._ready.popleft() for _ in range(len(self._ready))]

    def end(self, reason: FinishReason | None, failure: str | None) -> None:
        self.finish_reason, self.failure = reason, failure
        self.ended = True
