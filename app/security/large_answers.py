"""Answers that are large: sent in pieces, and only so many held for readers that are slow."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ServerLimit

PIECE = 64 * 1024  # what a connection buffers before its writer waits
LARGE = 1_000_000
RETRY_AFTER_S = 5


class LargeAnswers:
    """Cuts bodies into pieces, each sent when the one before is on its way.

    What is to be sent is held once and not once more by the connection. Of all that is held so,
    there are at most `most_bytes`, or one answer; what would be more is refused.
    """

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self.app, self._most_bytes = app, most_bytes
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        answer = _Answer(send)

        async def send_in_pieces(message: Message) -> None:
            if message["type"] != "http.response.body" or answer.refused:
                return await answer.begin(message)
            size = len(message.get("body", b""))
            if size <= LARGE:
                return await answer.body(message)
            if answer.can_be_refused and self._held and self._held + size > self._most_bytes:
                answer.refused = True
                return await _refusal()(scope, receive, send)
            self._held += size
            try:
                await answer.body(message)
            finally:
                self._held -= size

        await self.app(scope, receive, send_in_pieces)


class _Answer:
    """One answer, whose beginning waits for its body if that is large."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self.refused = False

    @property
    def can_be_refused(self) -> bool:
        return self._start is not None

    async def begin(self, message: Message) -> None:
        if self.refused:
            return
        if message["type"] == "http.response.start":
            length = Headers(raw=message["headers"]).get("content-length", "0")
            if int(length) > LARGE:
                self._start = message
                return
        await self._send(message)

    async def body(self, message: Message) -> None:
        if self._start is not None:
            start, self._start = self._start, None
            await self._send(start)
        body: bytes = message.get("body", b"")
        for place in range(0, len(body) - PIECE, PIECE):
            piece = body[place : place + PIECE]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        last = body[(len(body) - 1) // PIECE * PIECE :] if body else b""
        await self._send({**message, "body": last})


def _refusal() -> JSONResponse:
    has = "many large answers that are not read yet"
    error = ServerLimit(has, "too_many_answers", RETRY_AFTER_S)
    return JSONResponse(error.body(), ServerLimit.status, error.headers)
