"""How long what is worked out about a run may take: a limit of time, and until nobody waits for it.

Nothing can stop a thread from outside. So a loaded model asks before each of its layers whether it
is to go on; that is every few milliseconds, or for a large one a few tenths of a second.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from app.errors import ClientLeft, DeadlinePassed
from model.language_model import LanguageModel

RETRY_AFTER_S = 10


class Patience:
    """Of one request, from now on."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._until = seconds, time.monotonic() + seconds
        self._left = threading.Event()

    def end(self) -> None:
        """Nobody waits any more."""
        self._left.set()

    def require(self) -> None:
        """Raises ClientLeft or DeadlinePassed where it has come to an end."""
        if self._left.is_set():
            raise ClientLeft("the client has left")
        if time.monotonic() > self._until:
            message = (
                f"this takes longer than {self._seconds:g} seconds, which is all that it may: ask "
                "about a shorter text or for less at once, or try again when the server has less "
                "to do"
            )
            raise DeadlinePassed(message, RETRY_AFTER_S)


_current: ContextVar[Patience | None] = ContextVar("patience", default=None)


@contextmanager
def patient(patience: Patience | None) -> Iterator[None]:
    """Whatever model is asked in the block, and in threads that are begun from it, heeds it.

    None is for what others wait for as well.
    """
    before = _current.set(patience)
    try:
        yield
    finally:
        _current.reset(before)


def heed_patience(model: LanguageModel) -> None:
    """From now on the model stops where the patience of whoever asks has come to an end."""
    for part in (model, *getattr(model, "blocks", ())):
        part.register_forward_pre_hook(require_patience)


def require_patience(*_: object) -> None:
    """For what does not ask a model. Raises ClientLeft or DeadlinePassed."""
    if patience := _current.get():
        patience.require()
