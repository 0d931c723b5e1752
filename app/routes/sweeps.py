"""`/api/sweeps`: many runs, begun as one and shown as one."""

from contextlib import suppress
from dataclasses import replace

from fastapi import APIRouter

from app import examples
from app.answers import refusals
from app.deps import AdmissionDep, QueueDep, RegistryDep
from app.errors import Conflict
from app.jobs.admission import Admission
from app.jobs.queue import JobQueue, new_id
from app.jobs.store import Job, Sweep, now
from app.jobs.sweep_view import (
    PlannedRun,
    SweepCheck,
    SweepList,
    SweepView,
    find_sweep,
    sweep_list,
    sweep_view,
)
from app.schemas import Name
from app.sweep_request import SweepRequest
from app.sweeps import Expansion, expand

router = APIRouter(prefix="/api/sweeps", tags=["Training"])

UNKNOWN = refusals({404: "There is no such sweep."})
REFUSED = refusals({404: "There is no such text.", 409: "There is a run of that id already."})


@router.get("", summary="All sweeps")
def list_sweeps(queue: QueueDep, registry: RegistryDep) -> SweepList:
    """Every sweep with its jobs, the newest first."""
    return sweep_list(queue, registry)


@router.post(
    "",
    summary="Train many runs",
    status_code=202,
    responses=REFUSED,
    openapi_extra=examples.of_request(examples.SWEEP_REQUESTS),
)
def create_sweep(
    body: SweepRequest, admission: AdmissionDep, queue: QueueDep, registry: RegistryDep
) -> SweepView:
    """Put all runs of a sweep into the queue, or none: some presets, a grid, or random values."""
    expansion, jobs = _planned(body, admission, queue)
    sweep = Sweep(
        id=new_id(),
        title=expansion.title,
        hypothesis=body.hypothesis,
        fields=expansion.fields,
        created=now(),
    )
    queue.submit([replace(job, sweep=sweep.id) for job in jobs], sweep)
    return sweep_view(queue, registry, sweep)


@router.post(
    "/check",
    summary="Check a sweep",
    responses=REFUSED,
    openapi_extra=examples.of_request(examples.SWEEP_REQUESTS),
)
def check_sweep(body: SweepRequest, admission: AdmissionDep, queue: QueueDep) -> SweepCheck:
    """Which runs it would train, or how it would be refused; nothing is started."""
    _, jobs = _planned(body, admission, queue)
    planned = [
        PlannedRun(run_id=job.run_id, differing=job.values, params=job.params) for job in jobs
    ]
    return SweepCheck(count=len(planned), jobs=planned)


@router.get("/{id}", summary="One sweep", responses=UNKNOWN)
def get_sweep(id: Name, queue: QueueDep, registry: RegistryDep) -> SweepView:
    """Its jobs, the best first."""
    return sweep_view(queue, registry, find_sweep(queue, id))


@router.post("/{id}/cancel", summary="Cancel a sweep", status_code=202, responses=UNKNOWN)
def cancel_sweep(id: Name, queue: QueueDep, registry: RegistryDep) -> SweepView:
    """Cancel those of its jobs that are not over; what each has trained is kept."""
    sweep = find_sweep(queue, id)
    for job in reversed(queue.store.jobs_of(sweep.id)):  # so that none takes another's turn
        with suppress(Conflict):
            queue.cancel(job.id)
    return sweep_view(queue, registry, sweep)


def _planned(
    body: SweepRequest, admission: Admission, queue: JobQueue
) -> tuple[Expansion, list[Job]]:
    """The jobs of a sweep, each of which could be started. Raises RequestError."""
    expansion = expand(body, queue.is_taken)
    admission.require_room(len(expansion.runs))
    jobs: list[Job] = []
    for run in expansion.runs:
        job = admission.admit(run.request, taken=[other.run_id for other in jobs]).job
        queue.require_free(job)
        jobs.append(replace(job, values=run.values))
    return expansion, jobs
