"""Whether the server keeps its promises while many ask it for everything at once.

    python bench/soak.py --json FILE [--seconds 600] [--clients 64] [--seed 1] [--pause 0.25]

`sidelight serve` with the shipped runs, as it is set by default but for the limits of a single
client, since all clients come from one address, and for the memory that it keeps maps in, so that
this is full from the first minute on. A job trains all the while. Each client asks one
thing after another, drawn from a seed: texts streamed, whole and left in their middle, maps in all
forms, analyses, lessons, pages, files, events, uploads and models that are wrong or cut off, wrong
requests, and bytes that are no requests. Between two it waits `--pause` seconds in the mean.

The script fails unless
- every answer has a status that is right for its request; of those from 500 on only a 503 that says
  when to come again, and why;
- no request takes longer than a generous bound, and nothing is logged as an error;
- each text is, byte by byte, that of the same request alone, which was asked for before; the text
  of a client that has left is how that begins;
- memory, open files and threads do not grow by more than twice their noise (or 5 %, or five) from
  the first third to the last, once the server is warm; in the end all places, models and files are
  free again;
- the event loop works for longer than 50 ms before it looks again at what is due, as where much is
  due at once, in one look of five thousand at most, and never for 100 ms; and all that holds it up
  otherwise (other threads, locks, Python's collector in another thread) does so for over 50 ms in
  one look of a thousand at most (see `app/figures/loop_lag.py`).

The clients are one process, of lower priority than the server's, on the same machine: how late the
loop came (`soak_lag_…`) also holds how long others were in its way there.
"""

import argparse
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from live_server import ROOT, Clients, Server
from measuring import Row, finish, quantile, row
from soak_requests import RUNS, known_completions
from soak_watch import SAMPLE_S, Sample, Trend, Watch, held, leftovers, metrics, sample, trend

KNOWN = 60  # different completions
BOUND_S = 180.0  # a text may have to wait for a minute where the machine is busy
WARM_SHARE, WARM_S = 0.4, 120.0  # of the time, and at most
GROWTH = 0.05  # of the memory, beside its noise
HELD_UP, AT_WORK = 0.001, 0.0002  # of the looks at the event loop, for over 50 ms
LOOP = {
    "lag": "the event loop late",
    "blocked": "of that, held up by the server",
    "own": "its own work at once",
}
JOB = {
    "config": {
        "model": {"n_layer": 1, "n_head": 1, "n_embd": 16, "block_size": 16},
        "train": {"max_iters": 1_000_000, "batch_size": 4, "eval_interval": 2000, "eval_iters": 5},
    },
    "run_id": "soak-job",
}


@dataclass
class Soaked:
    """All that was seen."""

    seconds: float
    clients: dict[str, Any]
    watch: Watch
    before: Sample
    after: Sample
    loop: dict[str, dict[str, float]]  # histograms of how late it was, by LOOP
    taken: dict[str, float]
    left: list[str]
    logged: list[str] = field(default_factory=list)

    def warm(self) -> list[Sample]:
        since = min(WARM_S, WARM_SHARE * self.seconds)
        return [one for one in self.watch.samples if one.at_s >= since]

    def trend_of(self, what: str) -> Trend:
        warm = self.warm()
        return trend([one.at_s for one in warm], [getattr(one, what) for one in warm])


@contextmanager
def shipped() -> Iterator[Path]:
    """A folder with copies of the shipped runs."""
    with TemporaryDirectory() as name:
        root = Path(name)
        for run in RUNS:
            shutil.copytree(ROOT / "checkpoints" / run, root / "checkpoints" / run)
        yield root


def soak(seconds: float, clients: int, seed: int, pause_s: float, known: int = KNOWN) -> Soaked:
    """Let them all ask for so long. Raises RuntimeError where nothing works at all."""
    with shipped() as root:
        log = root / "log.txt"
        # One address for all clients; and maps are soon forgotten, or memory would grow by them.
        limits = {"client_requests_per_minute": 0, "max_active": 16, "attention_cache_mb": 32}
        with Server(root, log=log, **limits) as server:
            soaked = _soak(server, root, seconds, clients, seed, pause_s, known)
        soaked.logged = [line for line in log.read_text().splitlines() if _is_error(line)]
        return soaked


