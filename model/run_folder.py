"""A run on disk: read without trust, written so that nothing is ever torn.

Every file is written beside its final name, flushed to the disk and renamed; the folder counts as
a run from the moment its `config.json` has been renamed into place. Nothing is ever unpickled, no
link is followed, and nothing is read that is larger than it may be.
"""

import json
import os
import re
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Annotated, TypeVar
from weakref import WeakValueDictionary

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from model.atomic_file import remove_if_there, write_atomically
from model.config import RUN_ID_PATTERN, NGramConfig, RunConfig
from model.families import build_empty
from model.language_model import LanguageModel
from model.plain_file import open_plain, plain_size, read_plain, require_no_link
from model.run_limits import (
    MOST_CONFIG_BYTES,
    MOST_COUNTS_BYTES,
    MOST_HISTORY_BYTES,
    MOST_HISTORY_LINES,
    MOST_VOCABULARY_BYTES,
)
from model.state_folder import StateFolder
from model.tensor_file import TensorFile, UnreadableTensors, require_finite
from model.tokenizer import Tokenizer, tokenizer_from

PARTS = (
    "config.json",
    "tokenizer.json",
    "metrics.jsonl",
    "samples.jsonl",
    "snapshots",
    "model.safetensors",
)
SNAPSHOT_NAME = re.compile(r"step-(\d{6,18})\.safetensors")

LONGEST_REASON, LONGEST_NAME = 500, 50


class BrokenRun(Exception):
    """A run folder cannot be read; the message says which file and why."""

    def __init__(self, reason: str) -> None:
        """Of what stands in a foreign file only so much is shown, on one line."""
        line = "".join(c if c.isprintable() else "?" for c in reason[:LONGEST_REASON])
        super().__init__(line if len(reason) <= LONGEST_REASON else f"{line}…")


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


Line = TypeVar("Line", bound=_Line)
Stamp = tuple[tuple[int, int, int], ...]
Step = Annotated[int, Field(ge=0, lt=2**53)]


class Estimate(_Line):
    """Mean losses over random batches, as the tuning exercise estimates them."""

    train_loss: float
    val_loss: float


class Metric(_Line):
    """One evaluation. Losses in nats per token: `val_loss` over the whole validation split."""

    step: Step
    train_loss: float
    val_loss: float
    learning_rate: float
    elapsed_s: float
    tokens_per_s: float
    estimate: Estimate | None = None


class Sample(_Line):
    """What the model wrote at a step."""

    step: Step
    prompt: str
    text: str
    seed: int
    temperature: float = 1.0


# Of a file that is something else, the first line is told and not each of a million.
_METRICS = TypeAdapter(Annotated[list[Metric], Field(fail_fast=True)])
_SAMPLES = TypeAdapter(Annotated[list[Sample], Field(fail_fast=True)])
_tokenizers: WeakValueDictionary[bytes, Tokenizer] = WeakValueDictionary()


