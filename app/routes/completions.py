"""`/v1/completions`: OpenAI's text completion."""

from contextlib import AsyncExitStack
from functools import partial

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app import examples
from app.answers import Answers, refusals
from app.completion import Answer
from app.deps import EngineDep, PlacesDep, RegistryDep, SettingsDep, borrow, in_a_thread, turn
from app.errors import UnknownRun
from app.logs.context import note
from app.prompting import read_prompts, scores_prompts, tasks
from app.registry import LoadedRun, Registry
from app.schemas import Completion, CompletionRequest
from app.sse import EventStream, unless_client_leaves
from app.writing import Writing

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it is for the log

router = APIRouter(prefix="/v1", tags=["OpenAI"])

RESPONSES: Answers = {
    200: {
        "description": "The text; with `stream`, server-sent events that each hold a chunk of it. "
        "The first chunk carries `context`, the last event is `[DONE]`.",
        "content": {
            "application/json": {"example": examples.kept(examples.COMPLETION)},
            "text/event-stream": {"example": examples.COMPLETION_STREAM},
        },
    },
    **refusals(
        {
            404: "There is no such run or snapshot.",
            503: "All places are taken, or time was up before the first token, as `code` says; see "
            "`Retry-After`. Or the run's folder is broken.",
        }
    ),
}


@router.post(
    "/completions",
    summary="Write on from a prompt",
    response_model=Completion,
    response_model_exclude_unset=False,
    responses=RESPONSES,
    openapi_extra=examples.of_request(examples.COMPLETION_REQUESTS),
)
async def create_completion(
    body: CompletionRequest,
    request: Request,
    registry: RegistryDep,
    engine: EngineDep,
    places: PlacesDep,
    settings: SettingsDep,
) -> Response:
    """Write up to `max_tokens` tokens after the prompt.

    The model sees the last tokens of what is there, as many as its context holds; `context`
    tells how much of the prompt that was. The same seed gives the same text, whatever else the
    server is doing.
    """
    async with AsyncExitStack() as stack:
        stack.enter_context(places(body.texts))
        if scores_prompts(body):  # which takes as long as an analysis does
            async with turn(request, request.app.state.inspections):
                loaded = await _borrow(stack, registry, body)
                prompts = await in_a_thread(request, partial(read_prompts, body, loaded))
        else:
            loaded = await _borrow(stack, registry, body)
            prompts = await run_in_threadpool(read_prompts, body, loaded)
        batch = await run_in_threadpool(loaded.batch)
        most_s = settings.max_seconds if body.max_time is None else body.max_time
        writing = engine.submit(
            await run_in_threadpool(tasks, body, loaded, prompts, batch),
            deadline_s=min(most_s, settings.max_seconds),
            together_s=settings.event_interval_ms / 1000,
        )
        stack.callback(_note_end, body, writing)  # after the next one, which may cut texts short
        stack.callback(writing.close)
        answer = Answer(body, loaded, prompts, writing)
        if body.stream:
            return EventStream(answer.events(), close=stack.pop_all().aclose)
        try:
            content = await unless_client_leaves(request.receive, answer.whole())
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return Response(content, media_type="application/json")


def _note_end(body: CompletionRequest, writing: Writing) -> None:
    """What the request's log line says of its texts."""
    note(run=body.model, texts=len(writing.texts), tokens=writing.drawn, finish=writing.ending)


async def _borrow(stack: AsyncExitStack, registry: Registry, body: CompletionRequest) -> LoadedRun:
    """Raises UnknownRun, of an unknown model as OpenAI's clients know it, or UnusableRun."""
    try:
        return await stack.enter_async_context(borrow(registry, body.model, body.step))
    except UnknownRun as error:
        if error.param == "step":
            raise
        raise UnknownRun(error.message, param="model", code="model_not_found") from None
