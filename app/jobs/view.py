"""Jobs as the API tells of them."""

from typing import Any

from pydantic import BaseModel, Field

from app.jobs.launcher import RESUMABLE, State
from app.jobs.progress import read_progress
from app.jobs.queue import JobQueue
from app.jobs.store import Job
from app.run_listing import Configuration
from model.config import InitFrom, TokenizerKind


class JobView(BaseModel):
    """A job, how far it is, and what it makes."""

    id: str
    run_id: str
    title: str
    state: State
    message: str = Field(description="Why it is so, and what to do; empty if nothing is to say.")
    progress: float = Field(description="Share of the steps that are done, 0 to 1.")
    step: int
    max_iters: int
    elapsed_s: float
    remaining_s: float | None = Field(description="Seconds left, as far as one can tell.")
    tokens_per_s: float | None
    loss: float | None = Field(description="Of the last batch; noisy.")
    phase: str | None = Field(description="What a running job does: `starting`, `training` …")
    position: int | None = Field(description="Place in the queue, from 1.")
    device: str | None
    device_wanted: str
    created: str
    started: str | None
    ended: str | None
    hypothesis: str
    preset: str | None
    corpus: str
    tokenizer: TokenizerKind
    config: Configuration
    params: int
    init_from: InitFrom | None
    sweep: str | None
    attempt: int = Field(description="How often it was started.")
    resumable: bool = Field(description="Whether it stopped before its end and can go on.")
    has_run: bool = Field(description="Whether its run can be opened already.")


class DeviceView(BaseModel):
    """Where jobs run."""

    id: str
    name: str
    busy: bool
    default: bool = Field(description="Whether jobs that do not care go there.")


class JobList(BaseModel):
    """The newest first."""

    jobs: list[JobView]
    devices: list[DeviceView]
    notice: str = Field("", description="What is wrong with the list itself; empty if nothing is.")


class Check(BaseModel):
    """What a job would be, had it been started."""

    run_id: str
    title: str
    config: Configuration = Field(description="With all defaults, and the text's vocabulary.")
    params: int
    tokens_per_step: int
    memory_bytes: int = Field(description="An estimate of what training takes.")
    memory_available_bytes: int
    device: str


def job_list(queue: JobQueue, sweep: str | None = None) -> JobList:
    jobs = queue.store.jobs_of(sweep) if sweep else queue.store.jobs()
    positions = queue_positions(queue)
    views = [job_view(queue, job, positions) for job in reversed(jobs)]
    return JobList(jobs=views, devices=devices(queue), notice=_notice(queue))


def _notice(queue: JobQueue) -> str:
    aside = queue.store.put_aside()
    if not aside:
        return ""
    return (
        "The list of jobs could not be read and was begun anew; all runs are there. "
        f"The old list is {queue.folder / aside[-1]}: delete it and this notice goes."
    )


def devices(queue: JobQueue) -> list[DeviceView]:
    busy = {job.device for job in queue.store.active_jobs() if job.state == "running"}
    first = queue.devices()[0].kind
    return [
        DeviceView(
            id=device.id,
            name=device.name,
            busy=device.id in busy and device.capacity is not None,
            default=device.kind == first,
        )
        for device in queue.devices()
    ]


def queue_positions(queue: JobQueue) -> dict[str, int]:
    waiting = [job.id for job in queue.store.active_jobs() if job.state == "queued"]
    return {id: place for place, id in enumerate(waiting, 1)}


def job_view(queue: JobQueue, job: Job, positions: dict[str, int] | None = None) -> JobView:
    positions = queue_positions(queue) if positions is None else positions
    noted: dict[str, Any] = job.progress or read_progress(queue.folder_of(job)) or {}
    plan, done = job.plan, job.state == "done"
    running = job.state == "running"
    max_iters = plan.train.max_iters
    return JobView(
        id=job.id,
        run_id=job.run_id,
        title=plan.title,
        state=job.state,
        message=job.message,
        progress=1.0 if done else noted.get("progress", 0.0),
        step=noted.get("step", 0),
        max_iters=max_iters,
        elapsed_s=noted.get("elapsed_s", 0.0),
        remaining_s=noted.get("remaining_s") if running else None,
        tokens_per_s=noted.get("tokens_per_s"),
        loss=noted.get("loss"),
        phase=noted.get("phase", "starting") if running else None,
        position=positions.get(job.id),
        device=job.device,
        device_wanted=job.device_wanted,
        created=job.created,
        started=job.started,
        ended=job.ended,
        hypothesis=plan.hypothesis,
        preset=job.preset,
        corpus=job.corpus,
        tokenizer=plan.tokenizer,
        config=Configuration(model=plan.model, train=plan.train),
        params=job.params,
        init_from=plan.init_from,
        sweep=job.sweep,
        attempt=job.attempt,
        resumable=job.state in RESUMABLE,
        has_run=queue.run_of(job).is_run(),
    )
