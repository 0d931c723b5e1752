"""How long training takes, against the tuning exercise's own script in the same run.

    python bench/train.py --json FILE [--full] [--rounds N] [--threads N] [--text FILE]

The work is the exercise's baseline: 5,000 iterations and 51 evaluations. The script evaluates
400 random batches, 204,800 tokens; ours takes the whole validation split and as many tokens of
the training split, 223,000 in all, and besides keeps snapshots, samples and the script's own
estimate at the end. Without `--full`, both do a share of it in turns, and median times are scaled.
"""

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import exercise
import torch

from model.corpus import Corpus, load_corpus
from model.optim import build_optimizers
from model.presets import PRESETS
from model.run_folder import RunFolder
from model.training import Trainer, run_config

STEPS = exercise.MAX_ITERS
EVALUATIONS = STEPS // exercise.EVAL_INTERVAL + 1
STEPS_PER_ROUND = 20


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def new_trainer(corpus: Corpus, root: Path) -> Trainer:
    run = run_config(PRESETS["baseline"], corpus)
    return Trainer(RunFolder(root / run.id), run, corpus, "cpu")


def full(corpus: Corpus, root: Path) -> tuple[float, float]:
    """Seconds of all the work: ours, the script's."""
    return (
        seconds(lambda: new_trainer(corpus, root).train()),
        seconds(lambda: exercise.Exercise(corpus.text).train()),
    )


def share(corpus: Corpus, root: Path, rounds: int) -> tuple[float, float]:
    """The same, scaled up from `rounds` rounds of some steps and one evaluation each."""
    script, ours = exercise.Exercise(corpus.text), new_trainer(corpus, root)
    optimizers, batches = build_optimizers(ours.model, ours.config), ours.batches()
    ours.started = time.perf_counter()

    def our_steps() -> None:
        for step in range(STEPS_PER_ROUND):
            ours.step(step, *next(batches), optimizers)

    def script_steps() -> None:
        for _ in range(STEPS_PER_ROUND):
            script.step()

    works: dict[str, Callable[[], object]] = {
        "our steps": our_steps,
        "script's steps": script_steps,
        "our evaluation": lambda: ours.evaluate(0),
        "script's evaluation": script.estimate_loss,
    }
    for work in works.values():  # once for the caches
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            times[name].append(seconds(work))
    median = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in median.items():
        print(f"{name}: {taken:.4f} s")
    snapshots = (len(ours.snapshots) + 1) * seconds(lambda: ours.snapshot(1))
    scale = STEPS / STEPS_PER_ROUND
    return (
        median["our steps"] * scale
        + median["our evaluation"] * EVALUATIONS
        + snapshots
        + seconds(ours.estimate),
        median["script's steps"] * scale + median["script's evaluation"] * EVALUATIONS,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--text", default="tinyshakespeare", help="corpus, or a file's path")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = load_corpus(options.text)
    with TemporaryDirectory() as root:
        if options.full:
            ours, script = full(corpus, Path(root))
        else:
            ours, script = share(corpus, Path(root), options.rounds)
    row = {
        "name": "train_exercise_cpu",
        "value": round(ours, 2),
        "unit": "s",
        "peer": round(script, 2),
        "ratio": round(script / ours, 3),
        "measured": "all steps"
        if options.full
        else f"{options.rounds} rounds of {STEPS_PER_ROUND} steps and 1 evaluation, scaled",
        "machine": f"{processor()}, {options.threads} threads, torch {torch.__version__}",
    }
    options.json.write_text(json.dumps([row], indent=2) + "\n")
    print(json.dumps(row, indent=2))


def processor() -> str:
    """The CPU's name, as Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


if __name__ == "__main__":
    main()
