"""`/api/attention/…`: what the heads of a run do, and what they do it with."""

from contextlib import AsyncExitStack
from functools import partial

from fastapi import APIRouter, Request

from app import examples
from app.analysis.ablation import miss_each_head, switch_off
from app.analysis.comparison import compare, of_side
from app.analysis.distribution import stages_of_drawing
from app.analysis.inside import look_inside
from app.analysis.roles import score_heads
from app.answers import RUN
from app.attention_schemas import (
    AblationReply,
    AblationRequest,
    ComparisonReply,
    ComparisonRequest,
    DistributionReply,
    DistributionRequest,
    ImportanceReply,
    ImportanceRequest,
    InsideReply,
    InsideRequest,
    RolesReply,
    RolesRequest,
)
from app.deps import ask_reader, borrow, in_a_thread, turn

router = APIRouter(prefix="/api/attention", tags=["Attention"])


@router.post(
    "/roles",
    summary="What each head does",
    responses=RUN | examples.of_answer(examples.ROLES),
    openapi_extra=examples.of_request(examples.ROLES_REQUESTS),
)
async def score_head_roles(body: RolesRequest, request: Request) -> RolesReply:
    """Scores of every head: on the text, and on random tokens that come twice."""
    return await ask_reader(request, body, lambda window, _: score_heads(window))


@router.post(
    "/comparison",
    summary="Two sides, head by head",
    responses=RUN | examples.of_answer(examples.COMPARISON),
    openapi_extra=examples.of_request(examples.COMPARISON_REQUESTS),
)
async def compare_heads(body: ComparisonRequest, request: Request) -> ComparisonReply:
    """How far each head of `a` is from its counterpart in `b`, on the same tokens.

    Both see as much of the text's end as the shorter of their contexts takes.
    """
    state = request.app.state
    async with turn(request, state.inspections), AsyncExitStack() as borrowed:
        lent = []
        for name, side in (("a", body.a), ("b", body.b)):
            with of_side(name):
                run = borrow(state.registry, side.run, side.step)
                lent.append(await borrowed.enter_async_context(run))
        a, b = lent
        work = partial(compare, a, b, body, state.reader)
        return await in_a_thread(request, work)


@router.post(
    "/inside",
    summary="Inside one head",
    responses=RUN | examples.of_answer(examples.INSIDE),
    openapi_extra=examples.of_request(examples.INSIDE_REQUESTS),
)
async def inspect_head(body: InsideRequest, request: Request) -> InsideReply:
    """One query of one head from q·k to the weighted values, and where the next token comes from.

    The latter by the logit lens, layer by layer, and by the part of each head and MLP in the
    token's logit.
    """
    return await ask_reader(request, body, look_inside)


@router.post(
    "/distribution",
    summary="What the next token is drawn from",
    responses=RUN | examples.of_answer(examples.DISTRIBUTION),
    openapi_extra=examples.of_request(examples.DISTRIBUTION_REQUESTS),
)
async def get_distribution(body: DistributionRequest, request: Request) -> DistributionReply:
    """The next token's probabilities after each stage of drawing.

    The first are the model's own, the last those that `/v1/completions` draws from.
    """
    return await ask_reader(request, body, stages_of_drawing)


@router.post(
    "/ablation",
    summary="Switch heads off",
    responses=RUN | examples.of_answer(examples.ABLATION),
    openapi_extra=examples.of_request(examples.ABLATION_REQUESTS),
)
async def ablate_heads(body: AblationRequest, request: Request) -> AblationReply:
    """The loss on the text, the next token and what is written on, with and without some heads.

    What is written begins from what is seen of the text; with the same seed, `text_before` is what
    `/v1/completions` writes.
    """
    return await ask_reader(request, body, switch_off)


@router.post(
    "/importance",
    summary="How much each head is missed",
    responses=RUN | examples.of_answer(examples.IMPORTANCE),
    openapi_extra=examples.of_request(examples.IMPORTANCE_REQUESTS),
)
async def measure_importance(body: ImportanceRequest, request: Request) -> ImportanceReply:
    """The change of the loss on the text without each head in turn."""
    return await ask_reader(request, body, miss_each_head)
