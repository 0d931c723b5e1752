"""What each ingredient of the modern recipe gives: train it again with that one taken out.

    python bench/ablation.py --json FILE [--page docs/runs.md] [--max-iters N] [--only NAME ...]

Each row is the loss in nats over the whole validation split with one ingredient missing; its peer
is the whole recipe, same seed, same tokens. As many runs as there are cores train at a time, on one
thread each: it takes many minutes, so `make bench` leaves it out.
"""

import argparse
import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from results import put

from model.config import RunPlan
from model.corpus import tiny_shakespeare
from model.presets import PRESETS
from model.run_folder import RunFolder
from model.starting import prepare
from model.training import train

RECIPE = "the whole recipe"

# The exercise's way stands in its place; AdamW alone gets a rate between the two recipes' rates.
WITHOUT: dict[str, dict[str, dict[str, object]]] = {
    RECIPE: {},
    "the whole recipe, another seed": {"train": {"seed": 1338}},
    "without Muon: AdamW at 5e-3": {"train": {"optimizer": "adamw", "learning_rate": 5e-3}},
    "without decay: constant rates": {"train": {"schedule": "constant"}},
    "without the longer context: 16 x 32": {
        "model": {"block_size": 32},
        "train": {"batch_size": 16},
    },
    "without rotary positions: learned ones": {"model": {"position": "learned"}},
    "without the convolution": {"model": {"qkv_conv": 0}},
    "without QK-norm, and so without gain": {"model": {"qk_norm": False, "qk_gain": False}},
    "without gain": {"model": {"qk_gain": False}},
    "without ReLU²: ReLU": {"model": {"activation": "relu"}},
    "without RMSNorm: LayerNorm": {"model": {"norm": "layernorm"}},
    "without zero initialisation": {"model": {"zero_init": False}},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--page", type=Path, help="put the table between the markers there")
    parser.add_argument("--max-iters", type=int, default=PRESETS["modern"].train.max_iters)
    parser.add_argument("--only", nargs="*", choices=WITHOUT, default=list(WITHOUT))
    options = parser.parse_args()
    names = [RECIPE, *(name for name in options.only if name != RECIPE)]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(os.cpu_count(), spawn) as pool:
        runs = list(pool.map(trained, names, [options.max_iters] * len(names)))
    rows = [
        {
            "name": name,
            "value": round(loss, 4),
            "unit": "nats",
            "peer": round(runs[0][1], 4),
            "ratio": round(runs[0][1] / loss, 4),
            "params": params,
        }
        for name, (params, loss) in zip(names, runs, strict=True)
    ]
    options.json.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    print(json.dumps(rows, indent=2, ensure_ascii=False))
    if options.page:
        page = options.page.read_text("utf-8")
        options.page.write_text(put(page, "ablation", table(names, runs)), "utf-8")


def trained(name: str, max_iters: int) -> tuple[int, float]:
    """Parameters, and the final loss over the whole validation split."""
    torch.set_num_threads(1)
    plan, corpus, cpu = variant(name, max_iters), tiny_shakespeare(), torch.device("cpu")
    with TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / plan.id)
        start = prepare(folder, plan, corpus, cpu)
        train(folder, start.run, corpus, start.tokenizer, cpu)
        print(f"{name}: {folder.read_metrics()[-1].val_loss:.4f}", flush=True)
        return start.run.params, folder.read_metrics()[-1].val_loss


def variant(name: str, max_iters: int) -> RunPlan:
    """The modern preset with an ingredient taken out, noted at its end alone."""
    preset = PRESETS["modern"]
    change = WITHOUT[name]
    model = preset.model.model_copy(update=change.get("model", {}))
    quiet = {"max_iters": max_iters, "eval_interval": max_iters, "eval_iters": 0, "snapshots": 0}
    config = preset.train.model_copy(update=quiet | change.get("train", {}))
    return preset.model_copy(update={"model": model, "train": config})


def table(names: list[str], runs: list[tuple[int, float]]) -> str:
    """In Markdown, what costs most when it is missing first."""
    recipe = runs[0][1]
    ordered = sorted(zip(names, runs, strict=True), key=lambda row: (row[0] != RECIPE, -row[1][1]))
    return "| | parameters | validation loss | lost |\n|---|--:|--:|--:|\n" + "".join(
        f"| {name} | {params:,} | {loss:.4f} | {loss - recipe:+.4f} |\n"
        for name, (params, loss) in ordered
    )


if __name__ == "__main__":
    main()
