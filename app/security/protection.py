"""All checks around the app, in their order."""

from collections.abc import Mapping

from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.types import ASGIApp

from app.security.access import Access, Keys, Try
from app.security.body import BodyLimit
from app.security.headers import SecurityHeaders
from app.security.hosts import KnownHosts
from app.security.large_answers import LargeAnswers
from app.security.origins import OwnPagesOnly
from app.settings import Settings


def protect(
    app: Starlette,
    settings: Settings,
    keys: Keys,
    attempt: Try,
    larger: Mapping[tuple[str, str], int],
) -> None:
    """`larger` are limits of bodies by method and path, where they differ from the usual."""
    # The first to be added is the last to be asked.
    app.add_middleware(
        BodyLimit,
        limit=settings.max_body_bytes,
        larger=larger,
        seconds=settings.body_seconds,
        bytes_per_second=settings.bytes_per_second,
    )
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(LargeAnswers, most_bytes=settings.answers_mb * 10**6)
    app.add_middleware(Access, keys=keys, attempt=attempt)
    app.add_middleware(OwnPagesOnly, origins=settings.cors_origins)
    app.add_middleware(_other_sites, settings=settings)
    app.add_middleware(KnownHosts, names=(*settings.allowed_hosts, settings.host))
    app.add_middleware(SecurityHeaders)


def with_headers(answer: ASGIApp, settings: Settings) -> ASGIApp:
    """An answer from outside of the checks, with the headers that all others have."""
    return SecurityHeaders(_other_sites(answer, settings))


def _other_sites(app: ASGIApp, settings: Settings) -> ASGIApp:
    """Tells browsers which other sites' pages may read the answers."""
    if not settings.cors_origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=settings.cors_origins,
        allow_methods=["GET", "POST", "PATCH", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id"],
        expose_headers=["Retry-After", "X-Request-Id"],
    )
