"""`/api/learn/self-attention`, `/cross-attention` and `/attend`: attention, number by number."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import anyio.to_thread
from fastapi import APIRouter, Request

from app.deps import borrow
from app.errors import ErrorReply
from app.learn.attention_steps import (
    AttentionSteps,
    ByHand,
    CrossAttentionReply,
    OneHead,
    SelfAttentionReply,
    TwoTexts,
    by_hand,
    cross_attention,
    self_attention,
)
from app.reading import Reader
from app.registry import LoadedRun

router = APIRouter(prefix="/api/learn", tags=["Learn"])

Body = TypeVar("Body", bound=OneHead)
Reply = TypeVar("Reply")

WRONG: dict[int | str, dict[str, Any]] = {
    422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
}
RESPONSES = WRONG | {
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
}


@router.post("/self-attention", summary="One head, step by step", responses=RESPONSES)
async def of_one_head(body: OneHead, request: Request) -> SelfAttentionReply:
    """What a head makes of a short text, from the stream that it reads to what it adds to it.

    Weights are those of the forward pass; beside them stand those without the scaling.
    """
    return await _answer(request, body, self_attention)


@router.post("/cross-attention", summary="Attention of three kinds", responses=RESPONSES)
async def of_three_kinds(body: TwoTexts, request: Request) -> CrossAttentionReply:
    """A head's queries, keys and values in attention, self-attention and cross-attention.

    A run reads one text only, so that cross-attention is an illustration: no head was trained for
    it. Each text is read by itself, from position 0.
    """
    return await _answer(request, body, cross_attention)


@router.post("/attend", summary="Attention by hand", responses=WRONG)
async def of_matrices(body: ByHand) -> AttentionSteps:
    """Every step from the queries, keys and values that are sent, up to 12 by 12 numbers each."""
    return await anyio.to_thread.run_sync(by_hand, body)


async def _answer(
    request: Request, body: Body, work: Callable[[LoadedRun, Body, Reader], Reply]
) -> Reply:
    """Do `work` with the run, in a thread."""
    state = request.app.state
    async with borrow(state.registry, body.run, body.step) as loaded:
        job = partial(work, loaded, body, state.reader)
        return await anyio.to_thread.run_sync(job, limiter=state.inspections)
