"""From a request to a job that can succeed: everything that can be known beforehand is checked."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from app.corpora import Corpora, CorpusSummary
from app.errors import InvalidRequest, NoRoom, ServerLimit
from app.jobs.queue import JobQueue, new_id
from app.jobs.requests import JobRequest, WantedConfiguration
from app.jobs.store import Job, now
from app.registry import Registry
from model.config import GPTConfig, ModelConfig, NGramConfig, RunPlan, TokenizerKind
from model.corpus import TRAIN_SHARE
from model.device import DeviceSilent, device_memory
from model.memory import TrainingMemory, training_memory
from model.parameter_count import parameter_count
from model.planning import differing_shape, with_vocab_size
from model.presets import PRESETS

BYTES = 256
LONGEST_ID = 64
RETRY_AFTER_S = 60  # a job may take hours; nobody knows


@dataclass(frozen=True)
class Most:
    """How many there may be."""

    jobs: int  # that wait or run
    runs: int  # jobs' that are to be among them


@dataclass(frozen=True)
class Admitted:
    """A job that may be queued, and what it will take."""

    job: Job
    tokens_per_step: int
    memory_bytes: int
    memory_available_bytes: int
    device: str


class Admission:
    """Every check raises InvalidRequest or UnknownRun, naming the field."""

    def __init__(self, corpora: Corpora, registry: Registry, queue: JobQueue, most: Most) -> None:
        self._corpora, self._registry, self._queue = corpora, registry, queue
        self._most = most

    def require_room(self, runs: int = 1, *, trained: bool = True) -> None:
        """For so many more. Raises NoRoom, and ServerLimit for jobs, which come to an end."""
        making = self._queue.run_ids()
        if trained and len(making) + runs > self._most.jobs:
            has = f"{len(making):,} jobs that wait or run, and takes {self._most.jobs:,} in all"
            raise ServerLimit(has, "too_many_jobs", RETRY_AFTER_S)
        known, broken = self._registry.listing()
        there = {run.id for run in known} | broken.keys() | making
        if len(there) + runs > self._most.runs:
            message = (
                f"there are {len(there):,} runs, and the server keeps {self._most.runs:,}: "
                "take some out of its folder of runs first"
            )
            raise NoRoom(message, code="too_many_runs")

    def admit(self, request: JobRequest, taken: Collection[str] = ()) -> Admitted:
        """`taken`: run ids that are about to be used besides those that are."""
        corpus = self._corpora.get(request.corpus)
        wanted, title, hypothesis = _wanted(request)
        usual_id = request.preset or next(_ids(title))
        run_id = request.run_id or self._free_id(usual_id, taken)
        plan = RunPlan(
            id=run_id,
            title=request.title or (title if run_id == usual_id else f"{title} ({run_id})"),
            model=self._model(request, wanted.model, corpus),
            train=wanted.train,
            tokenizer=self._tokenizer(request),
            hypothesis=request.hypothesis or hypothesis,
            init_from=request.init_from,
        )
        window = _require_window(plan, corpus)
        device = self._device(request.device)
        memory = training_memory(plan.model, plan.train, corpus.characters, device.split(":")[0])
        try:
            available = device_memory("cpu" if device == "ray" else device)
        except DeviceSilent as error:
            message = f"device: {error}; take another, or try again once it is repaired"
            raise InvalidRequest(message, param="device", code="device_silent") from None
        if memory.total > available and device != "ray":
            raise _too_large(memory, device, available)
        job = Job(
            id=new_id(),
            plan=plan,
            corpus=request.corpus,
            params=parameter_count(plan.model),
            preset=request.preset,
            device_wanted=request.device,
            created=now(),
        )
        return Admitted(job, plan.train.batch_size * window, memory.total, available, device)

    def _model(self, request: JobRequest, model: ModelConfig, corpus: CorpusSummary) -> ModelConfig:
        """With as many tokens as the text or the weights to start from have."""
        if request.init_from:
            run = self._registry.run(request.init_from.run)
            steps, step = run.steps, request.init_from.step
            if step is not None and step not in steps:
                message = f"init_from.step: {run.id!r} has snapshots at {_listed(steps)}"
                raise InvalidRequest(message, param="init_from.step", code="unknown_snapshot")
            if field := differing_shape(model, run.config.model):
                message = (
                    f"config.model.{field}: differs from that of {run.id!r}, "
                    "whose weights it starts from"
                )
                raise InvalidRequest(message, param=f"config.model.{field}", code="invalid_value")
            return with_vocab_size(model, run.config.model.vocab_size)
        match request.tokenizer:
            case "character":
                size = corpus.distinct
            case "byte":
                size = BYTES
            case "bpe":
                size = model.vocab_size
                if size <= BYTES:
                    raise InvalidRequest(
                        f"config.model.vocab_size: bpe starts from {BYTES} bytes; give more",
                        param="config.model.vocab_size",
                        code="invalid_value",
                    )
        try:
            return with_vocab_size(model, size)
        except ValidationError:
            message = f"corpus: a {model.kind} model cannot have {size:,} different tokens"
            raise InvalidRequest(message, param="corpus", code="too_large") from None

    def _tokenizer(self, request: JobRequest) -> TokenizerKind:
        if request.init_from:
            return self._registry.run(request.init_from.run).config.tokenizer
        return request.tokenizer

    def _device(self, wanted: str) -> str:
        devices = self._queue.devices_for(wanted)
        if not devices:
            there = ", ".join(device.id for device in self._queue.devices())
            message = f"device: there is no {wanted!r} here; there are {there}"
            raise InvalidRequest(message, param="device", code="unknown_device")
        return devices[0].id

    def _free_id(self, name: str, taken: Collection[str]) -> str:
        """The name as an id, with a number where it is in use."""
        used = self._queue.run_ids() | set(taken)
        folder: Path = self._registry.folder
        for id in _ids(name):
            if id not in used and not (folder / id).exists():
                return id
        raise AssertionError("there is no end to numbers")


def _too_large(memory: TrainingMemory, device: str, available: int) -> InvalidRequest:
    field = memory.largest_field
    param = field if field == "corpus" else f"config.{field}"
    advice = "lower it, or raise grad_accum" if field == "train.batch_size" else "lower it"
    message = (
        f"{param}: training needs about {_gigabytes(memory.total)}, "
        f"{device} has {_gigabytes(available)}: {advice}"
    )
    return InvalidRequest(message, param=param, code="too_large")


def _wanted(request: JobRequest) -> tuple[WantedConfiguration, str, str]:
    """The configuration, a title and a hypothesis."""
    if request.preset is None:
        assert request.config is not None
        return request.config, request.title or "Untitled run", ""
    if request.preset not in PRESETS:
        message = f"preset: there is no {request.preset!r}; there are {', '.join(PRESETS)}"
        raise InvalidRequest(message, param="preset", code="unknown_preset")
    preset = PRESETS[request.preset]
    wanted = WantedConfiguration(model=preset.model, train=preset.train)
    return wanted, preset.title, preset.hypothesis


def _require_window(plan: RunPlan, corpus: CorpusSummary) -> int:
    """Tokens per window. A token is a byte at least; how many characters one takes is not known."""
    model, train = plan.model, plan.train
    window = train.window or _context(model)
    units = corpus.bytes if plan.tokenizer == "byte" else corpus.characters
    shorter = units - int(TRAIN_SHARE * units)
    if shorter <= window:
        field = "train.window" if train.window else "model.block_size"
        raise InvalidRequest(
            f"config.{field}: {window} is longer than the text allows, whose last tenth, for "
            f"validation, has {shorter} {'bytes' if plan.tokenizer == 'byte' else 'characters'}",
            param=f"config.{field}",
            code="too_large",
        )
    return window


def _context(model: ModelConfig) -> int:
    match model:
        case GPTConfig():
            return model.block_size
        case NGramConfig():
            return max(1, model.order - 1)
        case _:
            return 1


def _ids(name: str) -> Iterator[str]:
    """The name as an id, then with 2, 3 … behind it: `twice-the-heads`, `twice-the-heads-2`."""
    word = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[: LONGEST_ID - 6] or "run"
    yield word
    number = 2
    while True:
        yield f"{word}-{number}"
        number += 1


def _listed(steps: list[int]) -> str:
    return ", ".join(map(str, steps)) or "no step"


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
