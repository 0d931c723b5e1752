"""`/api/learn/depth` and `/api/learn/dropout`: what keeps a deep network trainable."""

from collections.abc import Callable
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Request

from app.deps import borrow
from app.errors import ErrorReply
from app.learn.depth import (
    DepthReply,
    DepthRequest,
    DropoutReply,
    DropoutRequest,
    measure_depth,
    measure_dropout,
)
from app.reading import Window

router = APIRouter(prefix="/api/learn", tags=["Learn"])

Body = TypeVar("Body", bound=DepthRequest)
Reply = TypeVar("Reply")

RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
}


@router.post("/depth", summary="Along the depth of a run", responses=RESPONSES)
async def depth(body: DepthRequest, request: Request) -> DepthReply:
    """Lengths, variances and gradients at each step from the embeddings to the logits.

    Four times: with residual connections and normalisation or without, in the same weights.
    """
    return await _answer(request, body, measure_depth)


@router.post("/dropout", summary="Dropout in the forward pass", responses=RESPONSES)
async def dropout(body: DropoutRequest, request: Request) -> DropoutReply:
    """How far the loss and the next token scatter when a run reads a text with dropout on.

    Nothing else ever has it on but training: every other answer here is without.
    """
    return await _answer(request, body, measure_dropout)


async def _answer(request: Request, body: Body, work: Callable[[Window, Body], Reply]) -> Reply:
    """Let the run read the text, then do `work` on what it saw, in a thread."""
    state = request.app.state

    def read_and_work() -> Reply:
        return work(state.reader.read(loaded, body.text, body.length), body)

    async with borrow(state.registry, body.run, body.step) as loaded:
        return await anyio.to_thread.run_sync(read_and_work, limiter=state.inspections)
