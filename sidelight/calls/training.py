"""Runs in the making."""

from collections.abc import Mapping
from typing import Any

from sidelight.asking import Ask, Call, place
from sidelight.job_events import JobEvent, Watching
from sidelight.listening import Listener
from sidelight.naming import run_at
from sidelight.shapes import Job, TokenizerKind


def train(
    preset: str | None = None,
    *,
    config: Mapping[str, Mapping[str, Any]] | None = None,
    run_id: str | None = None,
    title: str | None = None,
    hypothesis: str | None = None,
    corpus: str | None = None,
    tokenizer: TokenizerKind | None = None,
    device: str | None = None,
    init_from: str | None = None,
) -> Call[Job]:
    """Put a run into the queue: a preset, or a `config` of `model` and `train` settings.

    Settings that are left out are those of the baseline. `corpus` is a text's id, Tiny Shakespeare
    if left out. `init_from` names the run, or the step, whose weights it starts from.
    """
    wanted = {
        "preset": preset,
        "config": config,
        "run_id": run_id,
        "title": title,
        "hypothesis": hypothesis,
        "corpus": corpus,
        "tokenizer": tokenizer,
        "device": device,
        "init_from": init_from and run_at(init_from),
    }
    body = {name: value for name, value in wanted.items() if value is not None}
    return (yield from _job("POST", "/api/jobs", body))


def jobs() -> Call[list[Job]]:
    """Every job, the newest first."""
    answer = yield Ask("GET", "/api/jobs")
    found: list[Job] = answer.json()["jobs"]
    return found


def job(id: str) -> Call[Job]:
    """How a job is at this moment."""
    return (yield from _job("GET", place("api", "jobs", id)))


def cancel(id: str) -> Call[Job]:
    """Stop a job; one that runs first keeps what it needs to go on."""
    return (yield from _job("POST", place("api", "jobs", id, "cancel")))


def resume(id: str) -> Call[Job]:
    """Let a failed, cancelled or interrupted job go on, as if it had never stopped."""
    return (yield from _job("POST", place("api", "jobs", id, "resume")))


def watch(id: str) -> Listener[JobEvent]:
    """What has happened to a job and happens to it, until it is over.

    The first event is its state, and so is the last. A connection that breaks is made again, and
    nothing is missed; only the state is told once more then. httpx's error is raised where that
    does not succeed in two minutes.
    """
    return Watching(place("api", "jobs", id, "events"))


def _job(method: str, path: str, body: Mapping[str, Any] | None = None) -> Call[Job]:
    answer = yield Ask(method, path, json=body)
    found: Job = answer.json()
    return found
