"""`sidelight train`: the trainer in a terminal, with a bar, and a Ctrl-C that loses nothing."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app.corpora import Corpora
from app.errors import RequestError
from app.settings import Settings
from model.config import InitFrom, RunPlan
from model.corpus import TINY_SHAKESPEARE, Corpus, load_corpus
from model.device import choose_device
from model.distributed import is_first_process
from model.presets import PRESETS
from model.recording import Diverged
from model.run_folder import BrokenRun, Metric, RunFolder
from model.starting import prepare
from model.state_folder import RunBusy
from model.train_state import UnusableState
from model.training import Progress as Done
from model.training import Watcher, train


class WrongOption(Exception):
    """An option's value cannot be used; the text says which, and what can."""


# What a person can mend; all of it says how.
TROUBLE = (
    WrongOption,
    RequestError,
    BrokenRun,
    RunBusy,
    UnusableState,
    Diverged,
    OSError,
    ValueError,
)


def plan_of(
    preset: str,
    run_id: str | None,
    changes: list[str],
    tokenizer: str,
    hypothesis: str,
    init_from: str | None,
) -> RunPlan:
    """The preset with the changes. Raises WrongOption."""
    if preset not in PRESETS:
        raise WrongOption(f"there is no preset {preset!r}; there are {', '.join(PRESETS)}")
    document = PRESETS[preset].model_dump()
    document |= {"id": run_id or preset, "tokenizer": tokenizer}
    if hypothesis:
        document["hypothesis"] = hypothesis
    if init_from:
        run, _, step = init_from.partition("@")
        document["init_from"] = InitFrom(run=run, step=int(step) if step else None)
    for change in changes:
        _apply(change, document)
    try:
        return RunPlan.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        field = first.get("ctx", {}).get("field")
        where = ".".join(str(part) for part in (*first["loc"], field) if part not in ("gpt", None))
        raise WrongOption(f"{where}: {first['msg']}") from None


def _apply(change: str, document: dict[str, Any]) -> None:
    name, equals, value = change.partition("=")
    part, _, field = name.strip().partition(".")
    if not equals or part not in ("model", "train") or field not in document[part]:
        raise WrongOption(f"--set {change}: give a field of model or train, as train.max_iters=100")
    document[part][field] = None if value.strip() in ("null", "none") else _scalar(value.strip())


def _scalar(value: str) -> bool | str:
    """Numbers stay texts, which pydantic reads as whatever the field wants."""
    return value == "true" if value in ("true", "false") else value


def run(plan: RunPlan | None, folder: RunFolder, text: str | None, device: str) -> bool:
    """Train `plan` into `folder`, or without one go on where it was stopped.

    Tells whether it came to its end. Under torchrun the first process alone says anything.
    """
    console = Console(highlight=False, soft_wrap=True, quiet=not is_first_process())
    if plan is None:
        config = folder.read_config()
        if text is None and config.corpus is not None:
            text = _text_of(config.corpus.name, config.corpus.sha256)
        plan = RunPlan.model_validate(config.model_dump(include=set(RunPlan.model_fields)))
    chosen = choose_device(device)
    corpus = _load(text or TINY_SHAKESPEARE)
    start = prepare(folder, plan, corpus, chosen)
    console.print(
        f"{plan.title}: {start.run.params:,} parameters, {corpus.name}, on {start.run.device}"
    )
    console.print("  step  train loss  val loss  tokens/s")
    with _stop_on_ctrl_c(console) as stop, _bar(console, plan) as on_progress:
        watcher = Watcher(on_progress, lambda metric: _show(console, metric), stop.is_set)
        return train(folder, start.run, corpus, start.tokenizer, chosen, watcher, start.model)


def _load(text: str) -> Corpus:
    """A text by its name, its id among the uploaded ones, or its path."""
    corpora = Corpora(Settings().data / "corpora")
    if text != TINY_SHAKESPEARE and not Path(text).exists() and text in corpora.ids():
        return replace(load_corpus(corpora.source(text)), name=text)
    return load_corpus(text)


def _text_of(name: str, sha256: str) -> str:
    """Where a run's text is to be had. Raises WrongOption."""
    if name == TINY_SHAKESPEARE:
        return name
    for corpus in Corpora(Settings().data / "corpora").list():
        if corpus.sha256 == sha256:
            return corpus.id
    raise WrongOption(f"the run was trained on {name!r}: name that file with --corpus")


def _show(console: Console, metric: Metric) -> None:
    numbers = f"{metric.train_loss:10.4f}  {metric.val_loss:8.4f}  {metric.tokens_per_s:8,.0f}"
    console.print(f"{metric.step:6}  {numbers}")


@contextmanager
def _bar(console: Console, plan: RunPlan) -> Iterator[Any]:
    """What is told of progress becomes a bar, where there is a terminal to show it."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
        TextColumn("{task.fields[about]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("starting", total=plan.train.max_iters, about="")

        def on_progress(done: Done) -> None:
            loss = "" if done.loss is None else f"loss {done.loss:.3f}, "
            about = f"{loss}{done.tokens_per_s:,.0f} tokens/s"
            bar.update(task, completed=done.step, description=done.phase, about=about)

        yield on_progress


@contextmanager
def _stop_on_ctrl_c(console: Console) -> Iterator[threading.Event]:
    """The first Ctrl-C asks the trainer to keep what it has; a second one ends it at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, before)
        console.print("keeping what was trained; Ctrl-C again to leave without")
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
