"""`/api/jobs`: training in the background."""

from contextlib import AsyncExitStack
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse

from app import examples
from app.answers import TEXT, Answers, refusals
from app.deps import AdmissionDep, QueueDep, StreamDep, WatchersDep
from app.jobs.requests import JobRequest
from app.jobs.view import Check, JobList, JobView, job_list, job_view
from app.logs.context import note
from app.run_listing import Configuration
from app.schemas import Name
from app.sse import EventStream

router = APIRouter(prefix="/api/jobs", tags=["Training"])

UNKNOWN = refusals({404: "There is no such job."})
CONFLICT = refusals({409: "Not as things stand; `code` says why."})
ADMISSION = refusals({404: "There is no such text or run."}) | CONFLICT
EVENTS: Answers = {
    200: {
        "description": "Events `state`, `progress`, `metric`, `sample` and `snapshot`, each with "
        "an id to go on from; `end` is the last one of a job that is over, `stopping` that of a "
        "server that stops: come again with the id.",
        "content": {"text/event-stream": {"example": examples.JOB_EVENTS}},
    },
    **UNKNOWN,
}


@router.get("", summary="All jobs")
def list_jobs(
    queue: QueueDep,
    sweep: Annotated[Name | None, Query(description="Only those of this sweep.")] = None,
) -> JobList:
    """Every job, the newest first, and the devices that jobs run on."""
    return job_list(queue, sweep)


@router.post(
    "",
    summary="Train a run",
    status_code=202,
    responses=ADMISSION,
    openapi_extra=examples.of_request(examples.JOB_REQUESTS),
)
def create_job(body: JobRequest, admission: AdmissionDep, queue: QueueDep) -> JobView:
    """Put a run into the queue. It trains in a process of its own, one on each device at a time.

    What cannot succeed is refused: a configuration that does not fit together, a window longer than
    the text, more memory than there is. The run is on every page from its first snapshot on.
    """
    admission.require_room()
    (job,) = queue.submit([admission.admit(body).job])
    note(job=job.id, run=job.run_id)
    return job_view(queue, job)


@router.post(
    "/check",
    summary="Check a job",
    responses=ADMISSION,
    openapi_extra=examples.of_request(examples.JOB_REQUESTS),
)
def check_job(body: JobRequest, admission: AdmissionDep, queue: QueueDep) -> Check:
    """What `POST /api/jobs` would start, or how it would refuse; nothing is started."""
    admission.require_room()
    admitted = admission.admit(body)
    queue.require_free(admitted.job)
    plan = admitted.job.plan
    return Check(
        run_id=plan.id,
        title=plan.title,
        config=Configuration(model=plan.model, train=plan.train),
        params=admitted.job.params,
        tokens_per_step=admitted.tokens_per_step,
        memory_bytes=admitted.memory_bytes,
        memory_available_bytes=admitted.memory_available_bytes,
        device=admitted.device,
    )


@router.get("/{id}", summary="One job", responses=UNKNOWN)
def get_job(id: Name, queue: QueueDep) -> JobView:
    """How it is at this moment."""
    return job_view(queue, queue.job(id))


@router.post(
    "/{id}/cancel", summary="Cancel a job", status_code=202, responses={**UNKNOWN, **CONFLICT}
)
def cancel_job(id: Name, queue: QueueDep) -> JobView:
    """A waiting job is over at once; one that runs first keeps what it needs to go on.

    A job that is over is refused with 409, code `job_over`.
    """
    return job_view(queue, queue.cancel(id))


@router.post(
    "/{id}/resume", summary="Resume a job", status_code=202, responses={**UNKNOWN, **CONFLICT}
)
def resume_job(id: Name, queue: QueueDep) -> JobView:
    """Let a failed, cancelled or interrupted job go on, as if it had never stopped."""
    return job_view(queue, queue.resume(id))


@router.delete("/{id}", summary="Forget a job", status_code=204, responses={**UNKNOWN, **CONFLICT})
def delete_job(id: Name, queue: QueueDep) -> Response:
    """Take a job that is over off the list; its run stays."""
    queue.remove(id)
    return Response(status_code=204)


@router.get(
    "/{id}/log",
    summary="What a job printed",
    response_class=PlainTextResponse,
    responses={
        200: {
            "content": {"text/plain": TEXT | {"example": "step 100: train 2.4612, val 2.4803\n"}}
        },
        **UNKNOWN,
    },
)
def get_job_log(id: Name, queue: QueueDep) -> PlainTextResponse:
    """The end of it, of all its attempts."""
    return PlainTextResponse(queue.log(id))


@router.get("/{id}/events", summary="Watch a job", response_class=Response, responses=EVENTS)
async def watch_job(
    id: Name,
    queue: QueueDep,
    watchers: WatchersDep,
    stream: StreamDep,
    last_event_id: Annotated[Name | None, Header(description="Go on after this event.")] = None,
    after: Annotated[
        Name | None,
        Query(alias="last_event_id", description="The same, for what sends no headers."),
    ] = None,
) -> Response:
    """Everything that has happened to the job and happens from now on.

    The first event is its `state`. With `Last-Event-ID` nothing that was missed is left out; after
    a resume, metrics of steps that count no more are told anew.
    """
    await run_in_threadpool(queue.job, id)
    async with AsyncExitStack() as held:
        held.enter_context(stream)
        events = watchers.events(id, last_event_id or after)
        return EventStream(events, close=held.pop_all().aclose)
