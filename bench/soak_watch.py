"""What `soak.py` sees of the server from beside: its memory, its files, and how soon it answers."""

import http.client
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import httpx
import psutil

SAMPLE_S = 1.0
PING_S = 0.05
LOOKS_BACK_S = 60  # what the server tells of; before that is its start
FREE = ("sequences_active", "sequences_waiting", "sequences_paused", "clients", "models_lent")


class Sample(NamedTuple):
    """The server's process at a moment: seconds since the first, megabytes, and how many."""

    at_s: float
    memory_mb: float
    files: int
    threads: int


class Trend(NamedTuple):
    """How something that should stay as it is has gone on, once the server was warm.

    `growth` is from the median of the first third to that of the last; `noise` how far single
    samples are from the line through all, in the interquartile range.
    """

    first: float
    growth: float
    noise: float
    per_minute: float


def trend(times: Sequence[float], values: Sequence[float]) -> Trend:
    """Of at least three samples."""
    third = max(1, len(values) // 3)
    first, last = statistics.median(values[:third]), statistics.median(values[-third:])
    slope, base = statistics.linear_regression(times, values)
    beside = [value - base - slope * at for at, value in zip(times, values, strict=True)]
    lower, _, upper = statistics.quantiles(beside, n=4, method="inclusive")
    return Trend(first, last - first, upper - lower, 60 * slope)


def sample(pid: int, began: float) -> Sample:
    process = psutil.Process(pid)
    with process.oneshot():
        memory, threads = process.memory_info().rss / 1e6, process.num_threads()
    return Sample(time.monotonic() - began, memory, process.num_fds(), threads)


class Watch:
    """Takes samples of the process, and asks `/healthz` again and again, each in a thread."""

    def __init__(self, pid: int, url: str) -> None:
        self._pid, self._url = pid, url
        self.samples: list[Sample] = []
        self.pings_s: list[float] = []
        self.unanswered = 0
        self.worst_s: dict[str, float] = defaultdict(float)  # of the event loop
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=work) for work in (self._sample, self._ping)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _sample(self) -> None:
        began = time.monotonic()
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self._stop.wait(SAMPLE_S):
                self.samples.append(sample(self._pid, began))
                if len(self.samples) >= LOOKS_BACK_S and len(self.samples) % 20 == 0:
                    self._look(http)

    def last_look(self, http: httpx.Client) -> None:
        """At the end; of a short time it also tells of the server's start."""
        self._look(http)

    def _look(self, http: httpx.Client) -> None:
        """Ask for the worst of the last minute, so that nothing of a longer time is missed."""
        found = metrics(http)
        for what in ("lag", "blocked", "own"):
            self.worst_s[what] = max(self.worst_s[what], found[f"event_loop_{what}_worst_seconds"])

    def _ping(self) -> None:
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        while not self._stop.wait(PING_S):
            began = time.perf_counter()
            try:
                connection.request("GET", "/healthz")
                connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                self.unanswered += 1
                connection.close()
                continue
            self.pings_s.append(time.perf_counter() - began)
        connection.close()


def metrics(http: httpx.Client) -> dict[str, float]:
    """What `/metrics` says, by names without the project's prefix, labels and all."""
    lines = http.get("/metrics").raise_for_status().text.splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name.removeprefix("sidelight_"): float(value) for name, value in pairs}


def held(http: httpx.Client, within_s: float) -> dict[str, float]:
    """What is still taken once everybody has left; they get `within_s` to be noticed."""
    ends = time.monotonic() + within_s
    while True:
        now = metrics(http)
        taken = {name: now[name] for name in FREE if now[name]}
        if not taken or time.monotonic() > ends:
            return taken
        time.sleep(0.1)


def leftovers(root: Path) -> list[str]:
    """Files and folders that should have gone: hidden ones, and exports in the making."""
    found = [path for path in root.rglob("*") if path.name.startswith(".")]
    exports = root / "data" / "exports"
    found += [*exports.iterdir()] if exports.exists() else []
    return sorted(str(path.relative_to(root)) for path in found)
