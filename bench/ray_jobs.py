"""What a job costs on a Ray cluster beside one that is a process of this machine.

    python bench/ray_jobs.py --json FILE

A head with two CPUs is started for it, on this machine. The first row is the time from handing a
job over to its first training step, the median of several; its peer is the process. The second is
how long eight jobs of five seconds take, two at once; its peer is the twenty seconds that they
would take if nothing came between them.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.jobs.launcher import OVER, Launcher
from app.jobs.processes import Processes
from app.jobs.ray_cluster import RayCluster
from model.config import GPTConfig, RunPlan, TrainConfig
from model.job import JobSpec
from tests.ray_fixtures import RayHead, StandInCluster, answers, end_head, start_head, wait_for

ROUNDS = 5
JOBS, WIDTH, SECONDS = 8, 2, 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, own_head() as head:
        root, cluster, here = Path(name), RayCluster(head.address, gpus=0), Processes("cpu")
        starts = [
            (until_it_trains(cluster, root / f"ray{i}"), until_it_trains(here, root / f"here{i}"))
            for i in range(ROUNDS)
        ]
        on_ray, as_process = (statistics.median(times) for times in zip(*starts, strict=True))
        together, ideal = all_jobs(head, root), JOBS * SECONDS / WIDTH
    rows = [
        {"name": name, "value": round(value, 2), "unit": "s", "peer": round(peer, 2)}
        | {"ratio": round(peer / value, 3)}
        for name, value, peer in (
            ("ray_start_to_first_step", on_ray, as_process),
            (f"ray_{JOBS}_jobs_of_{SECONDS:g}_s_{WIDTH}_at_once", together, ideal),
        )
    ]
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


@contextmanager
def own_head() -> Iterator[RayHead]:
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp", ignore_cleanup_errors=True) as name:
        output = Path(name) / "head.txt"
        head = start_head(Path(name), output)
        try:
            wait_for(lambda: answers(head), 120, output.read_text)
            yield head
        finally:
            end_head(head)


def until_it_trains(launcher: Launcher, folder: Path) -> float:
    """Seconds from handing a job over to its first step; it is stopped then."""
    folder.mkdir()
    (folder / "text.txt").write_text("To be, or not to be: that is the question.\n" * 100)
    plan = RunPlan(
        id="run",
        title="Run",
        model=GPTConfig(vocab_size=20, block_size=8, n_layer=1, n_head=1, n_embd=8),
        train=TrainConfig(max_iters=100_000, eval_interval=1000, eval_iters=1, batch_size=4),
    )
    text = str(folder / "text.txt")
    spec = JobSpec(plan=plan, folder=folder / "run", corpus=text, corpus_name="text", device="cpu")
    (folder / "spec.json").write_text(spec.model_dump_json())
    device = launcher.devices()[0].id
    began = time.monotonic()
    handle = launcher.start(folder, device)
    wait_for(lambda: has_stepped(folder), 60, lambda: launcher.log(folder, handle))
    took = time.monotonic() - began
    wait_for(lambda: launcher.status(folder, handle).state == "running", 10, lambda: "not running")
    launcher.stop(folder, handle)
    wait_for(lambda: launcher.status(folder, handle).state in OVER, 60, lambda: "goes on")
    time.sleep(2)  # for the cluster to notice as well
    return took


def has_stepped(folder: Path) -> bool:
    try:
        return json.loads((folder / "progress.json").read_text())["step"] > 0
    except (OSError, ValueError):
        return False


def all_jobs(head: RayHead, root: Path) -> float:
    """Seconds from handing over the first of many jobs to the end of the last."""
    cluster = StandInCluster(head.address, gpus=0)
    folders = [root / f"job{i}" for i in range(JOBS)]
    for folder in folders:
        folder.mkdir()
        (folder / "spec.json").write_text(json.dumps({"seconds": SECONDS}))
    began = time.monotonic()
    handles = [cluster.start(folder, "ray") for folder in folders]
    for folder, handle in zip(folders, handles, strict=True):
        over = lambda f=folder, h=handle: cluster.status(f, h).state in OVER  # noqa: E731
        wait_for(over, 300, lambda: "goes on")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
