"""Where the tuning exercise's own script ends up, against the losses that the exercise reports.

    python bench/losses.py --json FILE

The report does not say whether attention scores were scaled by the size of a head or, as early
versions of the lecture's code had it, by the width of the whole model: both are trained to the end,
at once, on one thread each. Values are the script's own estimate of the validation loss.
"""

import argparse
import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import exercise
import torch

from model.corpus import tiny_shakespeare

REPORTED = 1.8235
SCALES = {
    "scores scaled by the size of a head": exercise.N_EMBD // exercise.N_HEAD,
    "scores scaled by the width": exercise.N_EMBD,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    with ProcessPoolExecutor(len(SCALES), multiprocessing.get_context("spawn")) as pool:
        losses = list(pool.map(final_loss, SCALES.values()))
    rows = [
        {
            "name": name,
            "value": round(loss, 4),
            "unit": "nats",
            "peer": REPORTED,
            "ratio": round(REPORTED / loss, 4),
        }
        for name, loss in zip(SCALES, losses, strict=True)
    ]
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


def final_loss(scaled_by: int) -> float:
    """Train without looking, then estimate once."""
    torch.set_num_threads(1)
    script = exercise.Exercise(tiny_shakespeare().text, scaled_by=scaled_by)
    for _ in range(exercise.MAX_ITERS):
        script.step()
    return script.estimate_loss()["val"]


if __name__ == "__main__":
    main()