def _soak(
    server: Server,
    root: Path,
    seconds: float,
    clients: int,
    seed: int,
    pause_s: float,
    known: int,
) -> Soaked:
    with httpx.Client(base_url=server.url, timeout=300) as http:
        job = http.post("/api/jobs", json=JOB).raise_for_status().json()["id"]
        runs = http.get("/api/runs").json()["runs"]
        bodies = known_completions(seed, known, {run["id"]: run["steps"] for run in runs})
        alone = [_alone(http, body) for body in bodies]
        plan = {
            "seconds": seconds,
            "clients": clients,
            "seed": seed,
            "pause_s": pause_s,
            "bound_s": BOUND_S,
            "job": job,
            "completions": bodies,
            "completions_alone": alone,
        }
        before, began = sample(server.pid, time.monotonic()), metrics(http)
        watch = Watch(server.pid, server.url)
        with Clients(server.url, "soak_clients.py") as asking, watch:
            seen = asking("soak", **plan)
            if server.ended is not None:
                raise RuntimeError(f"the server has ended with status {server.ended}")
            watch.last_look(http)
        ended = metrics(http)
        loop = {what: _between(f"event_loop_{what}_seconds", began, ended) for what in LOOP}
        http.post(f"/api/jobs/{job}/cancel")
        taken = held(http, within_s=10)
        _wait_for_end(http, job)
    time.sleep(1.0)  # connections end
    after = sample(server.pid, time.monotonic())
    return Soaked(seconds, seen, watch, before, after, loop, taken, leftovers(root))


def _alone(http: httpx.Client, body: dict[str, Any]) -> list[tuple[str, str]]:
    choices = http.post("/v1/completions", json=body).raise_for_status().json()["choices"]
    return [(choice["text"], choice["finish_reason"]) for choice in choices]


