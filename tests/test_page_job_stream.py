"""What is known of a job after its events: the page's own reckoning, in a real browser."""

import random
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.conftest import LiveServer
from tests.fake_jobs import job, metric, sample, snapshot


def expected_after(events: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """What a watcher knows after the events, worked out another way: from the last one back."""
    metrics: dict[int, float] = {}
    samples: dict[int, str] = {}
    snapshots: set[int] = set()
    limit = float("inf")
    for name, data in reversed(events):
        if name == "state":
            limit = min(limit, data["step"])
        elif data["step"] <= limit:
            if name == "metric":
                metrics.setdefault(data["step"], data["val_loss"])
            elif name == "sample":
                samples.setdefault(data["step"], data["text"])
            elif name == "snapshot":
                snapshots.add(data["step"])
    return {
        "metrics": sorted(map(list, metrics.items())),
        "samples": sorted(map(list, samples.items())),
        "snapshots": sorted(snapshots),
    }


REDUCE = """async (events) => {
  const { NOTHING, reduce } = await import("/static/js/job_stream.js");
  const known = events.reduce((known, [kind, data]) => reduce(known, { kind, data }), NOTHING);
  return {
    job: known.job && { step: known.job.step, remaining_s: known.job.remaining_s },
    phase: known.phase,
    rate: known.learningRate,
    metrics: known.metrics.map((m) => [m.step, m.val_loss]),
    samples: known.samples.map((s) => [s.step, s.text]),
    snapshots: known.snapshots,
    untouched: NOTHING.metrics.length === 0 && NOTHING.job === null,
  };
}"""


@pytest.mark.parametrize("seed", range(5))
def test_repeats_replace_and_a_resumed_job_forgets_what_came_after(
    page: Page, live: LiveServer, seed: int
) -> None:
    rng = random.Random(seed)
    events: list[tuple[str, dict[str, Any]]] = [("state", job(step=0))]
    for i in range(150):
        step = 10 * rng.randrange(30)
        kind = rng.choice(["metric"] * 6 + ["sample", "sample", "snapshot", "state"])
        made = {
            "metric": lambda step=step: metric(step, rng.random()),
            "sample": lambda step=step, i=i: sample(step, f"text {i}"),
            "snapshot": lambda step=step: snapshot(step),
            "state": lambda: ("state", job(step=rng.randrange(100, 400))),
        }[kind]()
        events.append(made)
    page.goto(f"{live.url}/healthz")
    known = page.evaluate(REDUCE, [list(event) for event in events])
    wanted = expected_after(events)
    assert {name: known[name] for name in wanted} == wanted
    assert known["untouched"]


def test_progress_brings_the_job_up_to_date(page: Page, live: LiveServer) -> None:
    numbers = {"step": 300, "max_iters": 1000, "progress": 0.3, "elapsed_s": 36.0}
    speed = {"remaining_s": 84.0, "tokens_per_s": 1.0, "loss": None}
    events = [
        ("state", job(step=250)),
        metric(240, rate=3e-4),
        ("progress", numbers | speed | {"learning_rate": None, "phase": "evaluating"}),
    ]
    page.goto(f"{live.url}/healthz")
    known = page.evaluate(REDUCE, [list(event) for event in events])
    assert known["job"] == {"step": 300, "remaining_s": 84.0}
    assert known["phase"] == "evaluating"
    assert known["rate"] == 3e-4  # the newest that was told
