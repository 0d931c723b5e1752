"""Nothing is changed for a page of another site, which a browser sends along unasked (CSRF)."""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import ForeignPage
from app.security.refusal import refuse

SAFE = {"GET", "HEAD", "OPTIONS"}  # they change nothing


class OwnPagesOnly:
    """Refuses to change anything for a page that is neither ours nor of one of `origins`.

    Browsers name the page's site in `Origin`, which no page can alter; where that is missing,
    `Sec-Fetch-Site` tells. Programs send neither and pass.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = ()) -> None:
        self.app, self._origins = app, frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        changes = scope["type"] == "http" and scope["method"] not in SAFE
        if not changes or self._is_welcome(Headers(scope=scope)):
            return await self.app(scope, receive, send)
        message = (
            "a page of another site may not send this; use Sidelight's own pages, or add the site "
            "to SIDELIGHT_CORS_ORIGINS"
        )
        error = ForeignPage(message, param="Origin", code="foreign_page")
        await refuse(error, scope, receive, send)

    def _is_welcome(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") in {"same-origin", "none"}
        return origin in self._origins or _host_of(origin) == headers.get("host", "").lower()


def _host_of(origin: str) -> str | None:
    """What a request to that origin has as its `Host`; None for what is no site's, as `null`."""
    try:
        return urlsplit(origin).netloc.lower() or None
    except ValueError:
        return None
