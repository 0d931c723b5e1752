"""How the API's description tells of answers: the errors that an operation may give, and files."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from app.errors import ErrorReply

Answers = dict[int | str, dict[str, Any]]

BYTES = {"schema": {"type": "string", "format": "binary"}}
TEXT = {"schema": {"type": "string"}}

ERROR = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ErrorReply.__name__}"}}}
RETRY_AFTER = {
    "Retry-After": {
        "description": "Seconds after which it is worth another try.",
        "schema": {"type": "integer", "minimum": 0},
    }
}
HEADERS: dict[int, dict[str, Any]] = {
    HTTPStatus.UNAUTHORIZED: {
        "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}}
    },
    HTTPStatus.TOO_MANY_REQUESTS: RETRY_AFTER,
    HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER,
}


def refusals(reasons: Mapping[int, str]) -> Answers:
    """Answers in the shape of errors, each with why it is given.

    FastAPI's `model` would tell of them in the media type that the operation's success has.
    """
    return {int(status): _refusal(status, why) for status, why in reasons.items()}


def _refusal(status: int, why: str) -> dict[str, Any]:
    headers = HEADERS.get(status)
    return {"description": why, "content": ERROR} | ({"headers": headers} if headers else {})


# Of an operation that asks a run.
RUN = refusals(
    {
        404: "There is no such run or snapshot.",
        422: "A field cannot be used; `param` names it.",
        503: "The run's folder is broken.",
    }
)
