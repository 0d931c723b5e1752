"""What training reaches on a GPU, with checks that it computes what the CPU does.

    python bench/gpu.py --json FILE [--device cuda] [--max-iters N]

Under eight minutes on an H100: the tuning exercise's baseline with all its evaluations (the
exercise reports 358 s), the preset `baby` (a validation loss of 1.4697 after about 3 minutes on an
A100 is known for it), a step as a captured graph against the same step launched kernel by kernel,
how fast 1, 16 and 64 texts are written together, and the checks. Each loss and each time is a row;
a check that fails ends the bench with status 1. With `--device cpu --max-iters 20` all of it runs
by the same code on any machine, and measures nothing worth keeping. Without a GPU and without
`--device` there is nothing to do.
"""

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import torch
from torch import Tensor

from model.ablation import head_means, importance
from model.attention import Kind, attention_maps
from model.attribution import attribute
from model.config import RunPlan
from model.corpus import Corpus, tiny_shakespeare
from model.decoding import generate
from model.device import device_name
from model.distributed import World
from model.families import build_model
from model.gpt import GPT
from model.gradients import Gradients
from model.graph_batch import GraphBatch
from model.head_roles import repeated_maps
from model.language_model import LanguageModel
from model.optim import build_optimizers
from model.presets import PRESETS
from model.run_folder import RunFolder
from model.sampling import Sampling
from model.sequence import Sequence
from model.starting import prepare
from model.trace import Trace
from model.training import Watcher, train

EXERCISE_S, EXERCISE_LOSS = 358.0, 1.8235
BABY_S, BABY_LOSS = 180.0, 1.4697
STEPS_TO_TIME = 300
GREEDY = Sampling(temperature=0)

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "")
    parser.add_argument("--max-iters", type=int, help="fewer steps, to try the bench itself")
    options = parser.parse_args()
    if not options.device:
        print("no GPU here: nothing is measured")
        options.json.write_text("[]\n")
        return
    device, corpus = torch.device(options.device), tiny_shakespeare()
    rows, failed = [], []
    for part in (
        gradients_agree,
        resume_agrees,
        decoding_agrees,
        attention_agrees,
        step_time,
        baseline,
        baby,
    ):
        print(f"{part.__name__} …", flush=True)
        began = time.perf_counter()
        for row in part(device, corpus, options.max_iters):
            rows.append(row)
            failed += [row["name"]] if row.get("holds") is False else []
            print(json.dumps(row, ensure_ascii=False), flush=True)
        print(f"{part.__name__}: {time.perf_counter() - began:.1f} s", flush=True)
    about = {
        "machine": device_name(device),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "python": platform.python_version(),
    }
    options.json.write_text(json.dumps([row | about for row in rows], indent=2) + "\n")
    if failed:
        print(f"did not hold: {', '.join(failed)}")
        sys.exit(1)


def row(name: str, value: float, unit: str, peer: float | None, holds: bool | None) -> Row:
    """`ratio` is how many times better than the peer: smaller is better for all but rates."""
    ratio = None if not peer else round(value / peer if unit == "/s" else peer / value, 4)
    return {
        "name": name,
        "value": value,
        "unit": unit,
        "peer": peer,
        "ratio": ratio,
        "holds": holds,
    }


# Checks


def gradients_agree(device: torch.device, _corpus: Corpus, _max_iters: int | None) -> list[Row]:
    """A captured step's gradients against the CPU's, in float32."""
    x, y = torch.randint(65, (2, 16, 32), generator=torch.manual_seed(1))
    each = []
    for where in (torch.device("cpu"), device):
        torch.manual_seed(0)
        model = build_model(PRESETS["baseline"].model).to(where).train()
        gradients = Gradients(model, PRESETS["baseline"].train, where, World())
        gradients.prepare(torch.zeros_like(x).to(where), torch.zeros_like(y).to(where))
        gradients(x.to(where), y.to(where))
        each.append(torch.cat([p.grad.flatten().cpu() for p in model.parameters()]))
    difference = float((each[0] - each[1]).norm() / each[0].norm())
    return [row("gradients_to_cpu", difference, "relative difference", None, difference < 1e-4)]


