"""`/api/runs/{id}/export`: a run as files for other programs."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.answers import BYTES, Answers, refusals
from app.deps import ModelFilesDep, RegistryDep, SettingsDep
from app.errors import NoRoom, ServerLimit
from app.export_archive import (
    EXPORTS,
    ArchiveResponse,
    Outgoing,
    check_export,
    export_archive,
)
from app.schemas import Name, Step
from model.interop.exporting import ExportFormat

router = APIRouter(prefix="/api", tags=["Runs"])

RESPONSES: Answers = {
    200: {"description": "A zip.", "content": {"application/zip": BYTES}},
    **refusals(
        {
            404: "There is no such run or snapshot.",
            422: "The run cannot be taken out in that format.",
            503: "The run's folder is broken. Or many exports wait for those who read them.",
            507: "The disk is full.",
        }
    ),
}

Format = Annotated[
    ExportFormat,
    Query(
        description="`run`: the run folder, which Sidelight brings in again. `safetensors`: "
        "weights, configuration and tokenizer. `huggingface`: a GPT-2 folder for transformers. "
        "`onnx`: the network as an ONNX graph. A run's `exports` are those it can have."
    ),
]
Snapshot = Annotated[Step | None, Query(description="The snapshot of this step.")]


@router.head("/runs/{id}/export", include_in_schema=False)
def check(
    id: Name, registry: RegistryDep, format: Format = "run", step: Snapshot = None
) -> Response:
    """Whether it can be had, before a browser saves an error instead."""
    check_export(registry.run(id), format, step)
    answer = Response(media_type="application/zip")
    del answer.headers["content-length"]  # it is not that of the zip, which nobody knows yet
    return answer


@router.get(
    "/runs/{id}/export",
    summary="Take a run out",
    response_class=StreamingResponse,
    responses=RESPONSES,
)
async def export_run(
    id: Name,
    request: Request,
    registry: RegistryDep,
    model_files: ModelFilesDep,
    settings: SettingsDep,
    format: Format = "run",
    step: Snapshot = None,
) -> StreamingResponse:
    """A zip of the run in one of the formats that other programs read."""
    outgoing: Outgoing = request.app.state.outgoing
    run = await run_in_threadpool(registry.run, id)
    try:
        async with model_files:
            archive, size = await run_in_threadpool(
                export_archive, run, format, step, settings.data / EXPORTS
            )
    except OSError as error:
        raise NoRoom(f"the export cannot be made: {error.strerror}", code="disk") from None
    try:
        outgoing.require_room(size)
    except ServerLimit:
        archive.close()
        raise
    headers = {"Content-Disposition": f'attachment; filename="{run.id}-{format}.zip"'}
    return ArchiveResponse(archive, size, outgoing, headers)
