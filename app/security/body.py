"""How much of a request is read, and how long is waited for it."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooLarge, BodyTooSlow, TooManyValues

# Each value of a JSON body becomes an object while the event loop waits: there is a comma between
# two, and a text may consist of nothing else.
MOST_COMMAS = 210_000


class BodyLimit:
    """Stops reading a request body that is longer than `limit` bytes, announced or not.

    It may take `seconds`, and one more for each `bytes_per_second` that have come. `larger` has
    other limits, by method and path.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit: int,
        larger: Mapping[tuple[str, str], int] | None = None,
        seconds: float = 30.0,
        bytes_per_second: int = 5000,
    ) -> None:
        self.app, self.limit, self.larger = app, limit, larger or {}
        self._seconds, self._bytes_per_second = seconds, bytes_per_second

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.larger.get((scope["method"], scope["path"]), self.limit)
        is_json = (scope["method"], scope["path"]) not in self.larger
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and int(announced[:20]) > limit
        body = _Body(receive, limit, is_json, self._seconds, self._bytes_per_second)

        async def receive_within_limit() -> Message:
            if too_large:
                raise BodyTooLarge(limit)
            return await body.receive()

        await self.app(scope, receive_within_limit, send)


@dataclass
class _Body:
    """One request's."""

    from_client: Receive
    limit: int
    is_json: bool
    seconds: float
    bytes_per_second: int
    read: int = 0
    commas: int = 0
    waited_s: float = 0.0
    is_whole: bool = field(default=False)

    async def receive(self) -> Message:
        """The next of it, or, once it is whole, that the client has left."""
        if self.is_whole:
            return await self.from_client()
        allowed_s = self.seconds + self.read / self.bytes_per_second
        began = time.monotonic()
        try:
            async with asyncio.timeout(allowed_s - self.waited_s):
                message = await self.from_client()
        except TimeoutError:
            raise BodyTooSlow(self.read, allowed_s) from None
        # What the server does with it in between is not the client's fault.
        self.waited_s += time.monotonic() - began
        self.read += len(message.get("body", b""))
        if self.read > self.limit:
            raise BodyTooLarge(self.limit)
        if self.is_json:
            self.commas += message.get("body", b"").count(b",")
            if self.commas > MOST_COMMAS:
                raise TooManyValues(MOST_COMMAS)
        self.is_whole = not message.get("more_body", False)
        return message
