"""`/api/learn/parts`, `/activations` and `/head-diversity`: inside a transformer, part by part."""

from functools import partial
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Query, Request

from app.deps import borrow
from app.errors import ErrorReply
from app.learn.transformer import (
    ActivationsReply,
    ActivationsRequest,
    HeadDiversityReply,
    HeadDiversityRequest,
    PartsReply,
    look_at_part,
    take_apart,
    tell_heads_apart,
)

router = APIRouter(prefix="/api/learn", tags=["Learn"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
}


@router.get("/parts", summary="The parts of a run's model", responses=RESPONSES)
async def parts(
    request: Request, run: Annotated[str, Query(description="Id of a run.")]
) -> PartsReply:
    """What the model works out, in order, with shapes and with every parameter by its name."""
    async with borrow(request.app.state.registry, run, None) as loaded:
        return take_apart(loaded)


@router.post("/activations", summary="What one part gives", responses=RESPONSES)
async def activations(body: ActivationsRequest, request: Request) -> ActivationsReply:
    """The numbers of a part in the forward pass that reads a text.

    Of a large model not all are sent: `axes` says which, and the statistics are of them all.
    """
    state = request.app.state
    async with borrow(state.registry, body.run, body.step) as loaded:
        work = partial(look_at_part, loaded, body, state.reader)
        return await anyio.to_thread.run_sync(work, limiter=state.inspections)


@router.post("/head-diversity", summary="How different heads are", responses=RESPONSES)
async def head_diversity(body: HeadDiversityRequest, request: Request) -> HeadDiversityReply:
    """How far the heads of each layer are apart on a text: Jensen-Shannon divergences in bits."""
    state = request.app.state

    def read_and_compare() -> HeadDiversityReply:
        return tell_heads_apart(state.reader.read(loaded, body.text, body.length))

    async with borrow(state.registry, body.run, body.step) as loaded:
        return await anyio.to_thread.run_sync(read_and_compare, limiter=state.inspections)
