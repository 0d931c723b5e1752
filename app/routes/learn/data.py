"""`/api/learn/encoding` and `/api/learn/batch`: from text to what a training step sees."""

import anyio.to_thread
from fastapi import APIRouter, Request

from app.deps import CorporaDep, RegistryDep
from app.errors import RUN_RESPONSES, ErrorReply
from app.learn.data import (
    BatchReply,
    BatchRequest,
    EncodingReply,
    EncodingRequest,
    draw_batch,
    encode,
)

router = APIRouter(prefix="/api/learn", tags=["Learn"])

RESPONSES = RUN_RESPONSES | {
    404: {"model": ErrorReply, "description": "There is no such run or text."},
}


@router.post("/encoding", summary="A text as a run's tokens", responses=RESPONSES)
def encoding(body: EncodingRequest, registry: RegistryDep) -> EncodingReply:
    """Each token with its id, in order; characters that the run does not know have none."""
    return encode(registry.run(body.run), body)


@router.post("/batch", summary="A batch, as training draws it", responses=RESPONSES)
async def batch(
    body: BatchRequest, request: Request, registry: RegistryDep, corpora: CorporaDep
) -> BatchReply:
    """Windows at random places of the training split, with the token behind each.

    With the run's own text and seed these are the very batches that it was trained on.
    """

    def draw() -> BatchReply:
        return draw_batch(registry.run(body.run), body, corpora)

    return await anyio.to_thread.run_sync(draw, limiter=request.app.state.inspections)
