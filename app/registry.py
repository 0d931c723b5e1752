"""Which runs there are; loads, keeps and lends their models."""

import logging
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from app.errors import UnknownRun, UnusableRun
from app.logs.context import fields
from app.patience import heed_patience
from model.batch import Batch
from model.batches import batch_of
from model.config import RUN_ID_PATTERN, ModelConfig, RunConfig
from model.gpt import GPT
from model.language_model import LanguageModel
from model.run_folder import BrokenRun, Estimate, Metric, RunFolder, Sample, Stamp, run_folders
from model.tokenizer import Tokenizer

log = logging.getLogger("sidelight")

Key = tuple[str, int | None]
Source = tuple[ModelConfig, Stamp]


@dataclass(frozen=True)
class Run:
    """What a run folder says, without its weights and without the most of its history.

    Of the evaluations there are the last one, that of the weights that the run has, and the last
    estimate over random batches.
    """

    folder: RunFolder
    config: RunConfig
    tokenizer: Tokenizer
    steps: list[int]
    last: Metric | None
    kept: Metric | None
    estimate: Estimate | None

    @property
    def id(self) -> str:
        return self.config.id

    def require_step(self, step: int | None) -> None:
        """Raises UnknownRun where there is no such snapshot."""
        if step is not None and step not in self.steps:
            raise UnknownRun(
                f"run {self.id!r} has no snapshot at step {step}; it has {_listed(self.steps)}",
                param="step",
                code="unknown_snapshot",
            )

    def available(self, step: int | None) -> int | None:
        """`step`, or for the final weights of a run that is still training its newest snapshot."""
        if step is None and self.steps and not os.path.lexists(self.folder.weights_path()):
            return self.steps[-1]
        return step

    def metrics(self) -> list[Metric]:
        """All of them, from the disk. Raises UnusableRun, as `samples` does."""
        try:
            return self.folder.read_metrics()
        except BrokenRun as error:
            raise unusable(self.id, str(error)) from None

    def samples(self) -> list[Sample]:
        try:
            return self.folder.read_samples()
        except BrokenRun as error:
            raise unusable(self.id, str(error)) from None


@dataclass(frozen=True)
class LoadedRun:
    """A run with its model, in evaluation mode; `step` None means the final weights."""

    run: Run
    step: int | None
    model: LanguageModel
    batch: Callable[[], Batch]  # where all its texts are written; made at the first call, a while

    @property
    def tokenizer(self) -> Tokenizer:
        return self.run.tokenizer


@dataclass
class Loads:
    """What has been loaded since the server started, in how many seconds in all."""

    done: int = 0
    failed: int = 0
    evicted: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class _Known:
    """A run, or why its folder cannot be read, from when the folder had that stamp."""

    stamp: Stamp
    run: Run | str


@dataclass
class _Shelf:
    """A loaded model, the memory it takes in bytes, and how many have it on loan."""

    source: Source
    loading: Future[tuple[LanguageModel, Callable[[], Batch]]]
    size: int = 0
    loans: int = 0


