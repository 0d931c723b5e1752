"""What is read off the server's parts whenever `/metrics` is asked for."""

import sqlite3
from collections.abc import Iterator

from app.client_limits import ClientLimits
from app.engine import Engine
from app.figures.gpu import gpu_rows
from app.figures.loop_lag import LoopLag
from app.figures.metrics import Row
from app.jobs.launcher import OVER
from app.jobs.queue import JobQueue
from app.registry import Registry


def figures(
    registry: Registry, engine: Engine, queue: JobQueue, limits: ClientLimits, loop: LoopLag
) -> Iterator[Row]:
    """May read from the disk."""
    yield from _of_texts(engine)
    yield Row("clients", "gauge", "Clients that have texts.", limits.clients)
    yield from _of_jobs(queue)
    yield from _of_runs(registry)
    late = loop.worst()
    yield Row("event_loop_lag_worst_seconds", "gauge", "Latest over the last minute.", late.lag_s)
    yield Row("event_loop_blocked_worst_seconds", "gauge", "Longest we held it up.", late.blocked_s)
    yield Row("event_loop_own_worst_seconds", "gauge", "Most it worked at once.", late.own_s)
    yield from gpu_rows()


def _of_texts(engine: Engine) -> Iterator[Row]:
    load = engine.load()
    yield Row("sequences_active", "gauge", "Texts being written.", load.active)
    yield Row("sequences_waiting", "gauge", "Texts waiting for a place.", load.waiting)
    yield Row("sequences_paused", "gauge", "Texts whose reader is behind.", load.paused)
    yield Row("runs_writing", "gauge", "Runs that are writing.", load.runs)
    yield Row("fairness", "gauge", "Least share of a run over its fair one.", load.fairness)
    yield Row("tokens_total", "counter", "Tokens written.", load.tokens)
    yield Row("sequences_finished_total", "counter", "Texts written to the end.", load.finished)
    yield Row("sequences_cancelled_total", "counter", "Texts whose reader left.", load.cancelled)
    yield Row("sequences_expired_total", "counter", "Texts whose time was up.", load.expired)
    yield Row("queue_refusals_total", "counter", "Requests that found it full.", load.refused)
    yield Row("sequences_failed_total", "counter", "Texts that broke.", load.failed)


def _of_jobs(queue: JobQueue) -> Iterator[Row]:
    """Without numbers where the list of jobs cannot be read: the others are needed then."""
    running: float | None = None
    queued: float | None = None
    silent_s: float | None = None
    try:
        states = [job.state for job in queue.store.active_jobs()]
        running, queued = states.count("running"), states.count("queued")
        silent_s = queue.silent_s()
    except sqlite3.Error:
        pass
    yield Row("jobs_running", "gauge", "Jobs that train a run.", running)
    yield Row("jobs_queued", "gauge", "Jobs that wait for a device.", queued)
    meaning = "Since the running job that has been silent for longest told of progress."
    yield Row("job_silence_seconds", "gauge", meaning, silent_s)
    for state in OVER:
        meaning = "Jobs that were over, as they ended."
        labels = {"outcome": state}
        yield Row("jobs_ended_total", "counter", meaning, queue.ended[state], labels)


def _of_runs(registry: Registry) -> Iterator[Row]:
    (runs, broken), loads = registry.listing(), registry.loads()
    yield Row("runs", "gauge", "Runs that can be read.", len(runs))
    yield Row("runs_broken", "gauge", "Folders that cannot.", len(broken))
    yield Row("weights_bytes", "gauge", "Weights kept loaded.", registry.loaded_bytes())
    yield Row("models_lent", "gauge", "Loans of loaded models.", registry.lent())
    yield Row("model_loads_total", "counter", "Models loaded.", loads.done)
    yield Row("model_load_failures_total", "counter", "Models that could not be.", loads.failed)
    yield Row("model_load_seconds_total", "counter", "What loading took.", loads.seconds)
    yield Row("model_evictions_total", "counter", "Models let go for want of room.", loads.evicted)
