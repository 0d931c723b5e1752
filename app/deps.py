"""What routes ask for: the one registry and the one engine of the running app.

All are coroutines, as FastAPI hands each plain function to a thread, which costs more than they do.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from functools import partial
from typing import Annotated, Any, TypeVar

import anyio.to_thread
from anyio import CapacityLimiter, WouldBlock
from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.templating import Jinja2Templates
from starlette.requests import ClientDisconnect

from app.attention_schemas import RunReading
from app.client_limits import ClientLimits, client_of
from app.corpora import Corpora
from app.engine import Engine
from app.errors import ClientLeft
from app.figures.loop_lag import LoopLag
from app.figures.metrics import Metrics
from app.jobs.admission import Admission
from app.jobs.events import Watchers
from app.jobs.queue import JobQueue
from app.keys.ring import KeyRing
from app.keys.tries import KeyTries
from app.patience import Patience, patient
from app.readiness import Inspector
from app.reading import Window
from app.receiving import Uploads
from app.registry import LoadedRun, Registry
from app.settings import Settings
from app.sse import unless_client_leaves

Body = TypeVar("Body", bound=RunReading)
Reply = TypeVar("Reply")


async def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


async def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


async def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


async def _corpora(request: Request) -> Corpora:
    corpora: Corpora = request.app.state.corpora
    return corpora


async def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


async def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


async def _watchers(request: Request) -> Watchers:
    watchers: Watchers = request.app.state.watchers
    return watchers


async def _keys(request: Request) -> KeyRing:
    keys: KeyRing = request.app.state.keys
    return keys


async def _key_tries(request: Request) -> KeyTries:
    tries: KeyTries = request.app.state.key_tries
    return tries


async def _templates(request: Request) -> Jinja2Templates:
    templates: Jinja2Templates = request.app.state.templates
    return templates


async def _metrics(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


async def _loop_lag(request: Request) -> LoopLag:
    lag: LoopLag = request.app.state.loop_lag
    return lag


async def _inspector(request: Request) -> Inspector:
    inspector: Inspector = request.app.state.inspector
    return inspector


async def _client_limits(request: Request) -> ClientLimits:
    limits: ClientLimits = request.app.state.client_limits
    return limits


async def _model_files(request: Request) -> CapacityLimiter:
    limiter: CapacityLimiter = request.app.state.model_files
    return limiter


async def _places(request: Request) -> Callable[[int], AbstractContextManager[None]]:
    return partial((await _client_limits(request)).places, _client(request))


async def _stream(request: Request) -> AbstractContextManager[None]:
    return (await _client_limits(request)).stream(_client(request))


async def counted(request: Request) -> None:
    """Count the request as one of its client's. Raises ClientLimit."""
    (await _client_limits(request)).admit(_client(request))


async def counted_if_it_changes(request: Request) -> None:
    """The same for what is no mere look. Raises ClientLimit."""
    if request.method not in ("GET", "HEAD"):
        await counted(request)


async def one_upload(request: Request) -> AsyncIterator[None]:
    """One of those that may come in at once, until it has been answered. Raises ServerLimit."""
    uploads: Uploads = request.app.state.uploads
    with uploads.one():
        yield


def _client(request: Request) -> str:
    return client_of(request.client.host if request.client else "")


SettingsDep = Annotated[Settings, Depends(_settings)]
RegistryDep = Annotated[Registry, Depends(_registry)]
EngineDep = Annotated[Engine, Depends(_engine)]
CorporaDep = Annotated[Corpora, Depends(_corpora)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
AdmissionDep = Annotated[Admission, Depends(_admission)]
WatchersDep = Annotated[Watchers, Depends(_watchers)]
MetricsDep = Annotated[Metrics, Depends(_metrics)]
InspectorDep = Annotated[Inspector, Depends(_inspector)]
LoopLagDep = Annotated[LoopLag, Depends(_loop_lag)]
ClientLimitsDep = Annotated[ClientLimits, Depends(_client_limits)]
KeysDep = Annotated[KeyRing, Depends(_keys)]
KeyTriesDep = Annotated[KeyTries, Depends(_key_tries)]
# For a number of texts, what to hold while they are written. Raises ClientLimit, InvalidRequest.
PlacesDep = Annotated[Callable[[int], AbstractContextManager[None]], Depends(_places)]
# To be held while events are sent. Raises ClientLimit, ServerLimit.
StreamDep = Annotated[AbstractContextManager[None], Depends(_stream)]
# To be held while a model is read or written as files.
ModelFilesDep = Annotated[CapacityLimiter, Depends(_model_files)]
TemplatesDep = Annotated[Jinja2Templates, Depends(_templates)]


def borrow(
    registry: Registry, run_id: str, step: int | None
) -> AbstractAsyncContextManager[LoadedRun]:
    """`registry.lend` for an event loop: a model may take a while to load."""
    return contextmanager_in_threadpool(registry.lend(run_id, step))


async def ask_run(
    request: Request, run_id: str, step: int | None, work: Callable[[LoadedRun], Reply]
) -> Reply:
    """Do `work` with a loaded run, in a thread, as one of the few that look into runs at a time.

    Raises as `in_a_thread`.
    """
    state = request.app.state
    async with turn(request, state.inspections), borrow(state.registry, run_id, step) as loaded:
        return await in_a_thread(request, partial(work, loaded))


async def in_turn(request: Request, few: CapacityLimiter, work: Callable[[], Reply]) -> Reply:
    """Do `work` in a thread, once fewer than `few` others are at it. Raises as `in_a_thread`."""
    async with turn(request, few):
        return await in_a_thread(request, work)


@asynccontextmanager
async def turn(request: Request, few: CapacityLimiter) -> AsyncIterator[None]:
    """Wait until fewer than `few` others are in such a block.

    A model is borrowed only then: those that are on loan all take memory. Raises ClientLeft as soon
    as nobody waits for it any more.
    """
    place = object()
    try:
        few.acquire_on_behalf_of_nowait(place)
    except WouldBlock:
        await _unless_left(request, few.acquire_on_behalf_of(place))
    try:
        yield
    finally:
        few.release_on_behalf_of(place)


async def in_a_thread(request: Request, work: Callable[[], Reply]) -> Reply:
    """Do `work` in a thread.

    Raises ClientLeft as soon as nobody waits for it any more, DeadlinePassed for what takes longer
    than it may.
    """
    patience = Patience(request.app.state.settings.analysis_seconds)
    with patient(patience):
        working = asyncio.create_task(anyio.to_thread.run_sync(work))
    try:
        return await _unless_left(request, _outcome(working))
    finally:
        patience.end()
        await asyncio.gather(working, return_exceptions=True)  # a thread cannot be cancelled


async def _unless_left(request: Request, work: Coroutine[Any, Any, Reply]) -> Reply:
    try:
        return await unless_client_leaves(request.receive, work)
    except ClientDisconnect:
        raise ClientLeft("the client has left") from None


async def _outcome(working: asyncio.Task[Reply]) -> Reply:
    return await asyncio.shield(working)


async def ask_reader(request: Request, body: Body, work: Callable[[Window, Body], Reply]) -> Reply:
    """The same with what the run has seen of the text."""
    reader = request.app.state.reader

    def read_and_work(loaded: LoadedRun) -> Reply:
        return work(reader.read(loaded, body.text, body.length), body)

    return await ask_run(request, body.run, body.step, read_and_work)
