"""How far the sampled estimate of a loss moves from one draw of batches to the next.

    python bench/estimate.py --json FILE

The loss over the whole validation split, which the draws estimate, is a row too; none has a peer.
"""

import argparse
import json
import statistics
from pathlib import Path

import torch

from model.corpus import tiny_shakespeare
from model.evaluation import sampled_loss, whole_loss
from model.run_folder import RunFolder

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
DRAWS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    folder = RunFolder(CHECKPOINTS / "baseline")
    model, train = folder.load_model(), folder.read_config().train
    ids = torch.tensor(folder.read_tokenizer().encode(tiny_shakespeare().split()[1]))
    windows = train.eval_iters * train.batch_size
    draws = [
        sampled_loss(model, ids, model.block_size, windows, torch.Generator().manual_seed(seed))
        for seed in range(DRAWS)
    ]
    values = {
        "whole_split_loss": whole_loss(model, ids, model.block_size),
        "estimate_mean": statistics.mean(draws),
        "estimate_standard_deviation": statistics.stdev(draws),
    }
    rows = [
        {"name": name, "value": round(value, 4), "unit": "nats", "peer": None, "ratio": None}
        for name, value in values.items()
    ]
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