def _between(what: str, before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Of a histogram, how many were no more than each of its bounds."""
    prefix = f'{what}_bucket{{le="'
    return {
        name.removeprefix(prefix).removesuffix('"}'): after[name] - before[name]
        for name in after
        if name.startswith(prefix)
    }


def _wait_for_end(http: httpx.Client, job: str) -> None:
    ends = time.monotonic() + 60
    while http.get(f"/api/jobs/{job}").json()["state"] in {"queued", "running", "cancelling"}:
        if time.monotonic() > ends:
            raise RuntimeError("the job does not end")
        time.sleep(0.2)


def _is_error(line: str) -> bool:
    return "Traceback" in line or "ERROR" in line or '"level": "error"' in line.lower()


# What is promised


def broken_promises(soaked: Soaked, *, short: bool = False) -> list[str]:
    """What was not as it should be; of a `short` soak memory and lag are only held roughly."""
    found = [f"a wrong answer: {problem}" for problem in soaked.clients["problems"]]
    found += [f"still taken: {name} is {count:g}" for name, count in soaked.taken.items()]
    found += [f"left over: {path}" for path in soaked.left]
    found += [f"logged: {line}" for line in soaked.logged[:20]]
    if soaked.watch.unanswered:
        found.append(f"/healthz gave no answer {soaked.watch.unanswered} times")
    if not soaked.clients["compared"]:
        found.append("no text was compared")
    found += _grown(soaked, short)
    return [*found, *_held_up(soaked.loop, short)]


def _held_up(loop: dict[str, dict[str, float]], short: bool) -> Iterator[str]:
    """Its own work is ours alone; for whatever else held it up the machine may have its part."""
    times = over(loop["own"], "0.5" if short else "0.1")
    if times:
        yield f"the event loop worked for too long at once {times:g} times: {loop['own']}"
    for what, most in (("own", AT_WORK), ("blocked", HELD_UP)):
        share = over(loop[what], "0.05") / loop[what]["+Inf"]
        if share > most and not short:
            yield f"{100 * share:.3f} % of its looks were over 50 ms ({what}): {loop[what]}"


def over(histogram: dict[str, float], bound: str) -> float:
    return histogram["+Inf"] - histogram[bound]


def _grown(soaked: Soaked, short: bool) -> Iterator[str]:
    before, after = soaked.before, soaked.after
    if after.files > before.files + 10:
        yield f"open files: {before.files} before, {after.files} after"
    if after.threads > before.threads + 45:  # those that wait for work are up to 40
        yield f"threads: {before.threads} before, {after.threads} after"
    memory = soaked.trend_of("memory_mb")
    most = max(2 * memory.noise, (0.5 if short else GROWTH) * memory.first)
    if memory.growth > most:
        yield f"memory has grown by {memory.growth:.1f} MB from {memory.first:.0f} MB"
    if not short:
        for what in ("files", "threads"):
            count = soaked.trend_of(what)
            if count.growth > max(2 * count.noise, 5):
                yield f"{what} have grown by {count.growth:g} from {count.first:g}"


# What is written down


def rows(soaked: Soaked, clients: int) -> list[Row]:
    seen, watch = soaked.clients, soaked.watch
    asked = sum(seen["kinds"].values())
    what = f"{clients} clients for {soaked.seconds:.0f} s: "
    every = sorted(each for times in seen["seconds"].values() for each in times)

    def one(name: str, unit: str, value: float, words: str) -> Row:
        return row(f"soak_{name}", unit, [value], what=what + words)

    found = [
        one("requests", "", asked, "requests"),
        one("rate", "/s", asked / soaked.seconds, "requests in a second"),
        one("wrong", "", seen["wrong"], "answers that were not as they should be"),
        one("refused", "", seen["refused"], "answers 503 that say when to come again"),
        one("compared", "", seen["compared"], "texts held against the same request alone"),
        one("answer_p50", "ms", 1000 * quantile(every, 0.5), "half of all answers within"),
        one("answer_p99", "ms", 1000 * quantile(every, 0.99), "99 % of all answers within"),
        one("ping_p50", "ms", 1000 * quantile(watch.pings_s, 0.5), "/healthz, half within"),
        one("ping_p99", "ms", 1000 * quantile(watch.pings_s, 0.99), "/healthz, 99 % within"),
        one("ping_worst", "ms at most", 1000 * max(watch.pings_s), "/healthz, the longest"),
    ]
    for name, words in LOOP.items():
        worst, times = 1000 * watch.worst_s[name], over(soaked.loop[name], "0.05")
        found += [
            one(f"{name}_worst", "ms at most", worst, f"{words}, the longest"),
            one(f"{name}_over", "", times, f"{words}, how often over 50 ms"),
        ]
    for name, field_name, unit in (
        ("memory", "memory_mb", "MB"),
        ("files", "files", ""),
        ("threads", "threads", ""),
    ):
        change = soaked.trend_of(field_name)
        found += [
            one(name, unit, change.first, f"{name}, once warm"),
            one(
                f"{name}_growth",
                f"{unit} more".strip(),
                change.growth,
                f"{name}, last third to first",
            ),
            one(f"{name}_noise", f"{unit} apart".strip(), change.noise, f"{name}, the noise of it"),
        ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pause", type=float, default=0.25, help="seconds, in the mean")
    options = parser.parse_args()
    soaked = soak(options.seconds, options.clients, options.seed, options.pause)
    finish(rows(soaked, options.clients), options.json)
    print("requests:", soaked.clients["kinds"], "answers:", soaked.clients["statuses"])
    print("the event loop:", soaked.loop)
    by_the_minute = [
        f"{one.memory_mb:.0f}" for one in soaked.watch.samples[:: round(60 / SAMPLE_S)]
    ]
    print("memory by the minute, MB:", *by_the_minute)
    print("before and after:", soaked.before, soaked.after)
    problems = broken_promises(soaked)
    for problem in problems:
        print("soak:", problem, file=sys.stderr)
    sys.exit(bool(problems))


if __name__ == "__main__":
    main()
