"""Whose key a request carries, and whether that is enough for what it wants."""

from collections.abc import Collection
from typing import Protocol
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import MissingRight, NoKey, RequestError
from app.security.rights import RIGHTS, Right, needed_right

COOKIE = "sidelight"
SIGN_IN = "/sign-in"


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


class Anybody:
    """Who asks where no key is needed."""

    name = None
    rights = RIGHTS


class Access:
    """Lets through who has a key with the right that is needed; the route finds them in its scope.

    A program sends the key as a bearer token. A browser sends a cookie that it got for the key, and
    is led to where it may enter one.
    """

    def __init__(self, app: ASGIApp, keys: Keys) -> None:
        self.app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        needed = needed_right(scope["method"], scope["path"])
        try:
            scope.setdefault("state", {})["holder"] = self._admitted(Headers(scope=scope), needed)
        except NoKey as error:
            if _wants_page(scope):
                address = scope["path"] + (b"?" + scope["query_string"]).decode("latin-1").rstrip(
                    "?"
                )
                there = f"{SIGN_IN}?next={quote(address, safe='/')}"
                return await RedirectResponse(there, 303)(scope, receive, send)
            return await _refuse(error, scope, receive, send)
        except MissingRight as error:
            return await _refuse(error, scope, receive, send)
        await self.app(scope, receive, send)

    def _admitted(self, headers: Headers, needed: Right | None) -> Holder | type[Anybody] | None:
        """None for somebody without a key where none is needed. Raises NoKey, MissingRight."""
        if not self._keys.required():
            return Anybody
        holder = self._holder(headers)
        if needed is None:
            return holder
        if holder is None:
            raise NoKey(
                "this server wants an API key: send it as 'Authorization: Bearer KEY'; "
                "whoever runs the server makes one with 'sidelight keys add'"
                if "authorization" not in headers
                else "this server knows no such API key; it may have been removed",
            )
        if needed not in holder.rights:
            has = " and ".join(right for right in RIGHTS if right in holder.rights) or "do nothing"
            raise MissingRight(
                f"the key {holder.name!r} may {has}; this needs the right to {needed}"
            )
        return holder

    def _holder(self, headers: Headers) -> Holder | None:
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme:  # whoever sends one means it, whatever cookies there are
            return self._keys.of_bearer(secret.strip()) if scheme.lower() == "bearer" else None
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        return self._keys.of_cookie(cookie) if cookie else None


def local_address(address: str) -> str:
    """`address` if it stays on this server, else the first page: nobody is led astray from here."""
    parts = urlsplit(address)
    stays = not parts.scheme and not parts.netloc and address.startswith("/")
    return address if stays and not address.startswith(("//", "/\\")) else "/"


async def _refuse(error: RequestError, scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(error.body(), error.status or 400, error.headers)(scope, receive, send)


def _wants_page(scope: Scope) -> bool:
    is_api = scope["path"].startswith(("/v1", "/api"))
    return not is_api and "text/html" in Headers(scope=scope).get("accept", "")
