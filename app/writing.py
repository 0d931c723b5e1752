"""Texts between the engine that writes them and whoever reads them.

The engine's thread puts tokens in, the event loop takes out what has become of them.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from app.errors import RequestError
from app.stop_strings import Piece, StopStrings
from model.batch import Batch
from model.sequence import Sequence as TokenSequence
from model.sequence import Token
from model.tokenizer import TextDecoder

log = logging.getLogger("sidelight")

FinishReason = Literal["length", "stop"]
StopReason = Literal["deadline"]

# An event costs more than the few characters that are ready after a millisecond, and nobody sees
# letters come more often than a screen is drawn.
TOGETHER_S = 0.015
MOST_UNREAD = 1024  # tokens that a text may be ahead of its reader
FEW_UNREAD = MOST_UNREAD // 4


@dataclass
class Task:
    """One text to write."""

    batch: Batch  # that of the run's model
    sequence: TokenSequence
    token_text: Callable[[int], str]  # as a person sees it
    max_tokens: int
    stops: Sequence[str] = ()
    decoder: TextDecoder | None = None  # unless each token's text is what it adds to the text
    end_id: int | None = None  # the token that ends the text, and adds nothing to it


class Delivery(NamedTuple):
    """What has become ready of the text number `choice`; the reason comes with its last pieces."""

    choice: int
    pieces: list[Piece]
    finish_reason: FinishReason | None = None
    stop_reason: StopReason | None = None


class Engine(Protocol):
    """Who writes, as far as a reader needs it."""

    def cancel(self, texts: Sequence["Text"]) -> None: ...

    def resume(self, text: "Text") -> None: ...


class Text:
    """One text: the tokens that are drawn, and the pieces that may be read.

    Stop strings have to be looked for where the tokens are drawn; without any, tokens become
    pieces when they are read, so that the engine has no work with it.
    """

    def __init__(self, task: Task, deadline: float, wake: Callable[[], None]) -> None:
        """`deadline` is on the monotonic clock."""
        self.task, self.deadline, self.wake = task, deadline, wake
        self.asked = time.monotonic()
        self.drawn = 0
        self.logprob = 0.0  # of all that are drawn
        self.ended = self.cancelled = self.paused = False
        self.finish_reason: FinishReason | None = None
        self.stop_reason: StopReason | None = None
        self.failure: RequestError | None = None
        self._stops = StopStrings(task.stops) if task.stops else None
        self._tokens: deque[tuple[Token, bool]] = deque()
        self._pieces: deque[Piece] = deque()
        self._begun: list[Piece] = []

    @property
    def left(self) -> int:
        """How many tokens may still be drawn."""
        return self.task.max_tokens - self.drawn

    @property
    def mean_logprob(self) -> float:
        """Of each token that is drawn; for a text that has any."""
        return self.logprob / self.drawn

    @property
    def unread(self) -> int:
        return len(self._tokens) + len(self._pieces)

    def add(self, tokens: Sequence[Token]) -> FinishReason | None:
        """Take what was drawn; tells whether the text ends with it. For the engine's thread."""
        for token in tokens:
            self.drawn += 1
            self.logprob += token.logprob
            at_end = token.id == self.task.end_id
            is_last = at_end or self.drawn >= self.task.max_tokens
            if self._stops is None:
                self._tokens.append((token, is_last))
            else:
                self._pieces.extend(self._stops.feed(self._piece(token, is_last)))
                if self._stops.found:
                    return "stop"
            if is_last:
                self.flush()
                return "stop" if at_end else "length"
        return None

    def flush(self) -> None:
        """Let go of what might have become a stop string."""
        if self._stops is not None:
            self._pieces.extend(self._stops.flush())

    def take(self, *, ended: bool) -> list[Piece]:
        """All that is ready; what only begins a character waits for its end. For the event loop."""
        pieces = [self._pieces.popleft() for _ in range(len(self._pieces))]
        tokens = [self._tokens.popleft() for _ in range(len(self._tokens))]
        found = self._begun + pieces + [self._piece(*token) for token in tokens]
        whole = max((count for count, piece in enumerate(found, 1) if piece.text), default=0)
        free = len(found) if ended else whole
        self._begun = found[free:]
        return found[:free]

    def _piece(self, token: Token, is_last: bool) -> Piece:
        shown, decoder = self.task.token_text, self.task.decoder
        text = ""
        if token.id != self.task.end_id:
            text = decoder.feed(token.id) if decoder else shown(token.id)
        if decoder and is_last:
            text += decoder.flush()
        top = [(shown(id), logprob) for id, logprob in token.top]
        return Piece(text, token.logprob, top, shown(token.id))


class Writing:
    """The texts of one request, as they are written: `async for delivery in writing`."""

    def __init__(
        self, engine: Engine, tasks: Sequence[Task], deadline: float, together_s: float
    ) -> None:
        self._engine, self._together_s = engine, together_s
        self._bell = Bell()
        self.texts = [Text(task, deadline, self._bell.ring) for task in tasks]

    @property
    def drawn(self) -> int:
        """How many tokens have been drawn, those of a stop string and of an end among them."""
        return sum(text.drawn for text in self.texts)

    @property
    def ending(self) -> str:
        """How the texts have ended, in a word for each that fits one."""
        return " ".join(sorted({_ending(text) for text in self.texts})) or "length"

    async def __aiter__(self) -> AsyncIterator[Delivery]:
        """Everything that is ready, at once at first and then what comes within `together_s`.

        Raises RequestError for a text that cannot go on.
        """
        open_texts, before = dict(enumerate(self.texts)), 0.0
        while open_texts:
            await self._bell.rung()
            await asyncio.sleep(max(0.0, before + self._together_s - time.monotonic()))
            before = time.monotonic()
            self._bell.still()
            for index, text in list(open_texts.items()):
                # The end first: what was ready before it is then sure to be in `pieces`.
                ended = text.ended
                pieces = text.take(ended=ended)
                if text.paused:
                    self._engine.resume(text)
                if ended:
                    yield Delivery(index, pieces, text.finish_reason, text.stop_reason)
                    del open_texts[index]
                    if text.failure:
                        raise text.failure
                elif pieces:
                    yield Delivery(index, pieces)

    def close(self) -> None:
        """Stop whatever is still being written."""
        self._engine.cancel(self.texts)


class Bell:
    """Tells the event loop that a text has something to take.

    It knows nothing of the texts: what refers to itself in a circle stays until Python looks for
    such, and with a text stays its model.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._rung = asyncio.Event()
        self._pulled = threading.Event()

    def ring(self) -> None:
        """From the engine's thread; once is enough until the event loop has looked."""
        if self._pulled.is_set():
            return
        self._pulled.set()
        try:
            self._loop.call_soon_threadsafe(self._rung.set)
        except RuntimeError:  # the loop has ended, and with it whoever was listening
            log.debug("nobody is left to hear of a token")

    async def rung(self) -> None:
        """Wait until it has been."""
        await self._rung.wait()

    def still(self) -> None:
        """From now on it has not been; before the texts are looked at, or one would be missed."""
        self._pulled.clear()
        self._rung.clear()


def _ending(text: Text) -> str:
    if text.cancelled:
        return "cancelled"
    if text.failure:
        return text.failure.code or "failed"
    return text.stop_reason or text.finish_reason or "unfinished"
