"""What a server gives its readers over HTTP: speed, evenness, stopping, starting and memory.

    python bench/serving.py --json FILE [--full] [--rounds N]

The app as `sidelight serve` starts it, with its shipped runs and one of the size of `baby` with
random weights; its clients in a process of their own (`streams.py`), on the same machine. Streams
begin at once and write 500 characters each with seeds of their own.

- `stream_N_rate`: all characters per second, from the first request to the last event. Its floor is
  a batch of as many texts in one process, without HTTP.
- `stream_N_first_token_…`: from before a stream connects to its first event with text.
- `stream_N_gap_…`: from one event with text to the next of the same stream. An event may bring
  several characters, `stream_N_tokens_per_event` in the mean.
- `stream_N_least_share`: what the slowest stream had when the first was done, over the mean.
- `together_N_cost`: what the server's processor spends on a character of N streams, with events
  that bring what has become ready every 15 ms, against an event for whatever is ready.
- `mixed_…`: eight streams of each of two runs; the lesser run's share of all over a half.
- `attention_N_…`: all maps of `baseline` for texts of 32 characters that it has not read yet, in
  the compact form, asked for by N clients.
- `stop_…`: from leaving a stream until `sidelight_sequences_active` is 0.
- `start_…`: from the process's start until `/readyz` says yes, and until a text's first character;
  cold, only with `--full`, is without compiled kernels of an earlier start. The floor: Python with
  its libraries alone.
- `memory_…`: the resident memory of the server's process.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import torch
from live_server import PROMPT, ROOT, TEMPERATURE, Clients, Server, body
from measuring import Host, Row, finish, quantile, row, seconds

from model.batches import batch_of
from model.presets import PRESETS
from model.run_folder import RunFolder
from model.sampling import Sampling
from model.sequence import Sequence as Text
from tests.conftest import write_run

LONG = 500  # characters of a stream
INSIDE = 240  # of `baby`, which has a context of 256
ALONE = 5  # times that one stream alone is tried in each round
TOO_LONG = 10_000  # of a stream that is left
TO_READY, TO_FIRST = "from the start to `/readyz`", "from the start to a first character"
LIBRARIES = """
import torch, fastapi, uvicorn, psutil
print(psutil.Process().memory_info().rss)
"""


@contextmanager
def runs() -> Iterator[Path]:
    """A folder with the shipped runs, and `baby` with random weights."""
    with TemporaryDirectory() as name:
        root = Path(name)
        for run in PRESETS:
            if (ROOT / "checkpoints" / run / "config.json").exists():
                shutil.copytree(ROOT / "checkpoints" / run, root / "checkpoints" / run)
        if not (root / "checkpoints" / "baby").exists():
            tokenizer = RunFolder(root / "checkpoints" / "baseline").read_tokenizer()
            write_run(root / "checkpoints", "baby", PRESETS["baby"].model, tokenizer=tokenizer)
        yield root


# Streams


def measured(answer: list[dict[str, Any]]) -> dict[str, float]:
    """What a round of streams that began together says, by the rows' names."""
    arrivals = [[at for at, _ in one["events"]] for one in answer]
    gaps = [b - a for times in arrivals for a, b in pairwise(times)] or [0.0]
    firsts = [times[0] - one["began"] for one, times in zip(answer, arrivals, strict=True)]
    tokens = sum(count for one in answer for _, count in one["events"])
    begun = min(one["began"] for one in answer)
    shares = by_first_end(answer)
    return {
        "rate": tokens / (max(times[-1] for times in arrivals) - begun),
        "first_token_p50": 1000 * quantile(firsts, 0.5),
        "first_token_p95": 1000 * quantile(firsts, 0.95),
        "gap_p50": 1000 * quantile(gaps, 0.5),
        "gap_p95": 1000 * quantile(gaps, 0.95),
        "gap_p99": 1000 * quantile(gaps, 0.99),
        "least_share": min(shares) / statistics.mean(shares),
        "tokens_per_event": tokens / sum(len(times) for times in arrivals),
        "bytes_per_token": sum(one["bytes"] for one in answer) / tokens,
    }


def by_first_end(answer: list[dict[str, Any]]) -> list[int]:
    """What each stream had when the first of them was done."""
    end = min(one["events"][-1][0] for one in answer)
    return [sum(count for at, count in one["events"] if at <= end) for one in answer]


WORDS = {
    "rate": ("/s", "characters in all"),
    "first_token_p50": ("ms", "to the first character, half of them within"),
    "first_token_p95": ("ms", "to the first character, 95 % within"),
    "gap_p50": ("ms", "between events, half within"),
    "gap_p95": ("ms", "between events, 95 % within"),
    "gap_p99": ("ms", "between events, 99 % within"),
    "least_share": ("share", "the slowest stream's share of a fair one"),
    "tokens_per_event": ("tokens", "characters in an event"),
    "bytes_per_token": ("bytes", "on the wire for each character"),
}
LIMITS = {
    "rate": "writing itself, and 1 core for it and HTTP",
    "first_token_p50": "the turn that is being written, then all new texts' reading",
    "first_token_p95": "the turn that is being written, then all new texts' reading",
    "gap_p50": "how many characters a turn writes",
    "gap_p95": "the same, and events made and sent by one thread",
    "gap_p99": "the same, and the host's scheduler",
    "bytes_per_token": "OpenAI's chunk: its id, model and choice",
}