def resume_agrees(device: torch.device, corpus: Corpus, _max_iters: int | None) -> list[Row]:
    """A run that is stopped and resumed against one that is not."""
    plan = _with(PRESETS["baseline"], max_iters=60, eval_interval=20, eval_iters=1, snapshots=2)
    losses = []
    for stops in ([], [25]):
        with TemporaryDirectory() as root:
            folder = RunFolder(Path(root) / plan.id)
            for steps in stops:
                asked = iter(range(10**9))
                stop = Watcher(wants_stop=lambda a=asked, s=steps: next(a) >= s)  # type: ignore[misc]
                _train(folder, plan, corpus, device, stop)
            _train(folder, plan, corpus, device)
            losses.append(folder.read_metrics()[-1].val_loss)
    difference = abs(losses[0] - losses[1])
    return [row("resumed_to_unbroken", difference, "nats", None, difference < 2e-3)]


def decoding_agrees(device: torch.device, corpus: Corpus, max_iters: int | None) -> list[Row]:
    """Texts' likeliest characters, many at once, against the CPU's one by one; and how fast.

    Rates are of all characters together, once the texts have been read; the peer is one text on
    this machine's CPU. `baby` has weights that were never trained, which take as long as others.
    """
    folder = RunFolder(Path(__file__).parent.parent / "checkpoints" / "baseline")
    ids = folder.read_tokenizer().encode(corpus.text[:5000])

    def baby(device: str) -> LanguageModel:
        torch.manual_seed(0)
        return build_model(PRESETS["baby"].model).to(device).eval()

    rows = []
    for name, load, length, most in (
        ("baseline_inside", folder.load_model, 8, 25),  # the last is drawn from a full context
        ("baseline_past", folder.load_model, 33, 200),
        ("baby_inside", baby, 64, 193),
    ):
        count = min(most, max_iters or most)
        prompts, model = [ids[at : at + length] for at in (0, 500, 2000, 4000)], load(device="cpu")
        list(generate(model, prompts[0], count, GREEDY))
        began = time.perf_counter()
        expected = [[token.id for token in generate(model, p, count, GREEDY)] for p in prompts]
        peer = len(prompts) * count / (time.perf_counter() - began)
        model = load(device=str(device))
        assert isinstance(model, GPT)
        for places in (1, 16, 64):
            found, join_s, write_s = _written(model, prompts, places, count)
            same = all(text == expected[i % len(prompts)] for i, text in enumerate(found))
            rows.append(
                row(f"decoding_{name}_{places}", places * count / write_s, "/s", peer, same)
            )
        rows.append(row(f"decoding_{name}_join", join_s / places * 1e3, "ms", None, None))
    return rows


def _written(
    model: GPT, prompts: list[list[int]], places: int, count: int
) -> tuple[list[list[int]], float, float]:
    """So many texts at once, and the seconds that they took to join and to be written."""
    batch, device = GraphBatch(model, places), model.wte.weight.device
    for _ in range(2):  # the first time graphs are captured
        texts = [Sequence(prompts[i % len(prompts)], GREEDY) for i in range(places)]
        join_s = _seconds(lambda: [batch.join(text) for text in texts], device)  # noqa: B023
        write_s = _seconds(lambda: batch.advance(count), device)
        for text in texts:
            batch.leave(text)
    return [text.ids[-count:] for text in texts], join_s, write_s


def attention_agrees(device: torch.device, _corpus: Corpus, _max_iters: int | None) -> list[Row]:
    """Maps of every kind, roles, losses without a head and a logit's parts against the CPU's."""
    folder = RunFolder(Path(__file__).parent.parent / "checkpoints" / "modern")
    ids = folder.read_tokenizer().encode("ROMEO:\nBut, soft! what light")
    found: list[list[Tensor]] = []
    for where in ("cpu", str(device)):
        model = folder.load_model(device=where)
        assert isinstance(model, GPT)
        trace = Trace()
        model(torch.tensor([ids], device=where), trace)
        parts = attribute(model, trace, query=len(ids) - 1, target=ids[0])
        found.append(
            [attention_maps(model, ids, kind=kind) for kind in get_args(Kind)]
            + [repeated_maps(model), torch.tensor([part.logit for part in parts])]
            + [importance(model, ids, fill)[1].cpu() for fill in (None, head_means(model, ids))]
        )
    difference = max(float((a - b).abs().max()) for a, b in zip(*found, strict=True))
    return [row("attention_to_cpu", difference, "largest difference", None, difference < 1e-3)]


