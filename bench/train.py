"""How long training takes, against the tuning exercise's own script in the same run.

    python bench/train.py --json FILE [--full] [--rounds N] [--threads N] [--text FILE]

The work is the exercise's baseline: 5,000 iterations and 51 evaluations. The script evaluates
400 random batches, 204,800 tokens. Ours takes the whole validation split and a part of the training
split, 144,000 tokens in all, while training goes on, and besides keeps snapshots, samples and the
script's own estimate at the end. Without `--full`, both do rounds of 100 iterations and an
evaluation in turns, and median times are scaled. A second row says what the matrix products alone
would take.
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

from model.config import RunPlan
from model.corpus import Corpus, load_corpus
from model.distributed import World
from model.evaluation import TOKENS_AT_ONCE
from model.gradients import Gradients
from model.optim import build_optimizers
from model.presets import PRESETS
from model.recording import TRAIN_TOKENS, Note, Recorder
from model.run_folder import RunFolder
from model.starting import prepare
from model.training import Trainer, half_the_threads

CPU = torch.device("cpu")
STEPS, STEPS_PER_ROUND = exercise.MAX_ITERS, exercise.EVAL_INTERVAL
EVALUATIONS = STEPS // STEPS_PER_ROUND + 1


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def new_trainer(corpus: Corpus, root: Path) -> Trainer:
    folder = RunFolder(root / "baseline")
    folder.create()
    start = prepare(folder, PRESETS["baseline"], corpus, CPU)
    return Trainer(folder, start.run, corpus, start.tokenizer, CPU)


def full(corpus: Corpus, root: Path) -> tuple[float, float]:
    """Seconds of all the work: ours, the script's."""
    return (
        seconds(lambda: new_trainer(corpus, root).train()),
        seconds(lambda: exercise.Exercise(corpus.text).train()),
    )


def share(corpus: Corpus, root: Path, rounds: int) -> tuple[float, float]:
    """The same, scaled up from `rounds` rounds of some steps and one evaluation each."""
    script, ours = exercise.Exercise(corpus.text), new_trainer(corpus, root)
    optimizers = build_optimizers(ours.model, ours.config)
    gradients = Gradients(ours.model, ours.config, CPU, World())

    def script_round() -> None:
        script.estimate_loss()
        for _ in range(STEPS_PER_ROUND):
            script.step()

    def our_round(recorder: Recorder) -> None:
        recorder.record(Note(1, evaluate=True), ours.model)
        for step in range(STEPS_PER_ROUND):
            ours.step(step, *ours.batch(), optimizers, gradients)
        recorder.wait()

    our_times, script_times = [], []
    for _ in range(rounds + 1):
        with half_the_threads() as threads, ours.recorder(threads) as recorder:
            our_times.append(seconds(lambda: our_round(recorder)))
        script_times.append(seconds(script_round))
    print("ours:", *(f"{taken:.2f}" for taken in our_times), "s, the first left out")
    print("the script's:", *(f"{taken:.2f}" for taken in script_times), "s, the first left out")
    our_round_s, script_round_s = (statistics.median(t[1:]) for t in (our_times, script_times))
    script_last_s = seconds(script.estimate_loss)
    with half_the_threads() as threads, ours.recorder(threads) as recorder:
        last = Note(STEPS, evaluate=True, sample=True, estimate=True)
        recorder.record(last, ours.model)
        our_last_s = seconds(recorder.wait)
        recorder.record(Note(1, snapshot=True, sample=True), ours.model)
        snapshot_s = seconds(recorder.wait)
    scale = STEPS / STEPS_PER_ROUND
    return (
        our_round_s * scale + snapshot_s * len(ours.snapshots) + our_last_s,
        script_round_s * scale + script_last_s,
    )


def products(corpus: Corpus) -> float:
    """Seconds of the same work's matrix products alone, were they spread evenly over all cores.

    What no implementation in single precision gets below; those inside attention are left out.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    run = PRESETS["baseline"]
    batch = run.train.batch_size * run.model.block_size
    evaluated = len(corpus.split()[1]) + TRAIN_TOKENS
    step, chunk = products_of(run, batch, passes=3), products_of(run, TOKENS_AT_ONCE, passes=1)
    torch.set_num_threads(threads)
    return (step * STEPS + chunk * evaluated / TOKENS_AT_ONCE * EVALUATIONS) / threads


def products_of(run: RunPlan, tokens: int, passes: int) -> float:
    """Seconds on this thread; backwards each product has two more of its size."""
    C, V = run.model.n_embd, run.model.vocab_size
    layer = [(C, 3 * C), (C, C), (C, 4 * C), (4 * C, C)]
    total = 0.0
    for inner, outer in layer * run.model.n_layer + [(C, V)]:
        x, weight = torch.randn(tokens, inner), torch.randn(inner, outer)
        out = x @ weight
        times = [seconds(lambda: torch.mm(x, weight, out=out)) for _ in range(50)]  # noqa: B023
        total += statistics.median(times) * passes
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--text", default="tinyshakespeare", help="corpus, or a file's path")
    options = parser.parse_args()
    corpus = load_corpus(options.text)
    with TemporaryDirectory() as root:
        if options.full:
            ours, script = full(corpus, Path(root))
        else:
            ours, script = share(corpus, Path(root), options.rounds)
    measured = f"{options.rounds} rounds of {STEPS_PER_ROUND} steps and an evaluation, scaled"
    about = {
        "measured": "all steps" if options.full else measured,
        "machine": f"{processor()}, {torch.get_num_threads()} threads, torch {torch.__version__}",
    }
    values = {"train_exercise_cpu": ours, "train_exercise_cpu_products_alone": products(corpus)}
    rows = [
        {
            "name": name,
            "value": round(value, 2),
            "unit": "s",
            "peer": round(script, 2),
            "ratio": round(script / value, 3),
            **about,
        }
        for name, value in values.items()
    ]
    options.json.write_text(json.dumps(rows, indent=2) + "\n")
    print(json.dumps(rows, indent=2))


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
