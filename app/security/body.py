"""How much of a request is read."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BodyTooLarge


class BodyLimit:
    """Stops reading a request body that is longer than `limit` bytes, announced or not.

    `larger` has other limits, by method and path.
    """

    def __init__(
        self, app: ASGIApp, limit: int, larger: Mapping[tuple[str, str], int] | None = None
    ) -> None:
        self.app, self.limit, self.larger = app, limit, larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        limit = self.larger.get((scope["method"], scope["path"]), self.limit)
        announced = Headers(scope=scope).get("content-length", "")
        too_large = announced.isdecimal() and int(announced) > limit
        read = 0

        async def receive_within_limit() -> Message:
            nonlocal read
            if too_large:
                raise BodyTooLarge(limit)
            message = await receive()
            read += len(message.get("body", b""))
            if read > limit:
                raise BodyTooLarge(limit)
            return message

        await self.app(scope, receive_within_limit, send)
