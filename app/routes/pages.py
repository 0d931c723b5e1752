"""The pages: a template each, with the runs as data."""

from contextlib import suppress
from http import HTTPStatus
from typing import Any

import anyio.to_thread
from fastapi import APIRouter, BackgroundTasks, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import ValidationError

from app import __version__
from app.attention_schemas import AttentionRequest
from app.deps import CorporaDep, QueueDep, RegistryDep, TemplatesDep, borrow
from app.errors import RequestError
from app.form_schema import form_schema
from app.jobs.queue import JobQueue
from app.jobs.view import devices
from app.lessons import LESSONS
from app.preset_listing import list_presets
from app.registry import Registry
from app.run_listing import list_runs
from app.settings import Settings
from app.vendor import plotly_js, swagger_ui_css, swagger_ui_js

LONGEST_END = 9  # digits; no text is as long

router = APIRouter(include_in_schema=False)


@router.get("/")
def compare(
    request: Request, registry: RegistryDep, queue: QueueDep, templates: TemplatesDep
) -> HTMLResponse:
    return templates.TemplateResponse(request, "compare.html", _context(request, registry, queue))


@router.get("/attention")
def attention(
    request: Request,
    registry: RegistryDep,
    queue: QueueDep,
    templates: TemplatesDep,
    background: BackgroundTasks,
) -> HTMLResponse:
    if "generate" in request.state.holder.rights:  # else the page will not be told them
        background.add_task(_read_ahead, request, registry)
    context = _context(request, registry, queue)
    return templates.TemplateResponse(request, "attention.html", context, background=background)


@router.get("/runs")
def runs(
    request: Request, registry: RegistryDep, queue: QueueDep, templates: TemplatesDep
) -> HTMLResponse:
    return templates.TemplateResponse(request, "runs.html", _context(request, registry, queue))


@router.get("/train")
def train(
    request: Request,
    registry: RegistryDep,
    corpora: CorporaDep,
    queue: QueueDep,
    templates: TemplatesDep,
) -> HTMLResponse:
    context = _context(request, registry, queue)
    context["page_data"] |= {
        "presets": list_presets().model_dump(mode="json")["presets"],
        "schema": form_schema().model_dump(mode="json"),
        "corpora": [corpus.model_dump(mode="json") for corpus in corpora.list()],
        "devices": [device.model_dump() for device in devices(queue)],
    }
    return templates.TemplateResponse(request, "train.html", context)


@router.get("/learn")
def learn(request: Request, templates: TemplatesDep) -> HTMLResponse:
    return templates.TemplateResponse(request, "learn.html", _frame() | {"lessons": LESSONS})


@router.get("/learn/{slug}")
def lesson(
    slug: str,
    request: Request,
    registry: RegistryDep,
    queue: QueueDep,
    templates: TemplatesDep,
) -> HTMLResponse:
    number = next((i for i, lesson in enumerate(LESSONS) if lesson.slug == slug), None)
    if number is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    context = _context(request, registry, queue) | {"lessons": LESSONS, "number": number}
    return templates.TemplateResponse(request, "lesson.html", context)


@router.get("/docs")
def docs(request: Request, templates: TemplatesDep) -> HTMLResponse:
    swagger_ui = {"swagger_js": swagger_ui_js().url, "swagger_css": swagger_ui_css().url}
    return templates.TemplateResponse(request, "docs.html", _frame() | swagger_ui)


def error_page(request: Request, status: int, message: str) -> HTMLResponse:
    """What a person sees for an address that leads nowhere."""
    templates: TemplatesDep = request.app.state.templates
    context = _frame() | {"status": status, "message": message}
    return templates.TemplateResponse(request, "error.html", context, status_code=status)


async def _read_ahead(request: Request, registry: Registry) -> None:
    """Work out the maps that an address asks for while the browser loads the page's scripts.

    Whatever is wrong with the address, the page will be told when it asks itself. Where others
    have their turn, nothing is gained by waiting for it.
    """
    state, asked = request.app.state, request.query_params
    if not state.inspections.available_tokens:
        return
    fields = {name: asked.get(name) for name in ("run", "step", "text", "kind")}
    with suppress(RequestError, ValidationError):
        wanted = AttentionRequest.model_validate(fields)
        end = int(asked["end"][:LONGEST_END]) if asked.get("end", "").isdecimal() else None
        async with borrow(registry, wanted.run, wanted.step) as loaded:

            def work() -> None:
                state.reader.read(loaded, wanted.text[:end]).maps(wanted.kind)

            await anyio.to_thread.run_sync(work, limiter=state.inspections)


def _context(request: Request, registry: Registry, queue: JobQueue) -> dict[str, Any]:
    settings: Settings = request.app.state.settings
    listed = list_runs(registry, queue.run_ids(), settings.max_import_bytes)
    return _frame() | {"page_data": listed.model_dump(mode="json")}


def _frame() -> dict[str, Any]:
    """What `base.html` needs on every page."""
    return {"page_data": {}, "plotly_src": plotly_js().url, "version": __version__}
