"""How far a run's loss moves with its seed alone, beside what the exercise's changes move it.

    python bench/seeds.py --json FILE [--page docs/runs.md] [--seeds N ...] [--max-iters N]

Each run of the exercise, and the one with a single head, is trained with every seed, which draws
its first weights and its batches. A row is the mean loss in nats over the whole validation split;
its peer is the baseline's. As many runs as there are cores train at a time, on one thread each: it
takes many minutes, so `make bench` leaves it out.
"""

import argparse
import json
import multiprocessing
import os
import statistics
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from results import put

from model.corpus import tiny_shakespeare
from model.presets import PRESETS
from model.run_folder import RunFolder
from model.starting import prepare
from model.training import train

RUNS = ("baseline", "case-1", "case-2", "case-3", "one-head")
SEEDS = (1337, 1, 2)

Losses = Mapping[str, Sequence[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--page", type=Path, help="put the table between the markers there")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
    parser.add_argument("--max-iters", type=int, help="for a trial")
    options = parser.parse_args()
    jobs = [(run, seed, options.max_iters) for seed in options.seeds for run in RUNS]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), spawn) as pool:
        found = iter(list(pool.map(final_loss, *zip(*jobs, strict=True))))
    by_seed = [[next(found) for _ in RUNS] for _ in options.seeds]
    losses = {run: [each[i] for each in by_seed] for i, run in enumerate(RUNS)}
    usual = statistics.mean(losses["baseline"])
    rows = [
        {
            "name": f"seeds_{run}",
            "value": round(statistics.mean(each), 4),
            "unit": "nats",
            "peer": round(usual, 4),
            "ratio": round(usual / statistics.mean(each), 4),
            "losses": dict(zip(options.seeds, each, strict=True)),
        }
        for run, each in losses.items()
    ]
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    shown = table(losses, options.seeds)
    print(shown)
    if options.page:
        options.page.write_text(put(options.page.read_text(), "seeds", shown))


def final_loss(run: str, seed: int, max_iters: int | None) -> float:
    """Train the preset with that seed, and tell its validation loss at the end."""
    torch.set_num_threads(1)
    preset, corpus, cpu = PRESETS[run], tiny_shakespeare(), torch.device("cpu")
    steps = max_iters or preset.train.max_iters
    quiet = {"max_iters": steps, "eval_interval": steps, "eval_iters": 0, "snapshots": 0}
    plan = preset.model_copy(
        update={"train": preset.train.model_copy(update=quiet | {"seed": seed})}
    )
    with TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / run)
        start = prepare(folder, plan, corpus, cpu)
        train(folder, start.run, corpus, start.tokenizer, cpu)
        return folder.read_metrics()[-1].val_loss


def table(losses: Losses, seeds: Sequence[int]) -> str:
    """In Markdown: each seed's loss, and the mean difference to the baseline of the same seed."""
    heads = " | ".join(f"seed {seed}" for seed in seeds)
    lines = [f"| run | {heads} | mean | to the baseline, seed by seed |"]
    lines.append(f"|---|{'--:|' * (len(seeds) + 2)}")
    for run, each in losses.items():
        apart = [loss - usual for loss, usual in zip(each, losses["baseline"], strict=True)]
        cells = [*(f"{loss:.4f}" for loss in each), f"{statistics.mean(each):.4f}"]
        against = "" if run == "baseline" else ", ".join(f"{value:+.4f}" for value in apart)
        lines.append(f"| `{run}` | {' | '.join(cells)} | {against} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
