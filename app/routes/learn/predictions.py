"""`/api/learn/next-token` and `/api/learn/orders`: how runs of any kind predict."""

from typing import Any

import anyio.to_thread
from fastapi import APIRouter, Request

from app.deps import CorporaDep, RegistryDep, borrow
from app.errors import ErrorReply
from app.learn.predictions import (
    NextTokenReply,
    NextTokenRequest,
    OrderLosses,
    OrdersReply,
    predict,
)

router = APIRouter(prefix="/api/learn", tags=["Learn"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    422: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
    503: {"model": ErrorReply, "description": "The run's folder is broken."},
}


@router.post("/next-token", summary="What a run expects next", responses=RESPONSES)
async def next_token(
    body: NextTokenRequest, request: Request, registry: RegistryDep
) -> NextTokenReply:
    """The likeliest next tokens, what was looked at for them, and how unexpected the text was.

    Of an n-gram run the counts behind it, so that its sum can be redone by hand.
    """
    async with borrow(registry, body.run, body.step) as loaded:
        return await anyio.to_thread.run_sync(
            predict, loaded, body, limiter=request.app.state.inspections
        )


@router.get("/orders", summary="How well each order predicts", responses=RESPONSES)
async def orders(
    run: str, request: Request, registry: RegistryDep, corpora: CorporaDep
) -> OrdersReply:
    """The validation loss of an n-gram run, and of the lower orders of the same counts."""
    losses: OrderLosses = request.app.state.order_losses
    async with borrow(registry, run, None) as loaded:
        return await anyio.to_thread.run_sync(
            losses.quality, loaded, corpora, limiter=request.app.state.inspections
        )
