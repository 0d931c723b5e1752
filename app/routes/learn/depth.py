"""`/api/learn/depth` and `/api/learn/dropout`: what keeps a deep network trainable."""

from fastapi import APIRouter, Request

from app import examples_learn
from app.deps import ask_reader
from app.learn.depth import (
    DepthReply,
    DepthRequest,
    DropoutReply,
    DropoutRequest,
    measure_depth,
    measure_dropout,
)

router = APIRouter(prefix="/api/learn", tags=["Learn"])


@router.post("/depth", summary="Along the depth of a run", **examples_learn.of("depth"))
async def follow_depth(body: DepthRequest, request: Request) -> DepthReply:
    """Lengths, variances and gradients at each step from the embeddings to the logits.

    Four times: with residual connections and normalisation or without, in the same weights.
    """
    return await ask_reader(request, body, measure_depth)


@router.post("/dropout", summary="Dropout in the forward pass", **examples_learn.of("dropout"))
async def try_dropout(body: DropoutRequest, request: Request) -> DropoutReply:
    """How far the loss and the next token scatter when a run reads a text with dropout on.

    Nothing else ever has it on but training: every other answer here is without.
    """
    return await ask_reader(request, body, measure_dropout)
