"""What an operator watches, in Prometheus' text format."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version
from typing import Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from app import __version__
from app.client_limits import Limit
from app.figures.http import HttpFigures
from app.figures.loop_lag import Late

CONTENT_TYPE = "text/plain; version=0.0.4"

WAIT_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
TURN_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)
LATE_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
LOOP = {
    "lag": "How late the event loop woke a task that sleeps in small steps.",
    "blocked": "Of that, for how long the server itself held it up.",
    "own": "What the event loop's thread worked between two such looks.",
}
TOGETHER = (1, 2, 4, 8, 16, 32, 64)

SPEED_OVER_S = 5.0
SPEED_SLICE_S = 0.1


class Row(NamedTuple):
    """A number that is read off when it is asked for; a counter's name ends in `_total`."""

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    value: float | None  # None: the family is there, and has no number
    labels: Mapping[str, str] = {}  # the same names throughout a family


class Metrics:
    """Hears from the engine, as its `Observer`, and from the client limits what happens.

    Any thread may call.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._registry = registry = CollectorRegistry()  # one per app, not one per process
        self._speed = Speed(clock)
        self.http = HttpFigures(registry)
        self._queue_wait = Histogram(
            "sidelight_queue_wait_seconds",
            "From a text's request until it has a place.",
            buckets=WAIT_S,
            registry=registry,
        )
        self._first_token = Histogram(
            "sidelight_time_to_first_token_seconds",
            "From a text's request until its first token is drawn.",
            buckets=WAIT_S,
            registry=registry,
        )
        self._batch_size = Histogram(
            "sidelight_batch_size", "Texts per turn.", buckets=TOGETHER, registry=registry
        )
        self._turn = Histogram(
            "sidelight_turn_seconds", "What a turn takes.", buckets=TURN_S, registry=registry
        )
        self._lag, self._blocked, self._own = (
            Histogram(
                f"sidelight_event_loop_{name}_seconds", what, buckets=LATE_S, registry=registry
            )
            for name, what in LOOP.items()
        )
        self._refusals = Counter(
            "sidelight_client_refusals",
            "Requests beyond what one client may have.",
            ["limit"],
            registry=registry,
        )
        for limit in ("sequences", "requests", "streams"):
            self._refusals.labels(limit)  # a counter that is not there yet cannot be watched
        Gauge(
            "sidelight_tokens_per_second",
            f"Tokens written over the last {SPEED_OVER_S:.0f} seconds, per second.",
            registry=registry,
        ).set_function(self._speed.per_second)
        about = {"version": __version__, "python": python_version(), "torch": version("torch")}
        Gauge(
            "sidelight_build_info", "1, with what runs here.", list(about), registry=registry
        ).labels(**about).set(1)
        ProcessCollector(registry=registry)

    def waited(self, seconds: float) -> None:
        """A text has its place."""
        self._queue_wait.observe(seconds)

    def first_token(self, seconds: float) -> None:
        """A text has its first token, so long after its request."""
        self._first_token.observe(seconds)

    def advanced(self, sequences: int, tokens: int, seconds: float) -> None:
        """A turn has added `tokens` to `sequences` texts together."""
        self._batch_size.observe(sequences)
        self._turn.observe(seconds)
        self._speed.add(tokens, seconds)

    def loop_was_late(self, late: Late) -> None:
        """The event loop came so late to what was due."""
        self._lag.observe(late.lag_s)
        self._blocked.observe(late.blocked_s)
        self._own.observe(late.own_s)

    def refused(self, limit: Limit) -> None:
        """A client has been turned away."""
        self._refusals.labels(limit).inc()

    def text(self, rows: Iterable[Row]) -> bytes:
        """All of it, `rows` first."""
        return generate_latest(_Rows(rows)) + generate_latest(self._registry)


class _Rows(Collector):
    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = rows

    def collect(self) -> Iterator[Metric]:
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for row in self._rows:
            family = families.get(row.name)
            if family is None:
                make = CounterMetricFamily if row.kind == "counter" else GaugeMetricFamily
                family = make(f"sidelight_{row.name}", row.meaning, labels=list(row.labels))
                families[row.name] = family
            if row.value is not None:
                family.add_metric(list(row.labels.values()), row.value)
        yield from families.values()


class Speed:
    """Tokens per second over the last SPEED_OVER_S, or since writing began if that is less.

    When nothing has been written for that long it is 0.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._slices: deque[_Slice] = deque()

    def add(self, tokens: int, seconds: float) -> None:
        """`tokens` have been written in the last `seconds`."""
        now = self._clock()
        with self._lock:
            last = self._slices[-1] if self._slices else None
            if last and now - last.began < SPEED_SLICE_S:
                last.tokens += tokens
                last.ended = now
                return
            self._slices.append(_Slice(began=now - seconds, ended=now, tokens=tokens))
            self._forget(now)

    def per_second(self) -> float:
        """Now."""
        now = self._clock()
        with self._lock:
            self._forget(now)
            elapsed_s = now - self._slices[0].began if self._slices else 0.0
            tokens = sum(part.tokens for part in self._slices)
            return tokens / elapsed_s if elapsed_s > 0 else 0.0

    def _forget(self, now: float) -> None:
        """By when they ended: a single turn that takes longer than all of it still counts."""
        while self._slices and self._slices[0].ended <= now - SPEED_OVER_S:
            self._slices.popleft()


@dataclass
class _Slice:
    began: float
    ended: float
    tokens: int
