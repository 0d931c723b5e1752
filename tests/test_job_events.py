"""Which events a watcher gets, told from what it has and from what there is."""

import json
from dataclasses import replace

import pytest

from app.jobs.events import Place, Seen, events_since
from app.jobs.view import JobView
from app.run_listing import Configuration
from model.config import GPTConfig, TrainConfig
from model.run_folder import Metric, Sample


def metric(step: int) -> Metric:
    return Metric(step=step, train_loss=2, val_loss=2, learning_rate=1, elapsed_s=1, tokens_per_s=1)


def sample(step: int) -> Sample:
    return Sample(step=step, prompt="\n", text="a", seed=1)


JOB = JobView(
    id="1",
    run_id="run",
    title="Run",
    state="running",
    message="",
    progress=0.5,
    step=5,
    max_iters=10,
    elapsed_s=1,
    remaining_s=1,
    tokens_per_s=1,
    loss=2,
    phase="training",
    position=None,
    device="cpu",
    device_wanted="auto",
    created="",
    started="",
    ended=None,
    hypothesis="",
    preset=None,
    corpus="text",
    tokenizer="character",
    config=Configuration(model=GPTConfig(), train=TrainConfig()),
    params=1,
    init_from=None,
    sweep=None,
    attempt=1,
    resumable=False,
    has_run=True,
)
SEEN = Seen(JOB, 1.0, [metric(0), metric(5)], [sample(0)], [0, 2])


def told(place: Place, before: Seen | None, seen: Seen) -> list[tuple[str, int | None]]:
    """The names of the events, with their steps."""
    events = []
    for _, raw in events_since(place, before, seen):
        fields = dict(line.split(": ", 1) for line in raw.decode().strip().split("\n"))
        data = json.loads(fields["data"])
        is_noted = fields["event"] in ("metric", "sample", "snapshot")
        events.append((fields["event"], data["step"] if is_noted else None))
    return events


NOTED = [("metric", 0), ("metric", 5), ("snapshot", 0), ("snapshot", 2), ("sample", 0)]


def test_a_new_watcher_is_told_everything() -> None:
    assert told(Place(), None, SEEN) == [("state", None), *NOTED, ("progress", None)]


def test_whoever_has_it_all_is_told_the_state_alone() -> None:
    assert told(Place(1, 5, 0, 2), None, SEEN) == [("state", None), ("progress", None)]


def test_what_is_new_is_told_once() -> None:
    more = replace(SEEN, metrics=[*SEEN.metrics, metric(7)])
    assert told(Place(1, 5, 0, 2), SEEN, more) == [("metric", 7)]
    assert told(Place(1, 5, 0, 2), SEEN, SEEN) == []


def test_the_state_that_ends_a_job_comes_behind_all_that_led_to_it() -> None:
    done = replace(
        SEEN,
        job=JOB.model_copy(update={"state": "done"}),
        metrics=[*SEEN.metrics, metric(10)],
    )
    assert told(Place(1, 5, 0, 2), SEEN, done) == [
        ("metric", 10),
        ("state", None),
        ("end", None),
    ]


def test_after_a_resume_all_is_told_again() -> None:
    resumed = replace(SEEN, job=JOB.model_copy(update={"attempt": 2}))
    assert told(Place(1, 5, 0, 2), None, resumed) == [("state", None), *NOTED, ("progress", None)]


def test_what_the_training_dropped_is_told_by_the_state() -> None:
    shorter = replace(SEEN, metrics=[metric(0)])
    assert told(Place(1, 5, 0, 2), SEEN, shorter)[:2] == [("state", None), ("metric", 0)]


def test_a_loss_that_is_no_number_is_null() -> None:
    lost = replace(SEEN, job=JOB.model_copy(update={"loss": float("nan")}))
    (*_, (_, raw)) = events_since(Place(), None, lost)
    assert b'"loss":null' in raw and b"NaN" not in raw


@pytest.mark.parametrize("text", [None, "", "x", "1.2", "1.2.3.4.5", "1.2.3.x"])
def test_an_id_that_is_none_means_the_beginning(text: str | None) -> None:
    assert Place.parse(text) == Place()


def test_an_id_comes_back_as_it_was() -> None:
    assert Place.parse(str(Place(3, 100, 50, -1))) == Place(3, 100, 50, -1)
