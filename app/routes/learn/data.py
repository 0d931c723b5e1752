"""`/api/learn/encoding` and `/api/learn/batch`: from text to what a training step sees."""

from fastapi import APIRouter, Request

from app import examples_learn
from app.answers import RUN, refusals
from app.deps import CorporaDep, RegistryDep, in_turn
from app.learn.data import (
    BatchReply,
    BatchRequest,
    EncodingReply,
    EncodingRequest,
    draw_batch,
    encode,
)

router = APIRouter(prefix="/api/learn", tags=["Learn"])

RESPONSES = RUN | refusals({404: "There is no such run or text."})


@router.post(
    "/encoding", summary="A text as a run's tokens", **examples_learn.of("encoding", RESPONSES)
)
def encode_text(body: EncodingRequest, registry: RegistryDep) -> EncodingReply:
    """Each token with its id, in order; characters that the run does not know have none."""
    return encode(registry.run(body.run), body)


@router.post(
    "/batch", summary="A batch, as training draws it", **examples_learn.of("batch", RESPONSES)
)
async def show_batch(
    body: BatchRequest, request: Request, registry: RegistryDep, corpora: CorporaDep
) -> BatchReply:
    """Windows at random places of the training split, with the token behind each.

    With the run's own text and seed these are the very batches that it was trained on.
    """

    def draw() -> BatchReply:
        return draw_batch(registry.run(body.run), body, corpora)

    return await in_turn(request, request.app.state.inspections, draw)