class RunFolder:
    """`path` is `<checkpoints>/<run id>`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        """The folder's name; of one that is no UTF-8, what can be shown of it."""
        return os.fsencode(self.path.name).decode("utf-8", "replace")

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.path)

    def create(self) -> None:
        """Make the folder, which every write needs: one that was deleted stays deleted."""
        require_no_link(self.path)
        self.path.mkdir(parents=True, exist_ok=True)

    def is_run(self) -> bool:
        """Whether the folder counts as a run yet, be it a broken one."""
        return os.path.lexists(f"{self.path}/config.json")  # a string, as in _file_stamp

    def is_finished(self) -> bool:
        """Whether its training came to the end."""
        return self.weights_path().is_file() and not self.state.path.exists()

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def stamp(self) -> Stamp:
        """Changes whenever a file that is read here is replaced, added or removed."""
        return self._stamp_of(PARTS)

    def weights_stamp(self, step: int | None = None) -> Stamp:
        """Changes whenever the file with those weights does."""
        return self._stamp_of((self._weights_name(step),))

    # Reading

    def read_config(self) -> RunConfig:
        """Raises BrokenRun, as does every other way of reading."""
        try:
            data = self._bytes("config.json", MOST_CONFIG_BYTES)
            config = RunConfig.model_validate_json(data)
        except ValidationError as error:
            raise BrokenRun(f"{self.id}/config.json: {_problem(error)}") from None
        if not re.fullmatch(RUN_ID_PATTERN, self.path.name):
            raise BrokenRun(
                f"{self.id}: a run's folder is called by at most 64 small letters, digits, '.', "
                "'_' and '-'; rename it, and the id in its config.json"
            )
        if config.id != self.id:
            raise BrokenRun(f"{self.id}/config.json: id is {config.id!r}, not the folder's name")
        return config

    def read_tokenizer(self) -> Tokenizer:
        """The same one for every folder that has the same."""
        try:
            return _tokenizer(self._bytes("tokenizer.json", MOST_VOCABULARY_BYTES))
        except (ValueError, RecursionError) as error:
            raise BrokenRun(f"{self.id}/tokenizer.json: {error}") from None

    def read_metrics(self) -> list[Metric]:
        return self._lines("metrics.jsonl", _METRICS)

    def read_samples(self) -> list[Sample]:
        return self._lines("samples.jsonl", _SAMPLES)

    def snapshot_steps(self) -> list[int]:
        """Steps whose weights are kept on the way, without the final ones."""
        try:
            require_no_link(self._snapshots)
            names = os.listdir(self._snapshots)
        except OSError:
            return []
        return sorted(int(m[1]) for name in names if (m := SNAPSHOT_NAME.fullmatch(name)))

    def require_snapshots(self) -> None:
        """Raises BrokenRun where one is something else than a file, or all are elsewhere."""
        for step in self.snapshot_steps():
            self.weight_bytes(step)
        try:
            require_no_link(self._snapshots)
        except OSError as error:
            raise BrokenRun(f"{self.id}/snapshots: {error.strerror}") from None
        if self._snapshots.exists() and not self._snapshots.is_dir():
            raise BrokenRun(f"{self.id}/snapshots: something else is in the folder's place")

    def weights_path(self, step: int | None = None) -> Path:
        """The file with the weights of a snapshot, or the final ones."""
        return self.path / self._weights_name(step)

    def weight_bytes(self, step: int | None = None) -> int:
        """Size of that file. Raises BrokenRun if it is missing."""
        name = self._weights_name(step)
        try:
            return plain_size(self.path, name)
        except OSError as error:
            raise BrokenRun(f"{self.id}/{name}: {error.strerror}") from None

    def load_model(self, step: int | None = None, device: str = "cpu") -> LanguageModel:
        """The model in evaluation mode, in float32.

        It is read into memory and has nothing to do with the file from then on.
        """
        name = self._weights_name(step)
        model = build_empty(self.read_config().model)
        kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        try:
            stored = self._tensors(name, model)
            tensors = {name: tensor.to(kinds[name]) for name, tensor in stored.items()}
            require_finite(tensors)
            model.load_weights(tensors)
        except MemoryError:
            raise BrokenRun(f"{self.id}/{name}: there is no memory for its weights") from None
        except OSError as error:
            raise BrokenRun(f"{self.id}/{name}: {error.strerror}") from None
        except (UnreadableTensors, RuntimeError) as error:
            raise BrokenRun(f"{self.id}/{name}: {error}") from None
        return model.to(device).eval().requires_grad_(requires_grad=False)

    # Writing

    def write_config(self, config: RunConfig) -> None:
        """Makes the folder a run; write what it needs first."""
        self._write("config.json", f"{config.model_dump_json(indent=2)}\n".encode())

    def write_tokenizer(self, tokenizer: Tokenizer) -> None:
        document = json.dumps(tokenizer.document(), ensure_ascii=False)
        self._write("tokenizer.json", f"{document}\n".encode())

    def write_metrics(self, metrics: Iterable[Metric]) -> None:
        self._write("metrics.jsonl", _json_lines(metrics).encode())

    def write_samples(self, samples: Iterable[Sample]) -> None:
        self._write("samples.jsonl", _json_lines(samples).encode())

    def write_weights(self, model: LanguageModel) -> None:
        """The final weights, as they are."""
        self.write_weights_file(weights_bytes(model))

    def write_weights_file(self, data: bytes) -> None:
        """The same, as the bytes of a safetensors file."""
        self._write(self._weights_name(None), data)

    def write_snapshot(self, step: int, model: LanguageModel) -> None:
        """Weights on the way, in half precision: 1 part in 2,000 off, half the size."""
        halves = {k: t.half() if t.is_floating_point() else t for k, t in _tensors(model).items()}
        for place in (self.path, self._snapshots):
            require_no_link(place)
        self._snapshots.mkdir(exist_ok=True)
        self._write(self._weights_name(step), safetensors.torch.save(halves))

    def forget_after(self, step: int) -> None:
        """Drop what was noted after `step`, from where the training goes on."""
        metrics, samples = self.read_metrics(), self.read_samples()
        if any(metric.step > step for metric in metrics):
            self.write_metrics(metric for metric in metrics if metric.step <= step)
        if any(sample.step > step for sample in samples):
            self.write_samples(sample for sample in samples if sample.step <= step)
        for later in self.snapshot_steps():
            if later > step:
                remove_if_there(self.weights_path(later))

    @property
    def _snapshots(self) -> Path:
        return self.path / "snapshots"

    def _write(self, name: str, content: bytes) -> None:
        require_no_link(self.path)
        write_atomically(self.path / name, content)

    def _bytes(self, name: str, most_bytes: int) -> bytes:
        try:
            return read_plain(self.path, name, most_bytes)
        except OSError as error:
            raise BrokenRun(f"{self.id}/{name}: {error.strerror}") from None

    def _tensors(self, name: str, model: LanguageModel) -> dict[str, torch.Tensor]:
        """What the file has for an empty `model`. Raises UnreadableTensors, OSError, MemoryError.

        Only of counts it does not follow from the configuration how many there are.
        """
        with open_plain(self.path, name) as opened:
            file = TensorFile(opened)
            if not isinstance(model.config, NGramConfig):
                tied = {"lm_head.weight"} if getattr(model.config, "tie_weights", False) else ()
                file.require(model.state_dict(), optional=tied)
            elif file.bytes > MOST_COUNTS_BYTES:
                raise UnreadableTensors(f"over {MOST_COUNTS_BYTES:,} bytes of counts are not read")
            return file.read()

    def _lines(self, name: str, kind: TypeAdapter[list[Line]]) -> list[Line]:
        """A line of JSON each; read at once, as a list of them, they take half as long."""
        if not os.path.lexists(f"{self.path}/{name}"):
            return []
        lines = self._bytes(name, MOST_HISTORY_BYTES).splitlines()
        if len(lines) > MOST_HISTORY_LINES:
            message = f"it has {len(lines):,} lines, and at most {MOST_HISTORY_LINES:,} are read"
            raise BrokenRun(f"{self.id}/{name}: {message}")
        try:
            return kind.validate_json(b"[" + b",\n".join(lines) + b"]")
        except ValidationError as error:
            raise BrokenRun(f"{self.id}/{name}: {_problem_of_lines(error)}") from None

    @staticmethod
    def _weights_name(step: int | None) -> str:
        return "model.safetensors" if step is None else f"snapshots/step-{step:06d}.safetensors"

    def _stamp_of(self, names: Iterable[str]) -> Stamp:
        return tuple(_file_stamp(f"{self.path}/{name}") for name in names)


