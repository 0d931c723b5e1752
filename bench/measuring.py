"""What the benchmarks of speed share: work timed in turns, rows, and the machine they are from.

A row says how far its numbers move: `noise` is the relative spread of its value over the rounds,
`ratio_noise` that of its ratio, each the distance of the quartiles over the median. `host` is how
fast a fixed piece of work that is not ours was beside it, in characters per second, which takes
what else the machine did out of a comparison. With `own_peer` the peer is ours too, so a worse
ratio may only mean that the peer got better.
"""

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import exercise
import torch
from tables import table
from train import processor

Row = dict[str, Any]
Timed = dict[str, list[float]]

VOCABULARY = 65


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def in_turns(measures: Mapping[str, Callable[[], float]], rounds: int) -> Timed:
    """What each measures in every round, by turns, so that noise of the host hits all."""
    found: Timed = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            found[name].append(measure())
    return found


def spread(values: Sequence[float]) -> float | None:
    """The distance of the quartiles over the median; None of a single value."""
    if len(values) < 2:
        return None
    first, middle, third = statistics.quantiles(values, n=4, method="inclusive")
    return round((third - first) / middle, 4) if middle else 0.0


def row(
    name: str,
    unit: str,
    values: Sequence[float],
    peers: Sequence[float] | None = None,
    floors: Sequence[float] | None = None,
    **about: Any,
) -> Row:
    """The median of `values`, beside the peer's and the floor of the same rounds.

    `ratio` is how many times better ours is than the peer, and `of_floor` how many times worse than
    the floor, both in the median of the rounds: rates are better when they are larger, all else
    when it is smaller.
    """
    ratios = _times_better(values, peers, unit)
    short = [1 / times for times in _times_better(values, floors, unit)]
    return {
        "name": name,
        "value": rounded(statistics.median(values)),
        "unit": unit,
        "peer": rounded(statistics.median(peers)) if peers else None,
        "ratio": rounded(statistics.median(ratios)) if ratios else None,
        "noise": spread(values),
        **({"ratio_noise": spread(ratios)} if ratios else {}),
        **({"floor": rounded(statistics.median(floors))} if floors else {}),
        **({"of_floor": rounded(statistics.median(short))} if short else {}),
        **{key: value for key, value in about.items() if value is not None},
    }


def _times_better(
    values: Sequence[float], others: Sequence[float] | None, unit: str
) -> list[float]:
    """Of each value, how many times better it is than the other of its round."""
    pairs = zip(values, others or [], strict=False)
    return [v / other if unit.endswith("/s") else other / v for v, other in pairs]


def rounded(value: float) -> float:
    """Four digits are more than any of this is good for."""
    return float(f"{value:.4g}")


def quantile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Host:
    """How fast the machine is just now, by the exercise's own way of writing on one thread."""

    CHARACTERS = 100

    def __init__(self) -> None:
        torch.manual_seed(1337)
        self._model = exercise.LanguageModel(VOCABULARY, exercise.N_EMBD // exercise.N_HEAD)
        self._model.eval()
        self.now()

    def now(self) -> float:
        """Characters per second, the median of three tries of a tenth of a second."""
        start = torch.zeros(1, 1, dtype=torch.long)
        taken = [seconds(lambda: self._model.generate(start, self.CHARACTERS)) for _ in range(3)]
        return rounded(self.CHARACTERS / statistics.median(taken))


def finish(rows: Sequence[Row], path: Path) -> None:
    """Write the rows, with the machine's name in each, and show them."""
    about = {
        "machine": f"{processor()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "when": time.strftime("%Y-%m-%d %H:%M"),
    }
    rows = [row | about for row in rows]
    path.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n", "utf-8")
    print(table(rows), end="")
