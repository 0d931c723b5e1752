"""The outermost layer: gives every request an id, and tells and counts how it ended."""

import json
import logging
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.client_limits import client_of
from app.figures.http import HttpFigures
from app.logs.context import Asked, current, fields
from app.logs.route_names import RouteNames
from app.security.protection import with_headers

ID_HEADER = "X-Request-Id"
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")

# Asked every few seconds, or a dozen times for a page: told only where something is wrong.
EVERYDAY = {"/healthz", "/readyz", "/metrics", "/static/{path:path}"}
REFUSED = {401, 403, 413, 421, 429}

log = logging.getLogger("sidelight.requests")

Failed = Callable[[Request, Any], Response | Awaitable[Response]]


class RequestLog:
    """Answers with `failed` where nothing else has caught an exception.

    Starlette does so as well, but outside of everything, where the answer gets neither an id nor
    any other header; here it has those that `protect` gives to all.

    An answer that takes longer than `slow_s` to begin is late.

    The id is the client's, if that is short and plain, and on every answer. What a request or an
    answer holds is never told, nor its query: only where it went, how it ended and for whom.
    """

    def __init__(
        self, app: ASGIApp, names: RouteNames, failed: Failed, slow_s: float, *, clients: bool
    ) -> None:
        """With `clients` the lines have the addresses that requests come from."""
        self.app, self._names, self._failed = app, names, failed
        self._slow_s, self._clients = slow_s, clients

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        asked = Asked(_id_of(scope))
        current.set(asked)  # of this request's own task, and gone with it
        scope.setdefault("state", {})["request_id"] = asked.id
        exchange = _Exchange(receive, send, asked.id)
        route = self._names.name(scope["path"])
        figures = _figures(scope)
        if figures:
            figures.begin()
        try:
            await self._answer(scope, exchange)
        finally:
            if figures:
                figures.end(
                    scope["method"],
                    route,
                    exchange.status,
                    exchange.code,
                    exchange.seconds,
                    (exchange.received, exchange.sent),
                )
            self._tell(scope, route, exchange, asked)

    async def _answer(self, scope: Scope, exchange: "_Exchange") -> None:
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.status:  # the connection breaks, so that no part passes for the whole
                exchange.code = "broke"
                raise
            answer = await run_in_threadpool(self._failed, Request(scope), error)
            assert isinstance(answer, Response)
            complete = with_headers(answer, scope["app"].state.settings)
            await complete(scope, exchange.receive, exchange.send)

    def _tell(self, scope: Scope, route: str, exchange: "_Exchange", asked: Asked) -> None:
        level = self._level(route, exchange)
        if not log.isEnabledFor(level):
            return
        host = (scope.get("client") or ("",))[0]
        told = fields(
            method=scope["method"],
            route=route,
            path=scope["path"],
            status=exchange.status or None,
            code=exchange.code,
            duration_ms=round(1000 * exchange.seconds, 1),
            waited_ms=round(1000 * exchange.waited, 1),
            bytes=exchange.sent,
            client=(client_of(host) or None) if self._clients else None,
            key=getattr(scope["state"].get("holder"), "name", None),
            **asked.facts,
        )
        # Quoted, so that no space in a path begins what passes for a field of ours.
        log.log(level, "%s %s", scope["method"], quote(scope["path"]), extra=told)

    def _level(self, route: str, exchange: "_Exchange") -> int:
        if exchange.status in REFUSED or exchange.code == "broke" or exchange.waited > self._slow_s:
            return logging.WARNING
        if route in EVERYDAY:
            return logging.DEBUG if exchange.status < 400 else logging.INFO
        return logging.WARNING if exchange.status >= 500 else logging.INFO


class _Exchange:
    """What goes in and out, counted as it passes."""

    def __init__(self, receive: Receive, send: Send, id: str) -> None:
        self._receive, self._send, self._id = receive, send, id
        self._began, self._answered = time.perf_counter(), 0.0
        self._is_json = False
        self.status = 0  # none yet
        self.code: str | None = None  # of an error
        self.received = self.sent = 0  # bytes

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began

    @property
    def waited(self) -> float:
        """Seconds until the answer began, or until now."""
        return (self._answered or time.perf_counter()) - self._began

    async def receive(self) -> Message:
        message = await self._receive()
        self.received += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._answered = time.perf_counter()
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[ID_HEADER] = self._id
            plain = "content-encoding" not in headers
            self._is_json = plain and headers.get("content-type", "") == "application/json"
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            self.sent += len(body)
            if self.status >= 400 and self._is_json and self.code is None:
                self.code = _code_in(body)
        await self._send(message)


def _id_of(scope: Scope) -> str:
    """The client's, or a new one, which then is as if the client had sent it: replicas get it."""
    given = Headers(scope=scope).get(ID_HEADER, "")
    if SANE_ID.fullmatch(given):
        return given
    id = secrets.token_hex(8)
    name = ID_HEADER.lower().encode()
    others = [header for header in scope["headers"] if header[0] != name]
    scope["headers"] = [*others, (name, id.encode())]
    return id


def _figures(scope: Scope) -> HttpFigures | None:
    """None before the app has started."""
    metrics = getattr(scope["app"].state, "metrics", None) if "app" in scope else None
    return metrics.http if metrics else None


def _code_in(body: bytes) -> str | None:
    """The fixed word of an error in our one shape."""
    try:
        code: Any = json.loads(body)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return None
    return code if isinstance(code, str) else None