def run_folders(root: Path) -> list[RunFolder]:
    """The folders of `root` that are runs, broken ones too, by id; hidden ones are none."""
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    folders = (RunFolder(root / name) for name in names if not name.startswith("."))
    return [folder for folder in folders if folder.is_run()]


def _problem(error: ValidationError) -> str:
    """What is wrong with a configuration, the version that it is of before all else."""
    problems = error.errors(include_url=False)
    first = next((it for it in problems if it["loc"] == ("format",)), problems[0])
    where = ".".join(str(part)[:LONGEST_NAME] for part in first["loc"]) or "the file"
    if first["loc"] == ("format",):
        return f"{where} is {first['input']!r}: another Sidelight wrote it, perhaps a newer one"
    if first["type"] == "extra_forbidden":
        return f"{where}: there is no such field; perhaps a newer Sidelight wrote it"
    return f"{where}: {first['msg']}"


def _problem_of_lines(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if not first["loc"]:  # it is no JSON, and the message has the line
        return first["msg"]
    number, *fields = first["loc"]
    where = [f"line {int(number) + 1}", *map(str, fields)]
    return ": ".join([*where, first["msg"]])


def _tokenizer(content: bytes) -> Tokenizer:
    """Of a file; raises ValueError or RecursionError. Many runs have the same, which may be large.

    One with byte pairs takes a tenth of a second and megabytes.
    """
    key = sha256(content).digest()
    tokenizer = _tokenizers.get(key)
    if tokenizer is None:
        tokenizer = _tokenizers[key] = tokenizer_from(json.loads(content))
    return tokenizer


def _file_stamp(path: str) -> tuple[int, int, int]:
    """When it or who may read it was changed, its size, and which file it is; zeros for none.

    Every look at a thousand runs asks thousands of times: a Path would double what that takes.
    """
    try:
        status = os.lstat(path)
    except OSError:
        return (0, 0, 0)
    return (status.st_ctime_ns, status.st_size, status.st_ino)


def weights_bytes(model: LanguageModel) -> bytes:
    """The weights as they are, as a safetensors file."""
    return safetensors.torch.save(_tensors(model))


def _json_lines(lines: Iterable[_Line]) -> str:
    return "".join(line.model_dump_json(exclude_none=True) + "\n" for line in lines)


def _tensors(model: LanguageModel) -> dict[str, torch.Tensor]:
    """The state on the CPU, with tensors that are shared between two names stored once."""
    seen: dict[int, str] = {}
    tensors: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        if seen.setdefault(tensor.data_ptr(), name) == name or tensor.numel() == 0:
            tensors[name] = tensor.detach().cpu().contiguous()
    return tensors
