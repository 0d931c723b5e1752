"""Puts the app together."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import torch
from fastapi import Depends, FastAPI
from fastapi.templating import Jinja2Templates
from starlette.types import ASGIApp

from app import __version__
from app.client_limits import ClientLimits
from app.corpora import Corpora
from app.deps import counted
from app.engine import Engine
from app.errors import ErrorReply, add_error_handlers
from app.export_archive import EXPORTS
from app.formulas import tex, tex_block
from app.hidden_folder import remove_leftovers
from app.jobs.admission import Admission
from app.jobs.events import Watchers
from app.jobs.launcher import Launcher
from app.jobs.processes import Processes
from app.jobs.queue import JobQueue
from app.jobs.ray_cluster import RayCluster
from app.key_ring import KeyRing
from app.learn.predictions import OrderLosses
from app.metrics import Metrics
from app.reading import Reader
from app.registry import Registry
from app.routes import (
    analysis,
    attention,
    completions,
    corpora,
    exports,
    health,
    imports,
    jobs,
    models,
    not_chat,
    notes,
    pages,
    presets,
    report,
    runs,
    static,
    sweeps,
)
from app.routes.learn import attention_steps, data, depth, predictions, transformer
from app.security.protection import protect
from app.settings import ROOT, Settings
from app.site_files import SiteFiles

INSPECTIONS_AT_ONCE = 2  # each may hold hundreds of megabytes
MODEL_FILES_AT_ONCE = 1  # each may take several times its size in memory

# Of these a client may only ask for so much.
HEAVY = (completions, attention, analysis, attention_steps, transformer, depth, predictions, data)
TOO_MUCH = {"model": ErrorReply, "description": "One client's limit is reached; see `Retry-After`."}

Front = Callable[[ASGIApp], ASGIApp]

DESCRIPTION = """\
Small GPTs, side by side: what they write, how likely each token was, and what every attention
head looks at. Runs are OpenAI's models under `/v1`, so its clients work here; `/api` has the rest.
Errors are always `{"error": {"message", "type", "param", "code"}}`.
"""


def create_app(settings: Settings | None = None, front: Front | None = None) -> FastAPI:
    """The app, with its own registry and engine once it is started.

    `front` may answer before the routes, behind everything that protects them.
    """
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
    app.state.keys = KeyRing(settings.data, settings.api_key)
    app.state.templates = _templates()
    app.state.site = SiteFiles(ROOT / "static")
    app.state.templates.env.globals["site"] = app.state.site
    _include_routes(app)
    own_files = static.OwnFiles(app.state.site, directory=ROOT / "static", check_dir=False)
    app.mount("/static", own_files)
    add_error_handlers(app, pages.error_page)
    if front:
        app.add_middleware(front)
    larger = {
        ("POST", "/api/corpora"): settings.max_upload_bytes,
        ("POST", "/api/runs"): settings.max_import_bytes,
    }
    protect(app, settings, app.state.keys, larger)
    return app


def _templates() -> Jinja2Templates:
    templates = Jinja2Templates(ROOT / "templates")
    templates.env.filters |= {"tex": tex, "tex_block": tex_block}
    # A page's data has its fields in the API's order, so that what lists them stays as it is.
    templates.env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return templates


def _include_routes(app: FastAPI) -> None:
    for module in (
        completions,
        models,
        not_chat,
        attention,
        analysis,
        predictions,
        data,
        attention_steps,
        transformer,
        depth,
        runs,
        report,
        notes,
        imports,
        exports,
        jobs,
        sweeps,
        corpora,
        presets,
        health,
        pages,
        static,
    ):
        heavy = module in HEAVY
        app.include_router(
            module.router,
            dependencies=[Depends(counted)] if heavy else [],
            responses={429: TOO_MUCH} if heavy else {},
        )


def _launcher(settings: Settings) -> Launcher:
    if settings.ray_address:
        return RayCluster(
            settings.ray_address,
            cpus=settings.ray_cpus_per_job,
            gpus=settings.ray_gpus_per_job,
            python=settings.ray_python,
            stop_s=settings.ray_stop_seconds,
        )
    return Processes(settings.devices)


def _warm_up() -> None:
    from model.kernels.warming import warm  # half a second, and nobody waits for it yet

    warm()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    torch.set_num_threads(settings.threads)
    # The engine waits for the interpreter after each turn, and the event loop may be busy with the
    # streams: let it in ten times as soon as Python would.
    sys.setswitchinterval(0.0005)
    app.state.registry = Registry(
        settings.checkpoints,
        settings.memory_budget_mb * 10**6,
        half_weights=settings.half_weights,
    )
    app.state.metrics = Metrics()
    app.state.client_limits = ClientLimits(
        settings.client_sequences,
        settings.client_requests_per_minute,
        app.state.metrics.refused,
    )
    app.state.engine = Engine(
        settings.max_active, settings.max_waiting, app.state.metrics, warm_up=_warm_up
    )
    app.state.inspections = anyio.CapacityLimiter(INSPECTIONS_AT_ONCE)
    app.state.model_files = anyio.CapacityLimiter(MODEL_FILES_AT_ONCE)
    app.state.reader = Reader(settings.attention_cells, settings.attention_cache_mb * 10**6)
    app.state.order_losses = OrderLosses()
    app.state.corpora = Corpora(settings.data / "corpora")
    for folder in (settings.checkpoints, app.state.corpora.folder, settings.data / EXPORTS):
        await anyio.to_thread.run_sync(remove_leftovers, folder)
    app.state.queue = JobQueue(
        _launcher(settings), settings.data, settings.checkpoints, app.state.corpora.source
    )
    app.state.corpora.needed_by = app.state.queue.jobs_on
    app.state.admission = Admission(app.state.corpora, app.state.registry, app.state.queue)
    app.state.watchers = Watchers(app.state.queue)
    app.state.queue.start()
    try:
        yield
    finally:
        await anyio.to_thread.run_sync(app.state.queue.close)
        await anyio.to_thread.run_sync(app.state.engine.close)
