"""Where a person enters a key, once: the browser gets a cookie for it that no script can read."""

from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from app.deps import KeysDep, KeyTriesDep, TemplatesDep
from app.errors import InvalidRequest, RequestError
from app.keys.ring import cookie_of
from app.security.access import COOKIE, COOKIE_S, SIGN_IN, forget_cookie, local_address

router = APIRouter(include_in_schema=False)

FORM = "application/x-www-form-urlencoded"
LONGEST_FORM = 8192  # bytes; an address to go on to may be long
UNKNOWN = "The server knows no such key. Look for a part that is missing, or ask whoever runs it."


@router.get(SIGN_IN)
def sign_in(request: Request, templates: TemplatesDep) -> Response:
    there = request.query_params.get("next", "/")
    if request.state.holder:
        return RedirectResponse(local_address(there), HTTPStatus.SEE_OTHER)
    return _page(request, templates, there)


@router.post(SIGN_IN)
async def enter_key(
    request: Request, keys: KeysDep, tries: KeyTriesDep, templates: TemplatesDep
) -> Response:
    fields = await _form(request)
    key, there = fields.get("key", "").strip(), fields.get("next", "/")
    host = request.client.host if request.client else ""
    cookie = cookie_of(key)
    if keys.required():
        try:
            holder = tries(host, lambda: keys.of_cookie(cookie)) if key else None
        except RequestError as error:
            message = f"{error.message[:1].upper()}{error.message[1:]}."
            status, headers = HTTPStatus.TOO_MANY_REQUESTS, error.headers
            return _page(request, templates, there, message, status, headers)
        if not holder:
            message = UNKNOWN if key else "Enter a key."
            return _page(request, templates, there, message, HTTPStatus.UNAUTHORIZED)
    answer = RedirectResponse(local_address(there), HTTPStatus.SEE_OTHER)
    if keys.required():
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, cookie, COOKIE_S, path="/", secure=secure, httponly=True, samesite="strict"
        )
    return answer


@router.post("/sign-out")
async def sign_out() -> Response:
    answer = RedirectResponse(SIGN_IN, HTTPStatus.SEE_OTHER)
    forget_cookie(answer)
    return answer


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, the first of each name. Raises InvalidRequest."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise InvalidRequest(f"the body: send it as {FORM}", code="invalid_value")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LONGEST_FORM:
            raise InvalidRequest(f"the body: it is over {LONGEST_FORM:,} bytes", code="too_large")
    try:
        fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10)
    except ValueError as error:
        message = "the body: it is not a form that can be read"
        raise InvalidRequest(message, code="invalid_value") from error
    return {name: values[0] for name, values in fields.items()}


def _page(
    request: Request,
    templates: TemplatesDep,
    there: str,
    problem: str = "",
    status: int = HTTPStatus.OK,
    headers: dict[str, str] | None = None,
) -> HTMLResponse:
    """The key that was entered is not on it."""
    context = {"next": local_address(there), "problem": problem}
    headers = {"Cache-Control": "no-store"} | (headers or {})
    return templates.TemplateResponse(
        request, "sign_in.html", context, status_code=status, headers=headers
    )
