"""`/api/runs/{id}/export`: a run as files for other programs."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.deps import ModelFilesDep, RegistryDep, SettingsDep
from app.errors import ErrorReply, NoRoom
from app.export_archive import EXPORTS, check_export, chunks, export_archive
from model.interop.exporting import ExportFormat

router = APIRouter(prefix="/api", tags=["Runs"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A zip.",
        "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
    },
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    422: {"model": ErrorReply, "description": "The run cannot be taken out in that format."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
    507: {"model": ErrorReply, "description": "The disk is full."},
    "default": {"model": ErrorReply, "description": "Any other error."},
}


Format = Annotated[
    ExportFormat,
    Query(
        description="`run`: the run folder, which Sidelight brings in again. `safetensors`: "
        "weights, configuration and tokenizer. `huggingface`: a GPT-2 folder for transformers. "
        "`onnx`: the network as an ONNX graph. A run's `exports` are those it can have."
    ),
]
Step = Annotated[int | None, Query(ge=0, description="The snapshot of this step.")]


@router.head("/runs/{id}/export", include_in_schema=False)
def check(id: str, registry: RegistryDep, format: Format = "run", step: Step = None) -> Response:
    """Whether it can be had, before a browser saves an error instead."""
    check_export(registry.run(id), format, step)
    return Response(media_type="application/zip")


@router.get(
    "/runs/{id}/export",
    summary="Take a run out",
    response_class=StreamingResponse,
    responses=RESPONSES,
)
async def export(
    id: str,
    registry: RegistryDep,
    model_files: ModelFilesDep,
    settings: SettingsDep,
    format: Format = "run",
    step: Step = None,
) -> StreamingResponse:
    """A zip of the run in one of the formats that other programs read."""
    run = await run_in_threadpool(registry.run, id)
    try:
        async with model_files:
            archive, size = await run_in_threadpool(
                export_archive, run, format, step, settings.data / EXPORTS
            )
    except OSError as error:
        raise NoRoom(f"the export cannot be made: {error.strerror}", code="disk") from None
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{run.id}-{format}.zip"',
    }
    return StreamingResponse(chunks(archive), headers=headers, media_type="application/zip")
