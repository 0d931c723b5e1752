"""`/api/learn/self-attention`, `/cross-attention` and `/attend`: attention, number by number."""

from collections.abc import Callable
from typing import TypeVar

import anyio.to_thread
from fastapi import APIRouter, Request

from app import examples_learn
from app.deps import ask_run
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


@router.post(
    "/self-attention", summary="One head, step by step", **examples_learn.of("self-attention")
)
async def explain_self_attention(body: OneHead, request: Request) -> SelfAttentionReply:
    """What a head makes of a short text, from the stream that it reads to what it adds to it.

    Weights are those of the forward pass; beside them stand those without the scaling.
    """
    return await _answer(request, body, self_attention)


@router.post(
    "/cross-attention", summary="Attention of three kinds", **examples_learn.of("cross-attention")
)
async def explain_cross_attention(body: TwoTexts, request: Request) -> CrossAttentionReply:
    """A head's queries, keys and values in attention, self-attention and cross-attention.

    A run reads one text only, so that cross-attention is an illustration: no head was trained for
    it. Each text is read by itself, from position 0.
    """
    return await _answer(request, body, cross_attention)


@router.post("/attend", summary="Attention by hand", **examples_learn.of("attend", {}))
async def attend_by_hand(body: ByHand) -> AttentionSteps:
    """Every step from the queries, keys and values that are sent, up to 12 by 12 numbers each."""
    return await anyio.to_thread.run_sync(by_hand, body)


async def _answer(
    request: Request, body: Body, work: Callable[[LoadedRun, Body, Reader], Reply]
) -> Reply:
    reader = request.app.state.reader
    return await ask_run(request, body.run, body.step, lambda run: work(run, body, reader))
