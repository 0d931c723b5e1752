"""`/api/attention`: what every head of a run looks at."""

from typing import Any

import anyio.to_thread
import numpy as np
from fastapi import APIRouter, Request, Response

from app import examples
from app.attention_schemas import AttentionReply, AttentionRequest
from app.attention_wire import compact, npy
from app.deps import RegistryDep, SettingsDep, borrow
from app.errors import ErrorReply
from app.inspection import Inspection, inspect
from app.reading import check_size
from app.settings import Settings

NPY = "application/x-npy"
COMPACT = "application/octet-stream"

router = APIRouter(prefix="/api", tags=["Runs"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The maps, in the form that `Accept` asks for.",
        "content": {
            "application/json": {"example": examples.ATTENTION},
            NPY: {
                "schema": {"type": "string", "format": "binary"},
                "example": "a .npy file: float32, (layers, heads, T, T)",
            },
            COMPACT: {
                "schema": {"type": "string", "format": "binary"},
                "example": "uint32 little-endian N; N bytes of JSON with the fields of the reply "
                "but for `maps`; then for each layer and head the lower triangle row by row, one "
                "byte for each number, round(255 p)",
            },
        },
    },
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
}


@router.post(
    "/attention",
    summary="Attention maps",
    response_model=AttentionReply,
    responses=RESPONSES,
    openapi_extra=examples.of_request(examples.ATTENTION_REQUESTS),
)
async def attention(
    body: AttentionRequest, request: Request, registry: RegistryDep, settings: SettingsDep
) -> Response:
    """How much each token looks at itself and each one before it, in every head.

    The numbers are the softmax of the forward pass that also writes text. Of a text longer than
    the context only the end is seen; `text_offset` tells how much was left out.
    """
    accept = request.headers.get("accept", "")
    limiter: anyio.CapacityLimiter = request.app.state.inspections
    async with borrow(registry, body.run, body.step) as loaded:

        def work() -> Response:
            seen = inspect(loaded, body.text, body.layers, body.heads, settings.attention_cells)
            return _encoded(seen, accept, settings)

        return await anyio.to_thread.run_sync(work, limiter=limiter)


def _encoded(seen: Inspection, accept: str, settings: Settings) -> Response:
    vary = {"Vary": "Accept"}
    if NPY in accept:
        return Response(npy(seen.maps), media_type=NPY, headers=vary)
    if COMPACT in accept:
        return Response(compact(_header(seen), seen.maps), media_type=COMPACT, headers=vary)
    advice = f"ask for fewer layers or heads, or send Accept: {NPY} or {COMPACT}"
    check_size(seen.maps.size, settings.attention_json_cells, advice)
    maps = np.round(seen.maps.astype(np.float64), 8).tolist()
    reply = AttentionReply(**_header(seen), shape=list(seen.maps.shape), maps=maps)
    return Response(reply.model_dump_json(), media_type="application/json", headers=vary)


def _header(seen: Inspection) -> dict[str, Any]:
    """All but the maps."""
    return seen.window.facts() | {
        "kind": "raw",
        "merge": None,
        "merge_by": "mean",
        "largest": float(seen.maps.max()),
        "layers": seen.layers,
        "heads": seen.heads,
    }
