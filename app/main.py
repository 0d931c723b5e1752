"""Puts the app together."""

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import torch
from fastapi import Depends, FastAPI
from fastapi.templating import Jinja2Templates
from starlette.routing import Route
from starlette.types import ASGIApp

from app import __version__
from app.arenas import share_arenas
from app.client_limits import ClientLimits
from app.corpora import Corpora
from app.deps import counted, counted_if_it_changes
from app.engine import Engine
from app.errors import add_error_handlers
from app.export_archive import EXPORTS, Outgoing
from app.figures.loop_lag import LoopLag
from app.figures.metrics import Metrics
from app.formulas import tex, tex_block
from app.full_collections import FullCollections, set_aside
from app.hidden_folder import remove_leftovers
from app.jobs.admission import Admission, Most
from app.jobs.events import Watchers
from app.jobs.queue import JobQueue
from app.keys.ring import KeyRing
from app.keys.tries import KeyTries
from app.learn.predictions import OrderLosses
from app.logs.requests import RequestLog
from app.logs.route_names import RouteNames
from app.methods import Methods, allowed_methods
from app.openapi import describe
from app.readiness import Inspector
from app.reading import Reader
from app.receiving import Uploads
from app.registry import Registry
from app.routes import (
    analysis,
    attention,
    completions,
    corpora,
    description,
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
    sign_in,
    static,
    sweeps,
)
from app.routes.learn import attention_steps, data, depth, predictions, transformer
from app.security.protection import protect
from app.settings import ROOT, Settings
from app.shortages import add_shortage_handlers
from app.site_files import SiteFiles
from app.starting import launcher_for
from app.stopping import Stopping, UntilStopped

INSPECTIONS_AT_ONCE = 2  # each may hold hundreds of megabytes
REPORTS_AT_ONCE = 2  # of many runs each has a core for a while
MODEL_FILES_AT_ONCE = 1  # each may take several times its size in memory

ROUTED = (
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
    description,
    pages,
    sign_in,
    static,
)

# Of these a client may only ask for so much.
HEAVY = (
    completions,
    attention,
    analysis,
    attention_steps,
    transformer,
    depth,
    predictions,
    data,
    exports,
)
# And of these it may only change so much: looking at them costs little.
CHANGING = (imports, notes, jobs, sweeps, corpora)

Front = Callable[[ASGIApp], ASGIApp]

