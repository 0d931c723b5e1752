"""A server that is told to stop: known at once to all who keep somebody waiting.

First nothing new is taken on, then texts may still come to their end for a while, and at last
whatever is left is told that it will get no answer.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ShuttingDown
from app.sse import event

LAST_WORDS_S = 1.0  # for streams to be read to their end, before what is left is cut off

# They tell whoever asks that the server stops.
ALWAYS_ANSWERED = ("/healthz", "/readyz", "/metrics")


class Stopping:
    """Only for the event loop: nothing here is locked."""

    def __init__(self, grace_s: float) -> None:
        """`grace_s`: how long what has begun may go on."""
        self.begun = self.cutting_off = False
        self.grace_s = grace_s
        self._first: list[Callable[[], None]] = []
        self._then: list[Callable[[], None]] = []
        self.answering: set[asyncio.Task[object]] = set()

    def when_begun(self, call: Callable[[], None]) -> None:
        """`call` must return at once."""
        self._first.append(call)

    def when_time_is_up(self, call: Callable[[], None]) -> None:
        self._then.append(call)

    def begin(self) -> None:
        """Told to stop."""
        if self.begun:
            return
        self.begun = True
        for call in self._first:
            call()
        loop = asyncio.get_running_loop()
        for call in self._then:
            loop.call_later(self.grace_s, call)
        loop.call_later(self.grace_s + LAST_WORDS_S, self._cut_off)

    def _cut_off(self) -> None:
        """What still works is not waited for: a thread ends with the process."""
        self.cutting_off = True
        for task in self.answering:
            task.cancel()


class UntilStopped:
    """Lets a request through until the server stops, and until its time is up then."""

    def __init__(self, app: ASGIApp, stopping: Stopping) -> None:
        self.app, self._stopping = app, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in ALWAYS_ANSWERED:
            return await self.app(scope, receive, send)
        if self._stopping.begun:
            return await _refusal()(scope, receive, send)
        started = is_stream = False

        async def note(message: Message) -> None:
            nonlocal started, is_stream
            started = True
            if message["type"] == "http.response.start":
                is_stream = _is_event_stream(message)
            await send(message)

        task = asyncio.current_task()
        assert task is not None
        self._stopping.answering.add(task)
        try:
            await self.app(scope, receive, note)
        except asyncio.CancelledError:
            if not self._stopping.cutting_off:
                raise
            task.uncancel()
            if not started:
                await _refusal()(scope, receive, send)
            elif is_stream:  # of a replica, or read so slowly that there was no room for its end
                with suppress(TimeoutError):
                    async with asyncio.timeout(LAST_WORDS_S / 2):
                        last = {"type": "http.response.body", "body": event(ShuttingDown().body())}
                        await send(last)
        finally:
            self._stopping.answering.discard(task)


def _is_event_stream(start: Message) -> bool:
    headers = Headers(raw=start["headers"])
    return headers.get("content-type", "").startswith("text/event-stream")


def _refusal() -> JSONResponse:
    error = ShuttingDown()
    return JSONResponse(error.body(), ShuttingDown.status, error.headers)
