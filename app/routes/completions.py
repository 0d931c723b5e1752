"""`/v1/completions`: OpenAI's text completion."""

from contextlib import AsyncExitStack
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from app import examples
from app.completion import Answer
from app.deps import EngineDep, PlacesDep, RegistryDep, SettingsDep, borrow
from app.errors import ErrorReply, UnknownRun
from app.prompting import read_prompts, tasks
from app.schemas import Completion, CompletionRequest
from app.sse import EventStream, unless_client_leaves

CLIENT_CLOSED_REQUEST = 499  # nobody reads it; it is for the log

router = APIRouter(prefix="/v1", tags=["OpenAI"])

RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The text; with `stream`, server-sent events that each hold a chunk of it. "
        "The first chunk carries `context`, the last event is `[DONE]`.",
        "content": {
            "application/json": {"example": examples.COMPLETION},
            "text/event-stream": {"example": examples.COMPLETION_STREAM},
        },
    },
    400: {"model": ErrorReply, "description": "A field cannot be used; `param` names it."},
    404: {"model": ErrorReply, "description": "There is no such run or snapshot."},
    503: {
        "model": ErrorReply,
        "description": "All places are taken, or time was up before "
        "the first token; see `Retry-After`.",
    },
    "default": {"model": ErrorReply, "description": "Any other error."},
}


@router.post(
    "/completions",
    summary="Write on from a prompt",
    response_model=Completion,
    response_model_exclude_unset=False,
    responses=RESPONSES,
    openapi_extra=examples.of_request(examples.COMPLETION_REQUESTS),
)
async def complete(
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
        try:
            loaded = await stack.enter_async_context(borrow(registry, body.model, body.step))
        except UnknownRun as error:
            raise _as_openai(error) from None
        prompts = await run_in_threadpool(read_prompts, body, loaded)
        batch = await run_in_threadpool(loaded.batch)
        most_s = settings.max_seconds if body.max_time is None else body.max_time
        writing = engine.submit(
            tasks(body, loaded, prompts, batch),
            deadline_s=min(most_s, settings.max_seconds),
            together_s=settings.event_interval_ms / 1000,
        )
        stack.callback(writing.close)
        answer = Answer(body, loaded, prompts, writing)
        if body.stream:
            return EventStream(answer.events(), close=stack.pop_all().aclose)
        try:
            completion = await unless_client_leaves(request.receive, answer.whole())
        except ClientDisconnect:
            return Response(status_code=CLIENT_CLOSED_REQUEST)
        return Response(completion.model_dump_json(), media_type="application/json")


def _as_openai(error: UnknownRun) -> UnknownRun:
    """What OpenAI's clients know an unknown model by."""
    if error.param == "step":
        return error
    return UnknownRun(error.message, param="model", code="model_not_found")
