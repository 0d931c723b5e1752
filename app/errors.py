"""Every error leaves in one shape: `{"error": {"message", "type", "param", "code"}}`."""

import logging
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.types import Scope

log = logging.getLogger("sidelight")

# What pydantic puts into a field's place where the field may be one of several things.
UNION_BRANCHES = {"str", "int", "gpt", "bigram", "ngram"}

LONGEST_MESSAGE = 2000
LONGEST_PARAM = 200

ErrorPage = Callable[[Request, int, str], Response]
AllowedMethods = Callable[[Scope], list[str]]


class ErrorBody(BaseModel):
    """What went wrong, for a person and for a program."""

    message: str = Field(description="What is wrong and what to do about it.")
    type: str = Field(description="`invalid_request_error`, `rate_limit_error` or `server_error`.")
    param: str | None = Field(description="The field at fault, as a dotted path.")
    code: str | None = Field(description="A fixed word for this kind of error.")


class ErrorReply(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody


class RequestError(Exception):
    """A request that cannot be served; its text tells the caller what to change.

    `status` None stands for a wrong request: 400 under `/v1`, as OpenAI answers, else 422.
    """

    status: int | None = None
    type = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after_s: int | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.param, self.code = message, param, code
        self.headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}

    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        return _body(self.message, self.type, self.param, self.code)


class InvalidRequest(RequestError):
    """A field has a value that cannot be used."""


class UnknownRun(RequestError):
    """There is no run, or no snapshot, of that name."""

    status = HTTPStatus.NOT_FOUND


class NoSuchEndpoint(RequestError):
    """What is asked for is not for the models that are here."""

    status = HTTPStatus.NOT_FOUND


class UnknownJob(RequestError):
    """There is no job, or no sweep, of that id."""

    status = HTTPStatus.NOT_FOUND


class Conflict(RequestError):
    """The request is right, but not as things stand."""

    status = HTTPStatus.CONFLICT


class UnknownCorpus(RequestError):
    """There is no text of that id."""

    status = HTTPStatus.NOT_FOUND


class UnusableRun(RequestError):
    """The run's folder is there but cannot be read."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"


class NoRoom(RequestError):
    """The disk does not take what was sent."""

    status = HTTPStatus.INSUFFICIENT_STORAGE
    type = "server_error"


class ForeignPage(RequestError):
    """A page from elsewhere makes a browser send this."""

    status = HTTPStatus.FORBIDDEN


class UnknownHost(RequestError):
    """The request is meant for a server of another name."""

    status = HTTPStatus.MISDIRECTED_REQUEST


class NoKey(RequestError):
    """The request carries no key, or one that is not known."""

    status = HTTPStatus.UNAUTHORIZED

    def __init__(self, message: str) -> None:
        super().__init__(message, param="Authorization", code="invalid_api_key")
        self.headers["WWW-Authenticate"] = "Bearer"


class MissingRight(RequestError):
    """The key does not allow this."""

    status = HTTPStatus.FORBIDDEN

    def __init__(self, message: str) -> None:
        super().__init__(message, param="Authorization", code="missing_right")


class QueueFull(RequestError):
    """More sequences are waiting than may."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, code="queue_full", retry_after_s=retry_after_s)


class DeadlinePassed(RequestError):
    """A request's time was up before its first token."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, code="deadline", retry_after_s=retry_after_s)


class ClientLimit(RequestError):
    """One client asks for more than it may have at once, or for too much in a minute."""

    status = HTTPStatus.TOO_MANY_REQUESTS
    type = "rate_limit_error"

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message, code="client_limit", retry_after_s=retry_after_s)


class ServerLimit(RequestError):
    """The server has as much of something as it may; it passes."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"

    def __init__(self, has: str, code: str, retry_after_s: int) -> None:
        message = f"the server has {has}: try again in {retry_after_s} seconds"
        super().__init__(message, code=code, retry_after_s=retry_after_s)


class BadHttp(RequestError):
    """What came is no HTTP request, or has more headers than a request needs."""

    status = HTTPStatus.BAD_REQUEST

    def __init__(self) -> None:
        message = "this is not a request in HTTP/1.1, or its headers are longer than 64 KiB in all"
        super().__init__(message, code="bad_request")


class LateHead(RequestError):
    """A request began, and its headers did not come to their end."""

    status = HTTPStatus.REQUEST_TIMEOUT

    def __init__(self, seconds: float) -> None:
        message = f"the request's headers did not come to their end in {seconds:g} seconds"
        super().__init__(message, code="request_timeout")


class ClientLeft(RequestError):
    """Nobody reads the answer; it is for the log."""

    status = 499  # as nginx has it


class WritingFailed(RequestError):
    """A sequence broke while it was being written."""

    status = HTTPStatus.INTERNAL_SERVER_ERROR
    type = "server_error"


