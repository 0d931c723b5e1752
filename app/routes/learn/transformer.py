"""`/api/learn/parts`, `/activations` and `/head-diversity`: inside a transformer, part by part."""

from typing import Annotated

from fastapi import APIRouter, Query, Request

from app import examples_learn
from app.answers import RUN
from app.deps import ask_reader, ask_run
from app.examples import of_answer
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
from app.schemas import Name

router = APIRouter(prefix="/api/learn", tags=["Learn"])


@router.get(
    "/parts",
    summary="The parts of a run's model",
    responses=RUN | of_answer(examples_learn.ANSWERS["parts"]),
)
async def list_parts(
    request: Request, run: Annotated[Name, Query(description="Id of a run.")]
) -> PartsReply:
    """What the model works out, in order, with shapes and with every parameter by its name."""
    return await ask_run(request, run, None, take_apart)


@router.post("/activations", summary="What one part gives", **examples_learn.of("activations"))
async def read_activations(body: ActivationsRequest, request: Request) -> ActivationsReply:
    """The numbers of a part in the forward pass that reads a text.

    Of a large model not all are sent: `axes` says which, and the statistics are of them all.
    """
    reader = request.app.state.reader
    return await ask_run(
        request, body.run, body.step, lambda loaded: look_at_part(loaded, body, reader)
    )


@router.post(
    "/head-diversity", summary="How different heads are", **examples_learn.of("head-diversity")
)
async def measure_head_diversity(
    body: HeadDiversityRequest, request: Request
) -> HeadDiversityReply:
    """How far the heads of each layer are apart on a text: Jensen-Shannon divergences in bits."""
    return await ask_reader(request, body, lambda window, _: tell_heads_apart(window))
