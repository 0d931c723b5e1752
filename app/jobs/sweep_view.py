"""Sweeps as the API tells of them: in which fields their jobs differ, and what came of each."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, Field

from app.errors import UnknownJob
from app.jobs.launcher import State
from app.jobs.queue import JobQueue
from app.jobs.store import Job, Sweep
from app.jobs.view import JobView, job_view, queue_positions
from app.registry import Registry, Run
from app.run_listing import summary


class SweepJob(BaseModel):
    """One of a sweep's jobs. The losses are those of its run so far."""

    job: JobView
    values: dict[str, Any] = Field(description="By field, what sets it apart from the others.")
    train_loss: float | None
    val_loss: float | None
    wall_time_s: float | None


class SweepView(BaseModel):
    """Jobs that were begun as one."""

    id: str
    title: str
    hypothesis: str
    created: str
    fields: list[str] = Field(description="In which its jobs differ, as `train.learning_rate`.")
    states: dict[State, int] = Field(description="How many of its jobs are in each state.")
    jobs: list[SweepJob] = Field(description="The lowest validation loss first, then in order.")


class SweepList(BaseModel):
    """The newest first."""

    sweeps: list[SweepView]


class PlannedRun(BaseModel):
    """A run of a sweep that has not been started."""

    run_id: str
    differing: dict[str, Any]
    params: int


class SweepCheck(BaseModel):
    """What a sweep would be, had it been started."""

    count: int
    jobs: list[PlannedRun]


def sweep_list(queue: JobQueue, registry: Registry) -> SweepList:
    runs = {run.id: run for run in registry.runs()}
    return SweepList(sweeps=[_view(queue, runs, sweep) for sweep in queue.store.sweeps()])


def find_sweep(queue: JobQueue, id: str) -> Sweep:
    """Raises UnknownJob."""
    for sweep in queue.store.sweeps():
        if sweep.id == id:
            return sweep
    raise UnknownJob(f"there is no sweep {id!r}", param="id", code="unknown_sweep")


def sweep_view(queue: JobQueue, registry: Registry, sweep: Sweep) -> SweepView:
    return _view(queue, {run.id: run for run in registry.runs()}, sweep)


def _view(queue: JobQueue, runs: Mapping[str, Run], sweep: Sweep) -> SweepView:
    jobs = queue.store.jobs_of(sweep.id)
    positions = queue_positions(queue)
    rows = [_row(queue, runs, job, positions) for job in jobs]
    best_first = sorted(rows, key=lambda row: (row.val_loss is None, row.val_loss or 0.0))
    return SweepView(
        id=sweep.id,
        title=sweep.title,
        hypothesis=sweep.hypothesis,
        created=sweep.created,
        fields=sweep.fields,
        states=Counter(job.state for job in jobs),
        jobs=best_first,
    )


def _row(queue: JobQueue, runs: Mapping[str, Run], job: Job, positions: dict[str, int]) -> SweepJob:
    run = summary(runs[job.run_id]) if job.run_id in runs else None
    return SweepJob(
        job=job_view(queue, job, positions),
        values=job.values,
        train_loss=run.train_loss if run else None,
        val_loss=run.val_loss if run else None,
        wall_time_s=run.wall_time_s if run else None,
    )
