"""The pages: a template each, with the runs as data."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from app import __version__
from app.deps import RegistryDep, TemplatesDep
from app.registry import Registry
from app.run_listing import list_runs
from app.vendor import plotly_js, swagger_ui_css, swagger_ui_js

router = APIRouter(include_in_schema=False)


@router.get("/")
def compare(request: Request, registry: RegistryDep, templates: TemplatesDep) -> HTMLResponse:
    return templates.TemplateResponse(request, "compare.html", _context(registry))


@router.get("/attention")
def attention(request: Request, registry: RegistryDep, templates: TemplatesDep) -> HTMLResponse:
    return templates.TemplateResponse(request, "attention.html", _context(registry))


@router.get("/runs")
def runs(request: Request, registry: RegistryDep, templates: TemplatesDep) -> HTMLResponse:
    return templates.TemplateResponse(request, "runs.html", _context(registry))


@router.get("/docs")
def docs(request: Request, templates: TemplatesDep) -> HTMLResponse:
    swagger_ui = {"swagger_js": swagger_ui_js().url, "swagger_css": swagger_ui_css().url}
    return templates.TemplateResponse(request, "docs.html", _frame() | swagger_ui)


def error_page(request: Request, status: int, message: str) -> HTMLResponse:
    """What a person sees for an address that leads nowhere."""
    templates: TemplatesDep = request.app.state.templates
    context = _frame() | {"status": status, "message": message}
    return templates.TemplateResponse(request, "error.html", context, status_code=status)


def _context(registry: Registry) -> dict[str, Any]:
    return _frame() | {"page_data": list_runs(registry).model_dump(mode="json")}


def _frame() -> dict[str, Any]:
    """What `base.html` needs on every page."""
    return {"page_data": {}, "plotly_src": plotly_js().url, "version": __version__}