DESCRIPTION = """\
Small GPTs, side by side: what they write, how likely each token was, and what every attention
head looks at. Runs are OpenAI's models under `/v1`, so its clients work here; `/api` has the rest.
Errors are always `{"error": {"message", "type", "param", "code"}}`. Bodies are JSON unless said
otherwise, and so are answers where `Accept` asks for what there is not. `HEAD` works wherever `GET`
does, and `OPTIONS` tells the methods of an address.
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
        openapi_url=None,  # routes/description.py has it
        docs_url=None,  # FastAPI's own page loads from elsewhere; routes/pages.py has ours
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.keys = KeyRing(settings.data, settings.api_key)
    app.state.keys.required()  # from now on, though the last key may go before anybody asks
    app.state.key_tries = KeyTries(settings.wrong_keys_per_minute)
    app.state.templates = _templates()
    app.state.site = SiteFiles(ROOT / "static")
    app.state.templates.env.globals["site"] = app.state.site
    _include_routes(app)
    own_files = static.OwnFiles(app.state.site, directory=ROOT / "static", check_dir=False)
    app.mount("/static", own_files)
    describe(app)
    add_error_handlers(app, pages.error_page, allowed_methods)
    add_shortage_handlers(app)
    if front:
        app.add_middleware(front)
    app.add_middleware(Methods)
    app.state.stopping = Stopping(settings.shutdown_seconds)
    app.add_middleware(UntilStopped, stopping=app.state.stopping)
    larger = {
        ("POST", "/api/corpora"): settings.max_upload_bytes,
        ("POST", "/api/runs"): settings.max_import_bytes,
    }
    protect(app, settings, app.state.keys, app.state.key_tries, larger)
    app.add_middleware(
        RequestLog,
        names=RouteNames(_addresses(app)),
        failed=app.exception_handlers[Exception],
        slow_s=settings.log_slow_seconds,
        clients=settings.log_clients,
    )
    return app


def _templates() -> Jinja2Templates:
    templates = Jinja2Templates(ROOT / "templates")
    templates.env.filters |= {"tex": tex, "tex_block": tex_block}
    # A page's data has its fields in the API's order, so that what lists them stays as it is.
    templates.env.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return templates


def _include_routes(app: FastAPI) -> None:
    limits = dict.fromkeys(HEAVY, counted) | dict.fromkeys(CHANGING, counted_if_it_changes)
    for module in ROUTED:
        app.include_router(
            module.router,
            dependencies=[Depends(limits[module])] if module in limits else [],
        )


def _addresses(app: FastAPI) -> list[str]:
    """Of all that is served, with the names of what changes: `/api/runs/{id}`."""
    routed = [route for module in ROUTED for route in module.router.routes]
    own = [route for route in [*routed, *app.routes] if isinstance(route, Route)]
    return ["/static/{path:path}", *(route.path for route in own)]


def _warm_up() -> None:
    from model.kernels.warming import warm  # half a second, and nobody waits for it yet

    warm()
    set_aside("warm")


def _make_readers(app: FastAPI, settings: Settings) -> None:
    """What runs and texts are read and written with."""
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
        streams=settings.client_streams,
        all_streams=settings.max_streams,
    )
    app.state.engine = Engine(
        settings.max_active, settings.max_waiting, app.state.metrics, warm_up=_warm_up
    )
    app.state.uploads = Uploads(settings.max_uploads)
    app.state.inspections = anyio.CapacityLimiter(INSPECTIONS_AT_ONCE)
    app.state.outgoing = Outgoing(settings.answers_mb * 10**6)
    app.state.reports = anyio.CapacityLimiter(REPORTS_AT_ONCE)
    app.state.model_files = anyio.CapacityLimiter(MODEL_FILES_AT_ONCE)
    app.state.reader = Reader(settings.attention_cells, settings.attention_cache_mb * 10**6)
    app.state.order_losses = OrderLosses()
    app.state.corpora = Corpora(
        settings.data / "corpora", settings.max_corpora, settings.max_corpora_bytes
    )


def _make_jobs(app: FastAPI, settings: Settings) -> None:
    """What makes runs, and who has to hear that the server stops."""
    app.state.queue = JobQueue(
        launcher_for(settings),
        settings.data,
        settings.checkpoints,
        app.state.corpora.source,
        settings.job_seconds,
    )
    app.state.corpora.needed_by = app.state.queue.jobs_on
    app.state.admission = Admission(
        app.state.corpora,
        app.state.registry,
        app.state.queue,
        Most(jobs=settings.max_jobs, runs=settings.max_runs),
    )
    app.state.watchers = Watchers(app.state.queue)
    stopping: Stopping = app.state.stopping
    stopping.when_begun(app.state.engine.refuse)
    stopping.when_begun(app.state.watchers.stop)
    stopping.when_time_is_up(app.state.engine.end_all)
    app.state.inspector = Inspector(
        app.state.registry,
        app.state.engine,
        app.state.queue,
        settings.data,
        lambda: stopping.begun,
    )


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    share_arenas()
    set_aside("started")
    torch.set_num_threads(settings.threads)
    # The engine waits for the interpreter after each turn, and the event loop may be busy with the
    # streams: let it in ten times as soon as Python would.
    sys.setswitchinterval(0.0005)
    _make_readers(app, settings)
    for folder in (settings.checkpoints, app.state.corpora.folder, settings.data / EXPORTS):
        await anyio.to_thread.run_sync(remove_leftovers, folder)
    _make_jobs(app, settings)
    app.state.queue.start()
    app.state.loop_lag = LoopLag(app.state.metrics.loop_was_late)
    try:
        with FullCollections():
            async with app.state.loop_lag:
                yield
    finally:
        await anyio.to_thread.run_sync(app.state.queue.close)
        await anyio.to_thread.run_sync(app.state.engine.close)
