"""Which runs there are; loads, keeps and lends their models."""

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.errors import UnknownRun, UnusableRun
from model.config import RunConfig
from model.language_model import LanguageModel
from model.run_folder import BrokenRun, Metric, RunFolder, Sample, run_folders
from model.tokenizer import Tokenizer

Stamp = tuple[tuple[int, int], ...]
Key = tuple[str, int | None]


@dataclass(frozen=True)
class Run:
    """What a run folder says, without its weights."""

    folder: RunFolder
    config: RunConfig
    tokenizer: Tokenizer
    metrics: list[Metric]
    samples: list[Sample]
    steps: list[int]

    @property
    def id(self) -> str:
        return self.config.id


@dataclass(frozen=True)
class LoadedRun:
    """A run with its model, in evaluation mode; `step` None means the final weights."""

    run: Run
    step: int | None
    model: LanguageModel

    @property
    def tokenizer(self) -> Tokenizer:
        return self.run.tokenizer


@dataclass
class _Shelf:
    """A loaded model and how many have it on loan."""

    loading: Future[LoadedRun]
    step: int | None
    stamp: Stamp
    size: int
    loans: int = 0


class Registry:
    """The run folders inside `folder`, looked at anew for each question.

    At most `budget_bytes` of weights stay loaded; the least recently used go first, but none that
    is on loan. All methods may be called from any thread, and may read from the disk.
    """

    def __init__(self, folder: Path, budget_bytes: int) -> None:
        self.folder, self._budget = folder, budget_bytes
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Stamp, Run | str]] = {}
        self._shelves: OrderedDict[Key, _Shelf] = OrderedDict()

    def runs(self) -> list[Run]:
        """All that can be read, by id."""
        with self._lock:
            self._look()
            return [run for _, run in self._known.values() if isinstance(run, Run)]

    def broken(self) -> dict[str, str]:
        """Why the others cannot, by id."""
        with self._lock:
            self._look()
            return {id: why for id, (_, why) in self._known.items() if isinstance(why, str)}

    def run(self, id: str) -> Run:
        """Raises UnknownRun, which names those that exist, or UnusableRun."""
        with self._lock:
            return self._find(id)[1]

    @contextmanager
    def lend(self, id: str, step: int | None = None) -> Iterator[LoadedRun]:
        """A loaded model for as long as the block lasts. Raises UnknownRun or UnusableRun."""
        shelf = self._take(id, step)
        try:
            yield self._loaded(shelf, id)
        finally:
            with self._lock:
                shelf.loans -= 1
                self._tidy()

    def loaded_bytes(self) -> int:
        with self._lock:
            return sum(shelf.size for shelf in self._shelves.values())

    def _take(self, id: str, step: int | None) -> _Shelf:
        """The shelf of that model, on loan; the first to ask loads it, the others wait."""
        with self._lock:
            stamp, run = self._find(id)
            if step is not None and step not in run.steps:
                raise UnknownRun(
                    f"run {id!r} has no snapshot at step {step}; it has {_listed(run.steps)}",
                    param="step",
                    code="unknown_snapshot",
                )
            step = _available(run, step)
            shelf = self._shelves.get((id, step))
            is_new = shelf is None or shelf.stamp != stamp
            if shelf is None or is_new:
                shelf = _Shelf(Future(), step, stamp, _weight_bytes(run.folder, step))
                self._shelves[id, step] = shelf
            self._shelves.move_to_end((id, step))
            shelf.loans += 1
        if is_new:
            try:
                shelf.loading.set_result(LoadedRun(run, step, run.folder.load_model(step)))
            except BaseException as error:  # noqa: BLE001 (raised for all who wait, by `result`)
                shelf.loading.set_exception(error)
        return shelf

    def _loaded(self, shelf: _Shelf, id: str) -> LoadedRun:
        """Wait for the model; one that cannot be loaded is broken until its folder changes."""
        try:
            return shelf.loading.result()
        except BaseException as error:
            with self._lock:
                for key in [key for key, kept in self._shelves.items() if kept is shelf]:
                    del self._shelves[key]
                if not isinstance(error, BrokenRun):
                    raise
                is_final = shelf.step is None
                if is_final and id in self._known and self._known[id][0] == shelf.stamp:
                    self._known[id] = (shelf.stamp, str(error))
            raise _unusable(id, str(error)) from None

    def _find(self, id: str) -> tuple[Stamp, Run]:
        self._look()
        if id not in self._known:
            raise UnknownRun(
                f"there is no run {id!r}; there are {_listed(self._known)}",
                param="run",
                code="unknown_run",
            )
        stamp, run = self._known[id]
        if isinstance(run, str):
            raise _unusable(id, run)
        return stamp, run

    def _look(self) -> None:
        """Read the folders that are new or have changed, and drop those that are gone."""
        known: dict[str, tuple[Stamp, Run | str]] = {}
        for folder in run_folders(self.folder):
            stamp = folder.stamp()
            before = self._known.get(folder.id)
            same = before is not None and before[0] == stamp
            known[folder.id] = before if before and same else (stamp, _read(folder))
        self._known = known
        for key, shelf in list(self._shelves.items()):
            if key[0] not in known or known[key[0]][0] != shelf.stamp:
                del self._shelves[key]  # whoever has it on loan keeps it

    def _tidy(self) -> None:
        total = sum(shelf.size for shelf in self._shelves.values())
        for key, shelf in list(self._shelves.items()):
            if total <= self._budget:
                return
            if shelf.loans == 0:
                del self._shelves[key]
                total -= shelf.size


def _read(folder: RunFolder) -> Run | str:
    """The run, or why it cannot be read."""
    try:
        run = Run(
            folder=folder,
            config=folder.read_config(),
            tokenizer=folder.read_tokenizer(),
            metrics=folder.read_metrics(),
            samples=folder.read_samples(),
            steps=folder.snapshot_steps(),
        )
        folder.weight_bytes(_available(run, None))
    except BrokenRun as error:
        return str(error)
    kinds = run.tokenizer.kind, run.config.tokenizer
    if kinds[0] != kinds[1]:
        return f"{folder.id}/tokenizer.json: kind {kinds[0]}, but config.json says {kinds[1]}"
    sizes = run.tokenizer.vocab_size, run.config.model.vocab_size
    if sizes[0] != sizes[1]:
        unit = run.tokenizer.unit
        return f"{folder.id}/tokenizer.json: {sizes[0]} {unit}, but the model has {sizes[1]}"
    return run


def _available(run: Run, step: int | None) -> int | None:
    """`step`, or for the final weights of a run that is still training its newest snapshot."""
    if step is None and run.steps and not run.folder.weights_path().exists():
        return run.steps[-1]
    return step


def _weight_bytes(folder: RunFolder, step: int | None) -> int:
    try:
        return folder.weight_bytes(step)
    except BrokenRun as error:
        raise _unusable(folder.id, str(error)) from None


def _unusable(id: str, why: str) -> UnusableRun:
    return UnusableRun(f"run {id!r} cannot be used: {why}", code="broken_run")


def _listed(names: Iterable[object]) -> str:
    return ", ".join(map(str, names)) or "none"
