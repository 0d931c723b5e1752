"""Which methods an address takes, the same for all: HEAD where GET is, and OPTIONS, which tells."""

import asyncio

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class Methods:
    """Stands right before the routes, of which each knows only its own methods."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope.get("method")
        if method == "HEAD" and not _takes(scope, "HEAD") and _takes(scope, "GET"):
            return await self._head(scope, send)
        if method == "OPTIONS" and (allowed := allowed_methods(scope)):
            headers = {"Allow": ", ".join(allowed)}
            return await Response(None, 204, headers)(scope, receive, send)
        await self.app(scope, receive, send)

    async def _head(self, scope: Scope, send: Send) -> None:
        """Answer as to GET; the server in front sends no body to HEAD.

        A stream that has no end learns that nobody listens. What the routes note in the scope is
        there for whoever looks at it afterwards.
        """
        begun = asyncio.Event()
        asked = ended = False

        async def receive() -> Message:
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await begun.wait()
            return {"type": "http.disconnect"}

        async def note(message: Message) -> None:
            nonlocal ended
            await send(message)
            if message["type"] == "http.response.body":
                ended = not message.get("more_body", False)
                begun.set()
            await asyncio.sleep(0)  # who sends and never waits would never learn it

        got = dict(scope) | {"method": "GET"}
        try:
            await self.app(got, receive, note)
        finally:
            scope.update(got | {"method": "HEAD"})
        if not ended:
            await send({"type": "http.response.body", "body": b"", "more_body": False})


def allowed_methods(scope: Scope) -> list[str]:
    """The methods that an address takes; none if there is nothing at it."""
    allowed = [method for method in METHODS if _takes(scope, method)]
    if "GET" in allowed and "HEAD" not in allowed:
        allowed.insert(1, "HEAD")
    return [*allowed, "OPTIONS"] if allowed else []


def _takes(scope: Scope, method: str) -> bool:
    app: Starlette = scope["app"]
    # Where a folder is mounted, the scope is the folder's by the time it refuses something.
    root = scope.get("app_root_path", scope.get("root_path", ""))
    asked = dict(scope) | {"method": method, "root_path": root}
    return any(
        route.matches(asked)[0] is Match.FULL
        for route in app.routes
        if method == "GET" or not isinstance(route, Mount)  # which are folders of files
    )
