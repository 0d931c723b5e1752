"""Server-sent events that end when the client leaves."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from fastapi.sse import format_sse_event
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

DONE = b"data: [DONE]\n\n"

Result = TypeVar("Result")


def event(data: Any) -> bytes:
    """One event with `data` as JSON on a single line."""
    return format_sse_event(data_str=json.dumps(data, ensure_ascii=False, separators=(",", ":")))


class EventStream(StreamingResponse):
    """Sends `events`, and awaits `close` however it ends: done, failed, or the client left.

    `close` runs even when no event was ever asked for, which a generator's own `finally` does not.
    """

    media_type = "text/event-stream"

    def __init__(
        self, events: AsyncGenerator[bytes, None], close: Callable[[], Awaitable[None]]
    ) -> None:
        # A proxy that buffers would turn a stream into one late answer.
        super().__init__(events, headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"})
        self._events, self._close = events, close

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        try:
            with suppress(ClientDisconnect):
                await unless_client_leaves(receive, self.stream_response(send))
        finally:
            await asyncio.shield(self._end())

    async def _end(self) -> None:
        await self._events.aclose()
        await self._close()


async def unless_client_leaves(receive: Receive, work: Coroutine[Any, Any, Result]) -> Result:
    """The result of `work`, cancelled and replaced by ClientDisconnect if the client leaves."""
    working = asyncio.create_task(work)
    watching = asyncio.create_task(_until_client_leaves(receive))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_client_leaves(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