# Times


def step_time(device: torch.device, _corpus: Corpus, max_iters: int | None) -> list[Row]:
    """One step of `baseline`, captured against eager."""
    steps = max_iters or STEPS_TO_TIME
    eager, captured = (_step_seconds(device, steps, prepare=p) for p in (False, True))
    return [row("step_captured", captured * 1e3, "ms", eager * 1e3, None)]


def _step_seconds(device: torch.device, steps: int, *, prepare: bool) -> float:
    plan = PRESETS["baseline"]
    torch.manual_seed(0)
    model = build_model(plan.model).to(device).train()
    optimizers = build_optimizers(model, plan.train)
    gradients = Gradients(model, plan.train, device, World())
    x, y = torch.randint(65, (2, 16, 32), device=device)
    if prepare:
        gradients.prepare(x, y)

    def some_steps(count: int) -> None:
        for _ in range(count):
            gradients(x, y)
            for optimizer in optimizers:
                optimizer.step()

    some_steps(10)
    return _seconds(lambda: some_steps(steps), device) / steps


def baseline(device: torch.device, corpus: Corpus, max_iters: int | None) -> list[Row]:
    """All of it: 5,000 iterations, 51 evaluations, snapshots, samples."""
    metric, seconds = _whole(PRESETS["baseline"], device, corpus, max_iters)
    whole = max_iters is None
    loss = metric.estimate.val_loss if metric.estimate else metric.val_loss
    return [
        row("baseline_s", seconds, "s", EXERCISE_S, seconds < 10 if whole else None),
        row("baseline_loss", loss, "nats", EXERCISE_LOSS, loss < 1.8535 if whole else None),
    ]


def baby(device: torch.device, corpus: Corpus, max_iters: int | None) -> list[Row]:
    """The preset `baby`, to its end; its loss is that of the weights it keeps."""
    preset = PRESETS["baby"]
    if device.type == "cpu":
        preset = _with(preset, compile=False, batch_size=2)
    metric, seconds = _whole(preset, device, corpus, max_iters)
    whole = max_iters is None
    return [
        row("baby_s", seconds, "s", BABY_S, seconds < BABY_S if whole else None),
        row("baby_loss", metric.val_loss, "nats", BABY_LOSS, metric.val_loss < BABY_LOSS)
        if whole
        else row("baby_loss", metric.val_loss, "nats", BABY_LOSS, None),
    ]


def _whole(plan: RunPlan, device: torch.device, corpus: Corpus, max_iters: int | None) -> Any:
    """The best evaluation and the seconds from beginning to end, compiling included."""
    if max_iters:
        plan = _with(plan, max_iters=max_iters, warmup_iters=0, eval_iters=1, snapshots=1)
    with TemporaryDirectory() as root:
        folder = RunFolder(Path(root) / plan.id)
        seconds = _seconds(lambda: _train(folder, plan, corpus, device), device)
        metrics = folder.read_metrics()
        best = min(metrics, key=lambda metric: metric.val_loss)
        return (best if plan.train.weights == "best" else metrics[-1]), seconds


def _train(
    folder: RunFolder, plan: RunPlan, corpus: Corpus, device: torch.device, watcher: Any = None
) -> None:
    start = prepare(folder, plan, corpus, device)
    train(folder, start.run, corpus, start.tokenizer, device, watcher)


def _with(plan: RunPlan, **changes: Any) -> RunPlan:
    return plan.model_copy(update={"train": plan.train.model_copy(update=changes)})


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    began = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
