"""Nothing is done for a page of another site, which a browser sends along unasked (CSRF).

What only looks changes nothing, but may take work: a page that shows a hundred exports as pictures
learns nothing and keeps the server busy. So nothing becomes part of such a page either; only a
link leads from it to here.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ForeignPage
from app.security.refusal import refuse

SAFE = {"GET", "HEAD", "OPTIONS"}  # they change nothing
OWN = {"same-origin", "none"}  # `none`: typed, or from a bookmark
LINK = ("navigate", "document")


class OwnPagesOnly:
    """Refuses to do anything for a page that is neither ours nor of one of `origins`.

    Browsers name the page's site in `Origin`, which no page can alter; where that is missing,
    `Sec-Fetch-Site` tells. Programs send neither and pass.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self.app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._is_welcome(scope["method"], Headers(scope=scope)):
            return await self.app(scope, receive, send)
        message = (
            "a page of another site may not send this; use Sidelight's own pages, or add the site "
            "to SIDELIGHT_CORS_ORIGINS"
        )
        error = ForeignPage(message, param="Origin", code="foreign_page")
        await refuse(error, scope, receive, send)

    def _is_welcome(self, method: str, headers: Headers) -> bool:
        origin, is_own = headers.get("origin"), headers.get("sec-fetch-site", "none") in OWN
        if origin in self._origins:
            return True
        if method in SAFE:
            return is_own or _is_link(headers)
        if origin is None:
            return is_own
        return _host_of(origin) == headers.get("host", "").lower()


def _is_link(headers: Headers) -> bool:
    """Whether the whole page is left for the answer."""
    mode, place = LINK
    return (headers.get("sec-fetch-mode", mode), headers.get("sec-fetch-dest", place)) == LINK


def _host_of(origin: str) -> str | None:
    """What a request to that origin has as its `Host`; None for what is no site's, as `null`."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
