"""Whose key a request carries, and whether that is enough for what it wants."""

from collections.abc import Callable, Collection
from typing import Protocol
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import MissingRight, NoKey, RequestError
from app.security.refusal import refuse, wants_page
from app.security.rights import PUBLIC_FOLDER, READING, RIGHTS, Right, needed_right

COOKIE = "sidelight"
COOKIE_S = 30 * 24 * 3600
SIGN_IN = "/sign-in"

NO_KEY = (
    "this server wants an API key: send it as 'Authorization: Bearer KEY', or enter it at "
    f"{SIGN_IN}; whoever runs the server makes one with 'sidelight keys add'"
)
UNKNOWN_KEY = "this server knows no such API key; it may have been removed"
SIGNED_OUT = f"the key that you signed in with has been removed: enter another at {SIGN_IN}"


class Holder(Protocol):
    """Whoever a key was made for."""

    @property
    def name(self) -> str: ...

    @property
    def rights(self) -> Collection[Right]: ...


class Keys(Protocol):
    """Which keys there are, as far as a request needs it."""

    def required(self) -> bool:
        """Whether a request needs a key at all."""

    def of_bearer(self, secret: str) -> Holder | None:
        """Who has that key."""

    def of_cookie(self, secret: str) -> Holder | None:
        """Whose browser that is."""


# Looks who has a key on behalf of the client at an address, unless that was wrong too often.
# Raises RequestError.
Try = Callable[[str, Callable[[], Holder | None]], Holder | None]


class Anybody:
    """Who asks where no key is needed."""

    name = None
    rights = RIGHTS


class Access:
    """Lets through who has a key with the right that is needed; the route finds them in its scope.

    A program sends the key as a bearer token. A browser sends a cookie that it got for the key, and
    is led to where it may enter one.
    """

    def __init__(self, app: ASGIApp, keys: Keys, attempt: Try) -> None:
        self.app, self._keys, self._attempt = app, keys, attempt

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if not self._keys.required():
            scope.setdefault("state", {})["holder"] = Anybody
            return await self.app(scope, receive, send)
        if scope["path"].startswith(PUBLIC_FOLDER):
            scope.setdefault("state", {})["holder"] = None
            return await self.app(scope, receive, send)
        try:
            scope.setdefault("state", {})["holder"] = self._admitted(scope)
        except NoKey as error:
            if scope["method"] in READING and wants_page(scope):
                there = RedirectResponse(_sign_in_before(scope), 303, error.headers)
                return await there(scope, receive, send)
            return await refuse(error, scope, receive, send)
        except RequestError as error:
            return await refuse(error, scope, receive, send)
        await self.app(scope, receive, _not_kept(send))

    def _admitted(self, scope: Scope) -> Holder | None:
        """None for somebody without a key where none is needed. Raises RequestError."""
        needed, headers = needed_right(scope["method"], scope["path"]), Headers(scope=scope)
        try:
            holder = self._holder(scope, headers)
        except RequestError:
            if needed is None:
                return None
            raise
        if needed is None:
            return holder
        if holder is None:
            raise _no_key(headers)
        if needed not in holder.rights:
            has = " and ".join(right for right in RIGHTS if right in holder.rights) or "do nothing"
            raise MissingRight(
                f"the key {holder.name!r} may {has}; this needs the right to {needed}"
            )
        return holder

    def _holder(self, scope: Scope, headers: Headers) -> Holder | None:
        """Raises RequestError where the client was wrong too often."""
        host = (scope.get("client") or ("", 0))[0]
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme:  # whoever sends one means it, whatever cookies there are
            if scheme.lower() != "bearer":
                return None
            return self._attempt(host, lambda: self._keys.of_bearer(secret.strip()))
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        return self._attempt(host, lambda: self._keys.of_cookie(cookie)) if cookie else None


def local_address(address: str) -> str:
    """`address` if it stays on this server, else the first page: nobody is led astray from here."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "/"
    stays = address.isprintable() and "\\" not in address and not (parts.scheme or parts.netloc)
    return address if stays and address.startswith("/") and not address.startswith("//") else "/"


def forget_cookie(response: Response) -> None:
    """Have the browser forget its key."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")


def _no_key(headers: Headers) -> NoKey:
    if "authorization" in headers:
        return NoKey(UNKNOWN_KEY)
    if COOKIE not in cookie_parser(headers.get("cookie", "")):
        return NoKey(NO_KEY)
    error, forgotten = NoKey(SIGNED_OUT), Response()
    forget_cookie(forgotten)  # a page that goes on asking would be taken for one that guesses
    error.headers["Set-Cookie"] = forgotten.headers["set-cookie"]
    return error


def _sign_in_before(scope: Scope) -> str:
    """Where to enter a key and then go on to what was asked for."""
    query = scope["query_string"].decode("latin-1")
    path = scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or scope["path"]
    address = f"{path}?{query}" if query else path
    return f"{SIGN_IN}?next={quote(address, safe='/')}"


def _not_kept(send: Send) -> Send:
    """What somebody sees with a key is not there for the next one at the same browser or proxy."""

    async def send_and_say(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await send(message)

    return send_and_say
