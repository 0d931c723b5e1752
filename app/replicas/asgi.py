"""Asking an app that runs in this process."""

from starlette.types import ASGIApp, Message


async def get(app: ASGIApp, path: str) -> tuple[int, bytes]:
    """Status and body of the answer."""
    answer: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        answer.append(message)

    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": []}
    await app(scope, receive, send)
    return answer[0]["status"], b"".join(message.get("body", b"") for message in answer)
