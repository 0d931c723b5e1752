"""Asking an app that runs in this process."""

from starlette.types import ASGIApp, Message, Scope


async def get(app: ASGIApp, path: str, asked: Scope | None = None) -> tuple[int, bytes]:
    """Status and body of the answer; with all else as in `asked`, in whose place this asks."""
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    headers = [(b"host", b"localhost")]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    scope = {**(asked or {}), **scope}
    await app(scope, receive, send)
    return answer[0]["status"], b"".join(message.get("body", b"") for message in answer)