class Streams:
    """Some numbers of streams of one run, which have turns in each round."""

    def __init__(self, root: Path, clients: Clients, run: str, tokens: int) -> None:
        self._clients, self._run, self._tokens = clients, run, tokens
        self._batch = batch_of(RunFolder(root / "checkpoints" / run).load_model())
        self._prefix = "stream" if run == "baseline" else f"{run}_stream"

    def rows(self, counts: Sequence[int], rounds: int, host: Host) -> list[Row]:
        found: dict[int, list[dict[str, float]]] = {count: [] for count in counts}
        floors: dict[int, list[float]] = {count: [] for count in counts}
        speeds = []
        for _ in range(rounds):
            speeds.append(host.now())
            for count in counts:
                found[count].append(self._together(count))
                floors[count].append(self._in_process(count))
        one = [took["rate"] for took in found[counts[0]]]
        rows = []
        for count in counts:
            values = {key: [took[key] for took in found[count]] for key in WORDS}
            many = f"{count} stream{'s' if count > 1 else ''} of `{self._run}`"
            rows += self._rows(count, many, values, one, floors[count])
        return [row | {"host": statistics.median(speeds)} for row in rows]

    def _together(self, count: int) -> dict[str, float]:
        """A round of so many, begun at once; of one alone, which is soon done, several."""
        bodies = [body(self._run, self._tokens, seed) for seed in range(count)]
        tries = ALONE if count == 1 else 1
        took = [measured(self._clients("streams", bodies=bodies)) for _ in range(tries)]
        return {key: statistics.median(one[key] for one in took) for key in WORDS}

    def _rows(
        self,
        count: int,
        many: str,
        values: dict[str, list[float]],
        one: list[float],
        floors: list[float],
    ) -> Iterator[Row]:
        name, rates = f"{self._prefix}_{count}", values.pop("rate")
        about: Row = {"what": f"{many}: {WORDS['rate'][1]}", "limit": LIMITS["rate"]}
        if count == 1:
            values.pop("least_share")
            yield row(f"{name}_rate", "/s", rates, None, floors, **about)
        else:
            about |= {"against": "one stream", "own_peer": True}
            yield row(f"{name}_rate", "/s", rates, one, floors, **about)
        for key, each in values.items():
            unit, words = WORDS[key]
            yield row(f"{name}_{key}", unit, each, what=f"{many}: {words}", limit=LIMITS.get(key))

    def _in_process(self, count: int) -> float:
        """Characters per second of a batch of as many texts here, without HTTP."""
        tokens = min(self._tokens, 10_000 // count)
        texts = [Text([0] * len(PROMPT), Sampling(TEMPERATURE)) for _ in range(count)]
        for text in texts:
            self._batch.join(text)
        self._batch.advance()
        taken = seconds(lambda: self._batch.advance(tokens))
        for text in texts:
            self._batch.leave(text)
        return count * tokens / taken


def mixed(clients: Clients, rounds: int) -> list[Row]:
    """Eight streams of each of two runs that cost the same."""
    shares = []
    for _ in range(rounds):
        bodies = [body(run, LONG, seed) for seed in range(8) for run in ("baseline", "case-1")]
        written = by_first_end(clients("streams", bodies=bodies))
        shares.append(2 * min(sum(written[::2]), sum(written[1::2])) / sum(written))
    what = "8 streams of each of two runs: the lesser run's share of a half"
    return [row("mixed_share", "share", shares, what=what)]


def together(root: Path, server: Server, rounds: int) -> list[Row]:
    """What a character costs the server's processor, with events every 15 ms or at once."""
    counts, found = (1, 16), {}
    with Server(root, event_interval_ms=0) as eager:
        for _ in range(rounds):
            for each in (server, eager):
                with Clients(each.url) as clients:
                    for count in counts:
                        bodies = [body("baseline", LONG, seed) for seed in range(count)]
                        began = each.processor_s()
                        for _ in range(16 // count):
                            clients("streams", bodies=bodies)
                        cost = (each.processor_s() - began) / (16 * LONG) * 1e6
                        found.setdefault((count, each is server), []).append(cost)
    rows = []
    for count in counts:
        about: Row = {
            "what": f"processor time for a character of {count} stream{'s' if count > 1 else ''}",
            "against": "an event for whatever is ready",
            "own_peer": True,
            "limit": "writing; then events, which one thread makes",
        }
        rows.append(
            row(f"together_{count}_cost", "us", found[count, True], found[count, False], **about)
        )
    return rows


# Everything else


def attention(clients: Clients, rounds: int, host: Host) -> list[Row]:
    """Requests per second and how long one takes."""
    counts, speeds = (1, 4), []
    rates: dict[int, list[float]] = {count: [] for count in counts}
    halves: dict[int, list[float]] = {count: [] for count in counts}
    for _ in range(rounds):
        speeds.append(host.now())
        for count in counts:
            taken = clients("attention", run="baseline", clients=count, seconds=1.0)
            rates[count].append(count * 1000 * len(taken) / sum(taken))
            halves[count].append(quantile(taken, 0.5))
    about = {"host": statistics.median(speeds), "limit": "1 core for the server's Python"}
    rows = []
    for count in counts:
        asked = f"{count} asking" if count > 1 else "1 asks"
        what = f"`baseline`'s maps of 32 characters, {asked}: "
        name = f"attention_{count}"
        rows += [
            row(f"{name}_rate", "/s", rates[count], what=f"{what}answers", **about),
            row(f"{name}_p50", "ms", halves[count], what=f"{what}half within", **about),
        ]
    return rows


def stopping(clients: Clients, times: int) -> list[Row]:
    """How long after a reader has left his text is still written."""
    taken = [clients("stop", body=body("baseline", TOO_LONG, seed)) for seed in range(times)]
    what = "from leaving a stream until nothing is written"
    limit = "the turn that is being written, and asking how many there are"
    return [row("stop_to_idle", "ms", taken, what=what, limit=limit)]


def libraries() -> tuple[float, float]:
    """Seconds and MB of Python with the libraries that the server imports, and nothing done."""
    began = time.perf_counter()
    answer = subprocess.run(
        [sys.executable, "-c", LIBRARIES], check=True, capture_output=True, text=True
    )
    return time.perf_counter() - began, int(answer.stdout) / 1e6


def starting_cold(root: Path, host: Host) -> list[Row]:
    """As after an installation; once, as compiling takes a while."""
    about = {"host": host.now(), "limit": "compiling the kernels, once for an installation"}
    with TemporaryDirectory() as kernels, Server(root, Path(kernels)) as server:
        ready, first = server.ready_s, server.first_token_s
    return [
        row("start_cold", "s", [ready], what=f"{TO_READY}, cold", **about),
        row("start_token_cold", "s", [first], what=f"{TO_FIRST}, cold", **about),
    ]


def starting(root: Path, rounds: int, host: Host) -> list[Row]:
    """With the kernels that an earlier start has left."""
    with Server(root):
        speed = host.now()
    ready, first, memory, floors, floor_memory = [], [], [], [], []
    for _ in range(rounds):
        taken, size = libraries()
        floors.append(taken)
        floor_memory.append(size)
        with Server(root) as server:
            ready.append(server.ready_s)
            first.append(server.first_token_s)
            memory.append(server.ready_mb)
    limit = "importing torch and the web's libraries"
    rows = [
        row("start_warm", "s", ready, None, floors, what=TO_READY, limit=limit),
        row("start_token_warm", "s", first, None, floors, what=TO_FIRST, limit=limit),
    ]
    what = "memory after the start, with one run loaded"
    used = row("memory_start", "MB", memory, None, floor_memory, what=what, limit=limit)
    return [one | {"host": speed} for one in rows] + [used]


def prompted(server: Server, root: Path) -> list[Row]:
    """Memory once every run has written something."""
    with httpx.Client(base_url=server.url, timeout=300) as http:
        for run in sorted(folder.name for folder in (root / "checkpoints").iterdir()):
            http.post("/v1/completions", json=body(run, 8)).raise_for_status()
    what = "memory after all runs were prompted, one of them of 43 MB"
    return [row("memory_prompted", "MB", [server.memory_mb()], what=what)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--full", action="store_true", help="more rounds, and a cold start")
    parser.add_argument("--rounds", type=int)
    options = parser.parse_args()
    rounds = options.rounds or (7 if options.full else 3)
    torch.set_num_threads(1)
    host = Host()
    with runs() as root:
        rows = starting_cold(root, host) if options.full else []
        rows += starting(root, rounds, host)
        with Server(root) as server, Clients(server.url) as clients:
            rows += prompted(server, root)
            rows += Streams(root, clients, "baseline", LONG).rows((1, 16, 64), rounds, host)
            print("…", *(f"{one['name']} {one['value']}" for one in rows[-9:]), flush=True)
            rows += mixed(clients, rounds)
            rows += together(root, server, rounds)
            rows += Streams(root, clients, "baby", INSIDE).rows((1, 16), rounds, host)
            rows += attention(clients, rounds, host)
            rows += stopping(clients, 5 * rounds)
            what = "memory after all of this"
            rows.append(row("memory_after", "MB", [server.memory_mb()], what=what))
    finish(rows, options.json)


if __name__ == "__main__":
    main()
