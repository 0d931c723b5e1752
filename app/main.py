"""Puts the app together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import torch
from fastapi import FastAPI
from fastapi.templating import Jinja2Templates
from starlette.middleware.gzip import GZipMiddleware

from app import __version__
from app.engine import Engine
from app.errors import add_error_handlers
from app.registry import Registry
from app.routes import attention, completions, health, models, pages, runs, static
from app.security import BodyLimit, SecurityHeaders
from app.settings import ROOT, Settings

INSPECTIONS_AT_ONCE = 2  # each may hold hundreds of megabytes

DESCRIPTION = """\
Small GPTs, side by side: what they write, how likely each character was, and what every attention
head looks at. Runs are OpenAI's models under `/v1`, so its clients work here; `/api` has the rest.
Errors are always `{"error": {"message", "type", "param", "code"}}`.
"""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The app, with its own registry and engine once it is started."""
    settings = settings or Settings()
    app = FastAPI(
        title="Sidelight",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan,
        docs_url=None,  # FastAPI's own page loads from elsewhere; routes/pages.py has ours
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.templates = Jinja2Templates(ROOT / "templates")
    for module in (completions, models, attention, runs, health, pages, static):
        app.include_router(module.router)
    app.mount("/static", static.OwnFiles(directory=ROOT / "static", check_dir=False))
    add_error_handlers(app, pages.error_page)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=5)
    app.add_middleware(SecurityHeaders)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    torch.set_num_threads(settings.threads)
    app.state.registry = Registry(settings.checkpoints, settings.memory_budget_mb * 10**6)
    app.state.engine = Engine(settings.max_active, settings.max_waiting)
    app.state.inspections = anyio.CapacityLimiter(INSPECTIONS_AT_ONCE)
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.engine.close)
