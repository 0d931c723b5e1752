"""`/metrics`: what is counted, read back by Prometheus' own parser."""

import re
import threading
from bisect import bisect_left
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from app.figures.metrics import SPEED_OVER_S, TOGETHER, TURN_S, WAIT_S, Metrics, Row, Speed

DOCS = Path(__file__).resolve().parents[1] / "docs" / "serving.md"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def kinds(text: str) -> dict[str, str]:
    """Each metric's kind by the name that a query uses."""
    return {
        family.name + "_total" * (family.type == "counter"): family.type
        for family in text_string_to_metric_families(text)
    }


def samples(text: str) -> dict[str, float]:
    """Each number by its name, with the values of its labels behind it."""
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def read(metrics: Metrics, *rows: Row) -> dict[str, float]:
    return samples(metrics.text(rows).decode())


# In itself

seconds = st.floats(0, 100)
turns = st.tuples(st.integers(1, 100), st.integers(1, 6400), seconds)


@given(st.lists(seconds), st.lists(seconds), st.lists(turns))
def test_histograms_count_what_they_are_told(
    waits: list[float], firsts: list[float], turns: list[tuple[int, int, float]]
) -> None:
    metrics = Metrics()
    for wait in waits:
        metrics.waited(wait)
    for first in firsts:
        metrics.first_token(first)
    for turn in turns:
        metrics.advanced(*turn)
    found = read(metrics)
    for name, bounds, values in (
        ("queue_wait_seconds", WAIT_S, waits),
        ("time_to_first_token_seconds", WAIT_S, firsts),
        ("batch_size", TOGETHER, [sequences for sequences, _, _ in turns]),
        ("turn_seconds", TURN_S, [duration for _, _, duration in turns]),
    ):
        places = [bisect_left(bounds, value) for value in values]
        for i, bound in enumerate(bounds):
            count = sum(place <= i for place in places)
            assert found[f"sidelight_{name}_bucket {float(bound)}"] == count
        assert found[f"sidelight_{name}_count"] == len(values)
        assert found[f"sidelight_{name}_sum"] == pytest.approx(sum(values))


def test_no_call_is_lost_between_threads() -> None:
    metrics = Metrics(lambda: 1000.0)

    def turn() -> None:
        for _ in range(1000):
            metrics.advanced(2, 6, 0.5)

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = read(metrics)
    assert found["sidelight_batch_size_sum"] == 8000
    assert found["sidelight_turn_seconds_count"] == 4000
    assert found["sidelight_tokens_per_second"] == 24_000 / 0.5


def test_refusals_are_there_before_the_first() -> None:
    metrics = Metrics()
    name = "sidelight_client_refusals_total"
    assert (read(metrics)[f"{name} sequences"], read(metrics)[f"{name} requests"]) == (0, 0)
    metrics.refused("sequences")
    assert (read(metrics)[f"{name} sequences"], read(metrics)[f"{name} requests"]) == (1, 0)


def test_rows_are_read_off_and_apps_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.waited(1)
    rows = [Row("a_total", "counter", "One.", 10**12 + 1), Row("b", "gauge", 'Two "\\".', 0.25)]
    text = one.text(rows).decode()
    assert kinds(text)["sidelight_a_total"] == "counter"
    assert samples(text)["sidelight_a_total"] == 10**12 + 1
    assert samples(text)["sidelight_b"] == 0.25
    assert read(other)["sidelight_queue_wait_seconds_count"] == 0


# Tokens per second


@given(
    turn_s=st.floats(0.0005, 2),
    tokens=st.integers(1, 100),
    lasting_s=st.floats(2, 30),
)
def test_steady_writing_has_its_speed(turn_s: float, tokens: int, lasting_s: float) -> None:
    clock = Clock()
    speed = Speed(clock)
    for _ in range(max(1, min(3000, round(lasting_s / turn_s)))):
        clock.now += turn_s
        speed.add(tokens, turn_s)
    assert speed.per_second() == pytest.approx(tokens / turn_s, rel=1e-6)


def test_speed_is_of_the_last_seconds_only() -> None:
    clock = Clock()
    speed = Speed(clock)
    assert speed.per_second() == 0
    for size, until in ((10, 1010), (1, 1020)):
        while clock.now < until:
            clock.now += 0.125
            speed.add(size, 0.125)
    assert speed.per_second() == pytest.approx(8), "what was faster is long ago"
    clock.now += SPEED_OVER_S / 2
    assert 3 < speed.per_second() < 5, "half of the time nothing was written"
    clock.now += SPEED_OVER_S / 2
    assert speed.per_second() == 0


def test_a_turn_longer_than_the_window_counts() -> None:
    clock = Clock()
    speed = Speed(clock)
    for _ in range(3):
        clock.now += 20
        speed.add(40, 20)
    assert speed.per_second() == 2


def test_speed_takes_little_memory() -> None:
    clock = Clock()
    speed = Speed(clock)
    for _ in range(100_000):
        clock.now += 0.0005
        speed.add(1, 0.0005)
    assert len(speed._slices) <= 60


# Over HTTP


def test_everything_that_was_there_still_is(client: TestClient) -> None:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = kinds(answer.text)
    gauges = ["sequences_active", "sequences_waiting", "jobs_running", "jobs_queued", "runs"]
    gauges += ["runs_broken", "weights_bytes"]
    counters = ["tokens", *(f"sequences_{end}" for end in ("finished", "cancelled", "failed"))]
    for name in gauges:
        assert found[f"sidelight_{name}"] == "gauge"
    for name in counters:
        assert found[f"sidelight_{name}_total"] == "counter"


def test_a_text_leaves_its_traces(client: TestClient) -> None:
    before = samples(client.get("/metrics").text)
    body = {"model": "baseline", "prompt": "To", "max_tokens": 9, "n": 2}
    assert client.post("/v1/completions", json=body).status_code == 200
    after = samples(client.get("/metrics").text)
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["sidelight_tokens_total"] == 18
    assert grown["sidelight_sequences_finished_total"] == 2
    assert grown["sidelight_queue_wait_seconds_count"] == 2
    assert grown["sidelight_time_to_first_token_seconds_count"] == 2
    assert grown["sidelight_turn_seconds_count"] >= 1
    assert grown["sidelight_batch_size_sum"] >= 2
    waited, first = "queue_wait", "time_to_first_token"
    assert grown[f"sidelight_{waited}_seconds_sum"] <= grown[f"sidelight_{first}_seconds_sum"]
    assert after["sidelight_tokens_per_second"] > 0
    assert after["sidelight_sequences_active"] == after["sidelight_clients"] == 0
    assert 0 <= after["sidelight_fairness"] <= 1


def test_the_docs_list_every_metric(client: TestClient) -> None:
    listed = dict(
        re.findall(r"^\| `(sidelight_\w+)` \| (\w+) \|", DOCS.read_text("utf-8"), re.MULTILINE)
    )
    found = kinds(client.get("/metrics").text)
    ours = {name: kind for name, kind in found.items() if name.startswith("sidelight_")}
    assert listed == {name: kind for name, kind in ours.items() if not name.endswith("_created")}