class ShuttingDown(RequestError):
    """The server has been told to stop."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"

    def __init__(self) -> None:
        message = "the server is shutting down: try again in a few seconds, once it is back"
        super().__init__(message, code="shutting_down", retry_after_s=5)


class EngineStopped(RequestError):
    """Nothing can be written until the server is started again."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"

    def __init__(self, why: str) -> None:
        super().__init__(f"the server cannot write any more: {why}", code="engine_stopped")


class Shortage(RequestError):
    """The machine has no room for this at the moment."""

    status = HTTPStatus.SERVICE_UNAVAILABLE
    type = "server_error"


class TooManyValues(HTTPException):
    """The request body would be small bytes, but many things once it is read."""

    def __init__(self, most: int) -> None:
        message = f"the request body has over {most:,} values: send fewer"
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


class BodyTooLarge(HTTPException):
    """The request body is over the limit."""

    def __init__(self, limit: int) -> None:
        message = f"the request body is over {limit:,} bytes: send a shorter one"
        super().__init__(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


class BodyTooSlow(HTTPException):
    """The request body did not come in its time; nothing more is read from the connection."""

    def __init__(self, read: int, seconds: float) -> None:
        message = f"only {read:,} bytes of the request body came in {seconds:.0f} seconds"
        super().__init__(HTTPStatus.REQUEST_TIMEOUT, message, {"Connection": "close"})


def add_error_handlers(app: FastAPI, page: ErrorPage, allowed: AllowedMethods) -> None:
    """Answer every error in the one shape, and a browser's wrong address with `page`.

    `allowed` tells the methods that an address takes, which no single route knows.
    """

    def on_request_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestError)
        status = error.status or _wrong_request(request)
        return JSONResponse(error.body(), status, headers=error.headers)

    def on_validation_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        message, param = _first_problem(error.errors())
        body = _body(message, "invalid_request_error", param, "invalid_value")
        return JSONResponse(body, _wrong_request(request))

    def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        message, headers = error.detail, dict(error.headers or {})
        if error.status_code == HTTPStatus.NOT_FOUND:
            message = f"there is nothing at {request.url.path}"
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(allowed(request.scope))
            message = f"{request.url.path} takes {headers['Allow']}, and not {request.method}"
        if _wants_page(request):
            answer = page(request, error.status_code, message)
            answer.headers.update(headers)
            return answer
        code = HTTPStatus(error.status_code).phrase.lower().replace(" ", "_")
        body = _body(message, "invalid_request_error", None, code)
        unreadable = error.status_code == HTTPStatus.BAD_REQUEST
        status = _wrong_request(request) if unreadable else error.status_code
        return JSONResponse(body, status, headers=headers)

    def on_any_error(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        id = request.scope.get("state", {}).get("request_id", "this request")
        message = f"the server failed on this request; its log says why, at {id}"
        if _wants_page(request):
            return page(request, HTTPStatus.INTERNAL_SERVER_ERROR, message)
        body = _body(message, "server_error", None, "internal_error")
        return JSONResponse(body, HTTPStatus.INTERNAL_SERVER_ERROR)

    app.add_exception_handler(RequestError, on_request_error)
    app.add_exception_handler(RequestValidationError, on_validation_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(Exception, on_any_error)


def _body(message: str, type: str, param: str | None, code: str | None) -> dict[str, Any]:
    """Short whatever was sent, as both may quote it."""
    if param is not None:
        param = _shortened(param, LONGEST_PARAM)
    message = _shortened(message, LONGEST_MESSAGE)
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _wrong_request(request: Request) -> int:
    is_openai = request.url.path.startswith("/v1/")
    return HTTPStatus.BAD_REQUEST if is_openai else HTTPStatus.UNPROCESSABLE_ENTITY


def _wants_page(request: Request) -> bool:
    is_api = request.url.path.startswith(("/v1", "/api", "/static"))
    return not is_api and "text/html" in request.headers.get("accept", "")


def _first_problem(problems: Any) -> tuple[str, str | None]:
    """The first thing wrong as a sentence that names the field, and the field's dotted path."""
    problem = problems[0]
    if problem["type"] == "json_invalid":
        return f"the body is not valid JSON: {problem['ctx']['error']}", None
    place = [str(part) for part in problem["loc"][1:]]  # the first says whether it is in the body
    # A union reports each of its branches; the branch's name is no part of the field's path.
    if problem["type"] == "fields_disagree":
        place.append(problem["ctx"]["field"])
    path = ".".join(part for part in place if "[" not in part and part not in UNION_BRANCHES)
    if not path and isinstance(problem.get("input"), bytes):
        return "the body: send JSON, and say so: Content-Type: application/json", None
    if not path:
        return f"the body: {_sentence(problem)}", None
    return f"{path}: {_sentence(problem)}", path


def _sentence(problem: Any) -> str:
    match problem["type"]:
        case "missing":
            return "this field is required"
        case "extra_forbidden":
            return "there is no such field; remove it"
        case "value_error":
            return str(problem["ctx"]["error"])
    message = str(problem["msg"])
    return message[:1].lower() + message[1:]
