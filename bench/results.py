"""The table of the shipped runs, from their own folders: what the README shows.

python bench/results.py            print it
python bench/results.py README.md  put it between the markers there
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from model.run_folder import RunFolder, run_folders

CHECKPOINTS = Path(__file__).parent.parent / "checkpoints"
HEADER = (
    "| run | parameters | steps | training loss | validation loss | to baseline "
    "| sampled estimate | wall time |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|\n"
)


def table(folders: Iterable[RunFolder]) -> str:
    """One row per run, in Markdown. Losses in nats per character at the last evaluation."""
    baseline = RunFolder(CHECKPOINTS / "baseline").read_metrics()[-1].val_loss
    return HEADER + "".join(row(folder, baseline) for folder in folders)


def row(folder: RunFolder, baseline: float) -> str:
    config, last = folder.read_config(), folder.read_metrics()[-1]
    estimate = f"{last.estimate.val_loss:.4f}" if last.estimate else ""
    cells = [
        f"`{folder.id}` {config.title}",
        f"{config.params:,}",
        f"{last.step:,}",
        f"{last.train_loss:.4f}",
        f"{last.val_loss:.4f}",
        f"{last.val_loss / baseline - 1:+.1%}",
        estimate,
        f"{last.elapsed_s:.0f} s",
    ]
    return f"| {' | '.join(cells)} |\n"


def put(page: str, name: str, content: str) -> str:
    """`page` with `content` between the markers of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{content}{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        path = Path(sys.argv[1])
        path.write_text(put(path.read_text(), "results", table(run_folders(CHECKPOINTS))))
    else:
        print(table(run_folders(CHECKPOINTS)), end="")