class Registry:
    """The run folders inside `folder`, looked at anew for each question.

    Whoever asks for one run has only that folder looked at, however many there are. Models take at
    most `budget_bytes` (see `held_bytes`); the least recently used go first, but none that is on
    loan. All methods may be called from any thread, and may read from the disk.
    """

    def __init__(self, folder: Path, budget_bytes: int, *, half_weights: bool = False) -> None:
        """With `half_weights`, runs write with half precision if their sample stays the same."""
        self.folder, self._budget, self._half_weights = folder, budget_bytes, half_weights
        self._lock = threading.Lock()
        self._loads = Loads()
        self._known: dict[str, _Known] = {}
        self._shelves: OrderedDict[Key, _Shelf] = OrderedDict()

    def listing(self) -> tuple[list[Run], dict[str, str]]:
        """All that can be read, by id; and why the others cannot, by id. Of one look at them."""
        with self._lock:
            self._look()
            known = self._known.items()
            runs = [it.run for _, it in known if isinstance(it.run, Run)]
            return runs, {id: it.run for id, it in known if isinstance(it.run, str)}

    def runs(self) -> list[Run]:
        """All that can be read, by id."""
        return self.listing()[0]

    def broken(self) -> dict[str, str]:
        """Why the others cannot, by id."""
        return self.listing()[1]

    def run(self, id: str) -> Run:
        """Raises UnknownRun, which names those that exist, or UnusableRun."""
        with self._lock:
            return self._find(id)

    @contextmanager
    def lend(self, id: str, step: int | None = None) -> Iterator[LoadedRun]:
        """A loaded model for as long as the block lasts. Raises UnknownRun or UnusableRun."""
        run, step, shelf = self._take(id, step)
        try:
            yield LoadedRun(run, step, *self._loaded(shelf, run, step))
        finally:
            with self._lock:
                shelf.loans -= 1
                self._tidy()

    def loaded_bytes(self) -> int:
        with self._lock:
            return sum(shelf.size for shelf in self._shelves.values())

    def lent(self) -> int:
        """How many loans there are of the models that are kept."""
        with self._lock:
            return sum(shelf.loans for shelf in self._shelves.values())

    def loads(self) -> Loads:
        with self._lock:
            return replace(self._loads)

    def _take(self, id: str, step: int | None) -> tuple[Run, int | None, _Shelf]:
        """The shelf of that model, on loan; the first to ask loads it, the others wait."""
        with self._lock:
            run = self._find(id)
            run.require_step(step)
            step = run.available(step)
            source = _source(run, step)
            shelf = self._shelves.get((id, step))
            is_new = shelf is None or shelf.source != source
            if shelf is None or is_new:
                shelf = self._shelves[id, step] = _Shelf(source, Future())
            self._shelves.move_to_end((id, step))
            shelf.loans += 1
        if is_new:
            self._load(shelf, run, step)
        return run, step, shelf

    def _load(self, shelf: _Shelf, run: Run, step: int | None) -> None:
        began = time.perf_counter()
        try:
            model = run.folder.load_model(step)
            heed_patience(model)
        except BaseException as error:  # noqa: BLE001 (raised for all who wait, by `result`)
            with self._lock:
                self._loads.failed += 1
            shelf.loading.set_exception(error)
            return
        with self._lock:
            self._loads.done += 1
            self._loads.seconds += time.perf_counter() - began
            shelf.size = held_bytes(model)
            self._tidy()
        shelf.loading.set_result((model, _once(partial(self._batch, model, run))))

    def _batch(self, model: LanguageModel, run: Run) -> Batch:
        samples = run.samples() if self._half_weights else []
        ids = run.tokenizer.encode(samples[-1].text) if samples else None
        return batch_of(model, halves_if_same_on=ids)

    def _loaded(
        self, shelf: _Shelf, run: Run, step: int | None
    ) -> tuple[LanguageModel, Callable[[], Batch]]:
        """Wait for the model; one that cannot be loaded is broken until its folder changes."""
        try:
            return shelf.loading.result()
        except BaseException as error:
            with self._lock:
                if self._shelves.get((run.id, step)) is shelf:
                    del self._shelves[run.id, step]
                if not isinstance(error, BrokenRun):
                    raise
                known = self._known.get(run.id)
                if step is None and known is not None and known.run is run:
                    self._known[run.id] = _Known(known.stamp, str(error))
                    _warn(run.id, str(error))
            raise unusable(run.id, str(error)) from None

    def _find(self, id: str) -> Run:
        folder = RunFolder(self.folder / id)
        known = self._now(folder) if re.fullmatch(RUN_ID_PATTERN, id) else None
        if known is None:
            self._look()
            raise UnknownRun(
                f"there is no run {id!r}; there are {_listed(self._known)}",
                param="run",
                code="unknown_run",
            )
        self._known[id] = known
        if isinstance(known.run, str):
            raise unusable(id, known.run)
        return known.run

    def _look(self) -> None:
        """Read the folders that are new or have changed, and drop those that are gone."""
        found = ((folder.id, self._now(folder)) for folder in run_folders(self.folder))
        self._known = {id: known for id, known in found if known is not None}
        for (id, step), shelf in list(self._shelves.items()):
            known = self._known.get(id)
            run = known.run if known else None
            if not isinstance(run, Run) or _source(run, step) != shelf.source:
                del self._shelves[id, step]  # whoever has it on loan keeps it

    def _now(self, folder: RunFolder) -> _Known | None:
        """What is known of a folder, read anew if it has changed; None if it is no run or gone."""
        if not folder.is_run():
            return None
        stamp, before = folder.stamp(), self._known.get(folder.id)
        if before and before.stamp == stamp:
            return before
        known = _Known(stamp, _read(folder))
        if isinstance(known.run, str):
            if not folder.is_run():  # it was deleted while it was read
                return None
            _warn(folder.id, known.run)
        return known

    def _tidy(self) -> None:
        total = sum(shelf.size for shelf in self._shelves.values())
        for key, shelf in list(self._shelves.items()):
            if total <= self._budget:
                return
            if shelf.loans == 0:
                del self._shelves[key]
                self._loads.evicted += 1
                total -= shelf.size


