"""`/runs/report`, a page, and `/api/report`, the same as JSON or as a file."""

from functools import partial
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from pydantic import Field

from app.answers import TEXT, refusals
from app.deps import QueueDep, RegistryDep, TemplatesDep, in_turn
from app.errors import RequestError
from app.jobs.queue import JobQueue
from app.registry import Registry
from app.report import html, markdown, words
from app.report.contents import build
from app.report.schemas import Report
from app.report.selection import choose
from app.schemas import LONGEST_NAME, Name

router = APIRouter()

MOST_RUNS = 200

Runs = Annotated[
    list[Annotated[str, Field(max_length=MOST_RUNS * LONGEST_NAME)]],
    Query(
        max_length=MOST_RUNS,
        description="Ids of runs, with commas between; all that have a loss if left out.",
    ),
]
Reference = Annotated[
    Name | None,
    Query(description="The run to compare with; `baseline`, else the first, if left out."),
]
Format = Annotated[
    Literal["json", "html", "markdown"],
    Query(description="`html` and `markdown` are single files, with their figures inside."),
]
MEDIA = {"html": "text/html", "markdown": "text/markdown"}
ENDINGS = {"html": "html", "markdown": "md", "json": "json"}


@router.get(
    "/api/report",
    tags=["Runs"],
    summary="What each change brought",
    response_model=Report,
    responses={
        200: {"content": dict.fromkeys(MEDIA.values(), TEXT)},
        **refusals({404: "There is no such run.", 503: "A run's folder is broken."}),
    },
)
async def get_report(
    request: Request,
    registry: RegistryDep,
    queue: QueueDep,
    runs: Runs = [],  # noqa: B006 (FastAPI copies it)
    reference: Reference = None,
    format: Format = "json",
) -> Response:
    """Runs against one of them, with what was expected of each and a sample at the same seed.

    For each: what was changed, losses and time, cost against gain, its loss curve, hypothesis,
    outcome and verdict.
    """

    def make() -> Response:
        report = _report(registry, queue, _ids(runs), reference)
        if format == "json":
            return Response(report.model_dump_json(), media_type="application/json")
        content = html.document(report) if format == "html" else markdown.whole(report)
        name = _file_name(report, format)
        headers = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(content, headers=headers, media_type=MEDIA[format])

    return await in_turn(request, request.app.state.reports, make)


@router.get("/runs/report", include_in_schema=False)
async def report_page(
    request: Request,
    registry: RegistryDep,
    queue: QueueDep,
    templates: TemplatesDep,
    runs: Runs = [],  # noqa: B006
    reference: Reference = None,
) -> HTMLResponse:
    make = partial(_page, request, registry, queue, templates, _ids(runs), reference)
    return await in_turn(request, request.app.state.reports, make)


def _page(
    request: Request,
    registry: Registry,
    queue: JobQueue,
    templates: Jinja2Templates,
    chosen: list[str],
    reference: str | None,
) -> HTMLResponse:
    known = [run.config for run in registry.runs()]
    context: dict[str, Any] = {"words": words, "known": known, "chosen": chosen}
    context["reference_id"] = reference
    if not known:
        return templates.TemplateResponse(request, "report.html", context)
    try:
        report = _report(registry, queue, chosen, reference or None)
    except RequestError as error:
        context["problem"] = error.message
        return templates.TemplateResponse(request, "report.html", context, error.status or 422)
    shown = [row.id for row in report.runs if not chosen or row.id in chosen]
    query = {"runs": ",".join(shown), "reference": report.reference}
    context |= html.parts(report) | {
        "chosen": shown,
        "reference_id": report.reference,
        "query": urlencode(query, safe=","),
        "file_names": {format: _file_name(report, format) for format in ENDINGS},
    }
    return templates.TemplateResponse(request, "report.html", context)


def _report(registry: Registry, queue: JobQueue, ids: list[str], reference: str | None) -> Report:
    return build(*choose(registry, ids, reference), queue.run_ids())


def _ids(runs: list[str]) -> list[str]:
    """Of `runs=a,b` and of `runs=a&runs=b`, as a form has it."""
    return [id for part in runs for id in part.split(",") if id]


def _file_name(report: Report, format: str) -> str:
    return f"tuning-report-{report.reference}.{ENDINGS[format]}"
