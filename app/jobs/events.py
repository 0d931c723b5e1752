"""What happens to a job, as server-sent events: every watcher reads what one follower has found.

The run folder and the store are the only sources, so any watcher can begin or go on at any time.
An event's id says how far its reader is: the attempt, and the last steps that it has of the
metrics, the samples and the snapshots.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Self

import anyio.to_thread
from fastapi.sse import format_sse_event
from pydantic_core import to_json

from app.errors import ShuttingDown
from app.jobs.launcher import OVER
from app.jobs.queue import JobQueue
from app.jobs.view import JobView, job_view
from model.run_folder import BrokenRun, Metric, Sample

LOOK_S = 0.25
KEEP_ALIVE_S = 15.0
NOTHING = -1  # no step

PROGRESS = ("step", "max_iters", "progress", "elapsed_s", "remaining_s", "tokens_per_s", "loss")


NUMBER = r"(-?[0-9]{1,15})"
PLACE = r"\.".join([NUMBER] * 4)


@dataclass(frozen=True)
class Place:
    """How far a watcher is."""

    attempt: int = 0
    metric: int = NOTHING
    sample: int = NOTHING
    snapshot: int = NOTHING

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """From an event's id; the beginning for anything else."""
        numbers = re.fullmatch(PLACE, text or "")
        return cls(*map(int, numbers.groups())) if numbers else cls()

    def __str__(self) -> str:
        return f"{self.attempt}.{self.metric}.{self.sample}.{self.snapshot}"


@dataclass(frozen=True)
class Seen:
    """A job at a moment."""

    job: JobView
    learning_rate: float | None = None
    metrics: list[Metric] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    snapshots: list[int] = field(default_factory=list)


def events_since(place: Place, before: Seen | None, seen: Seen) -> Iterator[tuple[Place, bytes]]:
    """Everything in `seen` that a watcher at `place`, who was shown `before`, has not got yet.

    A resumed job goes on from an earlier step, and what was noted after it counts no more: the
    `state` event tells the step, and all that the new attempt stands on is told again.
    """
    job = seen.job
    is_shorter = before is not None and len(seen.metrics) < len(before.metrics)
    if place.attempt != job.attempt or is_shorter:
        place = Place(job.attempt)
    is_over = job.state in OVER
    if before is None or is_shorter or (not is_over and _told(before.job) != _told(job)):
        yield place, _event("state", place, job.model_dump(mode="json"))
    for place, event in _noted_since(place, seen):  # noqa: B020 (it is moved on)
        yield place, event
    if job.state == "running" and (before is None or _progress(before) != _progress(seen)):
        yield place, _event("progress", place, _progress(seen))
    if is_over and before is not None:  # behind all that led to it
        yield place, _event("state", place, job.model_dump(mode="json"))
    if is_over:
        yield place, _event("end", place, {})


def _noted_since(place: Place, seen: Seen) -> Iterator[tuple[Place, bytes]]:
    """What the run folder has got since."""
    for metric in seen.metrics:
        if metric.step > place.metric:
            place = replace(place, metric=metric.step)
            yield place, _event("metric", place, metric.model_dump())
    for step in seen.snapshots:
        if step > place.snapshot:
            place = replace(place, snapshot=step)
            yield place, _event("snapshot", place, {"step": step})
    for sample in seen.samples:
        if sample.step > place.sample:
            place = replace(place, sample=sample.step)
            yield place, _event("sample", place, sample.model_dump())


def _told(job: JobView) -> dict[str, Any]:
    """What a `state` event is sent for."""
    return job.model_dump(include={"state", "message", "position", "device", "attempt", "has_run"})


def _progress(seen: Seen) -> dict[str, Any]:
    noted = seen.job.model_dump(include={*PROGRESS, "phase"})
    return noted | {"learning_rate": seen.learning_rate}


def _event(name: str, place: Place, data: dict[str, Any]) -> bytes:
    text = to_json(data, inf_nan_mode="null").decode()  # a browser knows no NaN
    return format_sse_event(data_str=text, event=name, id=str(place))


class Watchers:
    """One follower for each job that anybody watches; to be used on one event loop."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._followers: dict[str, _Follower] = {}
        self._stopped = False

    def stop(self) -> None:
        """End every stream with the event `stopping`: a reader comes again, and goes on there."""
        self._stopped = True
        for follower in self._followers.values():
            follower.let_go()

    def following(self) -> dict[str, int]:
        """How many watch each job that anybody watches."""
        return {id: follower.watchers for id, follower in self._followers.items()}

    async def events(self, id: str, last_id: str | None) -> AsyncGenerator[bytes, None]:
        """From where the watcher stopped to the job's end. Raises UnknownJob at its first step."""
        follower = self._followers.get(id)
        if follower is None:
            follower = self._followers[id] = _Follower(self._queue, id)
        follower.watchers += 1
        place, before = Place.parse(last_id), None
        try:
            while True:
                seen = await follower.next(before)
                if self._stopped:
                    yield _event("stopping", place, ShuttingDown().body())
                    return
                if seen is None:
                    yield b": nothing new\n\n"
                    continue
                for reached, event in events_since(place, before, seen):
                    place = reached
                    yield event
                if seen.job.state in OVER:
                    return
                before = seen
        finally:
            follower.watchers -= 1
            if not follower.watchers:
                follower.stop()
                if self._followers.get(id) is follower:
                    del self._followers[id]


class _Follower:
    """Looks at a job's folder a few times a second, once for all who watch it."""

    def __init__(self, queue: JobQueue, id: str) -> None:
        self._queue, self._id = queue, id
        self.watchers = 0
        self._seen: Seen | None = None
        self._changed = asyncio.Condition()
        self._failed: BaseException | None = None
        self._let_go = False
        self._stamp: tuple[object, ...] = ()
        self._task = asyncio.create_task(self._follow())

    async def next(self, before: Seen | None) -> Seen | None:
        """What is there, once it is not `before`; None if that takes long."""
        async with self._changed:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._changed.wait_for(
                        lambda: self._failed or self._let_go or self._seen not in (None, before)
                    )
            except TimeoutError:
                return None
        if self._failed:
            raise self._failed
        return self._seen

    def let_go(self) -> None:
        """Let nobody wait any longer."""
        self._let_go = True
        self._task.cancel()
        self._task = asyncio.create_task(self._wake())

    async def _wake(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def stop(self) -> None:
        self._task.cancel()

    async def _follow(self) -> None:
        while True:
            try:
                seen = await anyio.to_thread.run_sync(self._look)
            except Exception as error:  # noqa: BLE001 (raised for all who watch, by `next`)
                self._failed = error
                seen = None
            async with self._changed:
                if seen is not None:
                    self._seen = seen
                self._changed.notify_all()
            if self._failed:
                return
            await asyncio.sleep(LOOK_S)

    def _look(self) -> Seen | None:
        """None where nothing has changed. Raises UnknownJob."""
        job = self._queue.job(self._id)
        view = job_view(self._queue, job)
        folder = self._queue.run_of(job)
        stamp = (view, folder.stamp())
        if stamp == self._stamp:
            return None
        self._stamp = stamp
        try:
            metrics, samples = folder.read_metrics(), folder.read_samples()
        except BrokenRun:
            metrics, samples = [], []
        snapshots = folder.snapshot_steps()
        # The process notes its progress now and then; what has been evaluated is further at times.
        noted = [metric.step for metric in metrics] + [sample.step for sample in samples]
        view = view.model_copy(update={"step": max([view.step, *noted, *snapshots])})
        rate = metrics[-1].learning_rate if metrics else None
        return Seen(view, rate, metrics, samples, snapshots)