def _source(run: Run, step: int | None) -> Source:
    """What a model is made from: its shape and its file. Notes beside the shape do not count."""
    return run.config.model, run.folder.weights_stamp(step)


def _warn(id: str, why: str) -> None:
    log.warning("run %s cannot be used: %s", id, why, extra=fields(run=id))


def _once(make: Callable[[], Batch]) -> Callable[[], Batch]:
    """What `make` makes at the first call, whichever thread's that is."""
    lock = threading.Lock()
    made: list[Batch] = []

    def get() -> Batch:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def held_bytes(model: LanguageModel) -> int:
    """Memory that a model takes: its weights, and those of a GPT once more.

    The engine lays them out anew to write with them, and keeps that as long as the model.
    """
    tensors = (*model.parameters(), *model.buffers())
    return sum(tensor.nbytes for tensor in tensors) * (2 if isinstance(model, GPT) else 1)


def _read(folder: RunFolder) -> Run | str:
    """The run, or why it cannot be read; whatever is in one folder, the others are told of."""
    try:
        return _checked(folder)
    except BrokenRun as error:
        return str(error)
    except Exception as error:
        log.exception("%s cannot be read", folder.path)
        return f"{folder.id}: reading it failed ({type(error).__name__}); the server's log says why"


def _checked(folder: RunFolder) -> Run:
    """The run, all of which but the weights has been read. Raises BrokenRun."""
    config, tokenizer = folder.read_config(), folder.read_tokenizer()
    metrics, _ = folder.read_metrics(), folder.read_samples()
    kinds = tokenizer.kind, config.tokenizer
    if kinds[0] != kinds[1]:
        message = f"kind {kinds[0]}, but config.json says {kinds[1]}"
        raise BrokenRun(f"{folder.id}/tokenizer.json: {message}")
    sizes = tokenizer.vocab_size, config.model.vocab_size
    if sizes[0] != sizes[1]:
        message = f"{sizes[0]} {tokenizer.unit}, but the model has {sizes[1]}"
        raise BrokenRun(f"{folder.id}/tokenizer.json: {message}")
    folder.require_snapshots()
    run = Run(
        folder=folder,
        config=config,
        tokenizer=tokenizer,
        steps=folder.snapshot_steps(),
        last=metrics[-1] if metrics else None,
        kept=_of_the_weights(config, metrics),
        estimate=next((m.estimate for m in reversed(metrics) if m.estimate), None),
    )
    folder.weight_bytes(run.available(None))
    return run


def _of_the_weights(config: RunConfig, metrics: list[Metric]) -> Metric | None:
    """The evaluation of the weights that the run has: its last one, or its best."""
    if config.train is not None and config.train.weights == "best":
        return min(metrics, key=lambda metric: metric.val_loss, default=None)
    return metrics[-1] if metrics else None


def unusable(id: str, why: str) -> UnusableRun:
    """The error for a run whose folder cannot be read."""
    return UnusableRun(f"run {id!r} cannot be used: {why}", code="broken_run")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"
