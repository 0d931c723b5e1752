"""What routes ask for: the one registry and the one engine of the running app."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated

from fastapi import Depends, Request
from fastapi.concurrency import contextmanager_in_threadpool
from fastapi.templating import Jinja2Templates

from app.corpora import Corpora
from app.engine import Engine
from app.jobs.admission import Admission
from app.jobs.events import Watchers
from app.jobs.queue import JobQueue
from app.registry import LoadedRun, Registry
from app.settings import Settings


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _registry(request: Request) -> Registry:
    registry: Registry = request.app.state.registry
    return registry


def _engine(request: Request) -> Engine:
    engine: Engine = request.app.state.engine
    return engine


def _corpora(request: Request) -> Corpora:
    corpora: Corpora = request.app.state.corpora
    return corpora


def _queue(request: Request) -> JobQueue:
    queue: JobQueue = request.app.state.queue
    return queue


def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


def _watchers(request: Request) -> Watchers:
    watchers: Watchers = request.app.state.watchers
    return watchers


def _templates(request: Request) -> Jinja2Templates:
    templates: Jinja2Templates = request.app.state.templates
    return templates


SettingsDep = Annotated[Settings, Depends(_settings)]
RegistryDep = Annotated[Registry, Depends(_registry)]
EngineDep = Annotated[Engine, Depends(_engine)]
CorporaDep = Annotated[Corpora, Depends(_corpora)]
QueueDep = Annotated[JobQueue, Depends(_queue)]
AdmissionDep = Annotated[Admission, Depends(_admission)]
WatchersDep = Annotated[Watchers, Depends(_watchers)]
TemplatesDep = Annotated[Jinja2Templates, Depends(_templates)]


def borrow(
    registry: Registry, run_id: str, step: int | None
) -> AbstractAsyncContextManager[LoadedRun]:
    """`registry.lend` for an event loop: a model may take a while to load."""
    return contextmanager_in_threadpool(registry.lend(run_id, step))
