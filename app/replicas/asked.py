"""What of a request decides where it goes: the run that it is for, which is in its body."""

import json
from dataclasses import dataclass

from pydantic import ValidationError
from starlette.types import Message, Receive, Scope

from app.schemas import CompletionRequest

TEXTS, MAPS = "/v1/completions", "/api/attention"


@dataclass(frozen=True)
class Asked:
    """A request that a replica can answer."""

    run: str
    texts: int  # how many it wants written


def needs_a_run(scope: Scope) -> bool:
    """Whether the body is worth reading."""
    path: str = scope["path"]
    return scope["method"] == "POST" and (path == TEXTS or path.startswith(MAPS))


def what_is_asked(path: str, body: bytes) -> Asked | None:
    """None for what is wrong: the app itself says best in which way."""
    try:
        if path == TEXTS:
            request = CompletionRequest.model_validate_json(body)
            return Asked(request.model, request.texts)
        fields = json.loads(body)
        run = fields.get("run") or fields["a"]["run"]  # of two sides the first decides
    except (ValidationError, ValueError, AttributeError, LookupError, TypeError):
        return None
    return Asked(run, 0) if isinstance(run, str) else None


async def read(receive: Receive, limit: int) -> list[Message]:
    """A request's messages, up to the one that ends it or exceeds `limit` bytes."""
    messages: list[Message] = []
    left = limit
    while left >= 0:
        message = await receive()
        messages.append(message)
        if not message.get("more_body", False):
            break
        left -= len(message.get("body", b""))
    return messages


def refusing(error: Exception) -> Receive:
    """Fails as what was read before has failed."""

    async def receive() -> Message:
        raise error

    return receive


def again(messages: list[Message], receive: Receive) -> Receive:
    """Gives out what has been read already, then what comes."""
    waiting = messages[::-1]

    async def receive_again() -> Message:
        return waiting.pop() if waiting else await receive()

    return receive_again
