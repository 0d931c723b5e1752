"""`/api/learn/next-token` and `/api/learn/orders`: how runs of any kind predict."""

from fastapi import APIRouter, Request

from app import examples_learn
from app.answers import RUN
from app.deps import CorporaDep, ask_run
from app.examples import of_answer
from app.learn.predictions import (
    NextTokenReply,
    NextTokenRequest,
    OrderLosses,
    OrdersReply,
    predict,
)
from app.schemas import Name

router = APIRouter(prefix="/api/learn", tags=["Learn"])


@router.post("/next-token", summary="What a run expects next", **examples_learn.of("next-token"))
async def predict_next_token(body: NextTokenRequest, request: Request) -> NextTokenReply:
    """The likeliest next tokens, what was looked at for them, and how unexpected the text was.

    Of an n-gram run the counts behind it, so that its sum can be redone by hand.
    """
    return await ask_run(request, body.run, body.step, lambda loaded: predict(loaded, body))


@router.get(
    "/orders",
    summary="How well each order predicts",
    responses=RUN | of_answer(examples_learn.ANSWERS["orders"]),
)
async def compare_orders(run: Name, request: Request, corpora: CorporaDep) -> OrdersReply:
    """The validation loss of an n-gram run, and of the lower orders of the same counts."""
    losses: OrderLosses = request.app.state.order_losses
    return await ask_run(request, run, None, lambda loaded: losses.quality(loaded, corpora))
