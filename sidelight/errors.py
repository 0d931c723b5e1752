"""What a server refuses."""

from typing import Any

import httpx


class SidelightError(Exception):
    """The server refused, and its message says what to do about it.

    `param` is the field at fault and `code` a fixed word for the reason, where there are such.
    `status` is that of HTTP; None for what was not sent, or failed once its answer had begun.
    `retry_after` is in how many seconds the same may succeed, if the server says so. `request_id`
    is what the server's log knows the request by.
    """

    def __init__(
        self,
        message: str,
        param: str | None = None,
        code: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.request_id: str | None = None
        self.message, self.param, self.code = message, param, code
        self.status, self.retry_after = status, retry_after


def refusal(response: httpx.Response) -> SidelightError:
    """Of an answer that is not a success and has been read."""
    error = _refusal(response)
    error.request_id = response.headers.get("X-Request-Id")
    return error


def _refusal(response: httpx.Response) -> SidelightError:
    status, seconds = response.status_code, response.headers.get("Retry-After", "")
    retry_after = float(seconds) if seconds.isdecimal() else None
    try:
        return refused(response.json(), status, retry_after)
    except (ValueError, KeyError, TypeError):  # a proxy's page, for one
        return SidelightError(f"the server answered {status}", None, None, status, retry_after)


def refused(
    body: Any, status: int | None = None, retry_after: float | None = None
) -> SidelightError:
    """Of the server's JSON. Raises KeyError or TypeError if it is no error's."""
    error = body["error"]
    return SidelightError(error["message"], error["param"], error["code"], status, retry_after)
