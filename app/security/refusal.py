"""How a request is turned away before it reaches a route."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.errors import RequestError


async def refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer in the one shape of errors; to a person who opens a page, with the plain message."""
    status = error.status or 400
    answer: Response = JSONResponse(error.body(), status, error.headers)
    if wants_page(scope):
        answer = PlainTextResponse(f"{int(status)}: {error.message}\n", status, error.headers)
    await answer(scope, receive, send)


def wants_page(scope: Scope) -> bool:
    """Whether a browser shows the answer to a person."""
    is_api = scope["path"].startswith(("/v1/", "/api/"))
    return not is_api and "text/html" in Headers(scope=scope).get("accept", "")
