"""A run on disk: read without trust, written so that nothing is ever torn.

Every file is written beside its final name, flushed to the disk and renamed; the folder counts as
a run from the moment its `config.json` has been renamed into place. Nothing is ever unpickled.
"""

import json
import math
import os
import re
import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from weakref import WeakValueDictionary

import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from safetensors import SafetensorError

from model.atomic_file import remove_if_there, write_atomically
from model.config import RUN_ID_PATTERN, RunConfig
from model.families import build_empty
from model.language_model import LanguageModel
from model.state_folder import StateFolder
from model.tokenizer import Tokenizer, tokenizer_from

PARTS = (
    "config.json",
    "tokenizer.json",
    "metrics.jsonl",
    "samples.jsonl",
    "snapshots",
    "model.safetensors",
)
SNAPSHOT_NAME = re.compile(r"step-(\d{6,})\.safetensors")


class BrokenRun(Exception):
    """A run folder cannot be read; the message says which file and why."""


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


Line = TypeVar("Line", bound=_Line)
Stamp = tuple[tuple[int, int, int], ...]


class Estimate(_Line):
    """Mean losses over random batches, as the tuning exercise estimates them."""

    train_loss: float
    val_loss: float


class Metric(_Line):
    """One evaluation. Losses in nats per token: `val_loss` over the whole validation split."""

    step: int
    train_loss: float
    val_loss: float
    learning_rate: float
    elapsed_s: float
    tokens_per_s: float
    estimate: Estimate | None = None


class Sample(_Line):
    """What the model wrote at a step."""

    step: int
    prompt: str
    text: str
    seed: int
    temperature: float = 1.0


_METRICS, _SAMPLES = TypeAdapter(list[Metric]), TypeAdapter(list[Sample])
_tokenizers: WeakValueDictionary[bytes, Tokenizer] = WeakValueDictionary()


class RunFolder:
    """`path` is `<checkpoints>/<run id>`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def state(self) -> StateFolder:
        return StateFolder(self.path)

    def create(self) -> None:
        """Make the folder, which every write needs: one that was deleted stays deleted."""
        self.path.mkdir(parents=True, exist_ok=True)

    def is_run(self) -> bool:
        """Whether the folder counts as a run yet."""
        return os.path.isfile(f"{self.path}/config.json")  # noqa: PTH113 (as in _file_stamp)

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
            config = RunConfig.model_validate_json(self._bytes("config.json"))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the file"
            raise BrokenRun(f"{self.id}/config.json: {where}: {first['msg']}") from None
        if config.id != self.id:
            raise BrokenRun(f"{self.id}/config.json: id is {config.id!r}, not the folder's name")
        return config

    def read_tokenizer(self) -> Tokenizer:
        """The same one for every folder that has the same."""
        try:
            return _tokenizer(self._bytes("tokenizer.json"))
        except (ValueError, RecursionError) as error:
            raise BrokenRun(f"{self.id}/tokenizer.json: {error}") from None

    def read_metrics(self) -> list[Metric]:
        return self._lines("metrics.jsonl", _METRICS)

    def read_samples(self) -> list[Sample]:
        return self._lines("samples.jsonl", _SAMPLES)

    def snapshot_steps(self) -> list[int]:
        """Steps whose weights are kept on the way, without the final ones."""
        try:
            names = os.listdir(self.path / "snapshots")
        except OSError:
            return []
        return sorted(int(m[1]) for name in names if (m := SNAPSHOT_NAME.fullmatch(name)))

    def weights_path(self, step: int | None = None) -> Path:
        """The file with the weights of a snapshot, or the final ones."""
        return self.path / self._weights_name(step)

    def weight_bytes(self, step: int | None = None) -> int:
        """Size of that file. Raises BrokenRun if it is missing."""
        path = self.weights_path(step)
        try:
            return path.stat().st_size
        except OSError as error:
            raise BrokenRun(f"{self.id}/{path.name}: {error.strerror}") from None

    def load_model(self, step: int | None = None, device: str = "cpu") -> LanguageModel:
        """The model in evaluation mode, in float32.

        On the CPU, weights that are float32 in the file stay there: they are mapped into memory,
        not copied, and remain what they are when another file takes the place of this one.
        """
        path = self.weights_path(step)
        model = build_empty(self.read_config().model)
        kinds = {name: tensor.dtype for name, tensor in model.state_dict().items()}
        try:
            tensors = safetensors.torch.load_file(path)
            model.load_weights({k: t.to(kinds.get(k, t.dtype)) for k, t in tensors.items()})
        except (OSError, SafetensorError, RuntimeError) as error:
            raise BrokenRun(f"{self.id}/{path.name}: {error}") from None
        if not all(_is_finite(parameter) for parameter in model.parameters()):
            raise BrokenRun(f"{self.id}/{path.name}: a weight is not a finite number")
        return model.to(device).eval().requires_grad_(requires_grad=False)

    # Writing

    def write_config(self, config: RunConfig) -> None:
        """Makes the folder a run; write what it needs first."""
        self._write("config.json", config.model_dump_json(indent=2) + "\n")

    def write_tokenizer(self, tokenizer: Tokenizer) -> None:
        document = json.dumps(tokenizer.document(), ensure_ascii=False)
        self._write("tokenizer.json", document + "\n")

    def write_metrics(self, metrics: Iterable[Metric]) -> None:
        self._write("metrics.jsonl", _json_lines(metrics))

    def write_samples(self, samples: Iterable[Sample]) -> None:
        self._write("samples.jsonl", _json_lines(samples))

    def write_weights(self, model: LanguageModel) -> None:
        """The final weights, as they are."""
        self.write_weights_file(weights_bytes(model))

    def write_weights_file(self, data: bytes) -> None:
        """The same, as the bytes of a safetensors file."""
        write_atomically(self.weights_path(), data)

    def write_snapshot(self, step: int, model: LanguageModel) -> None:
        """Weights on the way, in half precision: 1 part in 2,000 off, half the size."""
        halves = {k: t.half() if t.is_floating_point() else t for k, t in _tensors(model).items()}
        self.weights_path(step).parent.mkdir(exist_ok=True)
        write_atomically(self.weights_path(step), safetensors.torch.save(halves))

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

    def _write(self, name: str, content: str) -> None:
        write_atomically(self.path / name, content.encode())

    def _bytes(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise BrokenRun(f"{self.id}/{name}: {error.strerror}") from None

    def _lines(self, name: str, kind: TypeAdapter[list[Line]]) -> list[Line]:
        """A line of JSON each; read at once, as a list of them, they take half as long."""
        if not (self.path / name).exists():
            return []
        try:
            return kind.validate_json(b"[" + b",\n".join(self._bytes(name).splitlines()) + b"]")
        except ValidationError as error:
            raise BrokenRun(f"{self.id}/{name}: {error.errors()[0]['msg']}") from None

    @staticmethod
    def _weights_name(step: int | None) -> str:
        return "model.safetensors" if step is None else f"snapshots/step-{step:06d}.safetensors"

    def _stamp_of(self, names: Iterable[str]) -> Stamp:
        return tuple(_file_stamp(f"{self.path}/{name}") for name in names)


def run_folders(root: Path) -> list[RunFolder]:
    """The folders of `root` that are runs, by id."""
    try:
        names = sorted(os.listdir(root))
    except OSError:
        return []
    folders = (RunFolder(root / name) for name in names if re.fullmatch(RUN_ID_PATTERN, name))
    return [folder for folder in folders if folder.is_run()]


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
    """When it was changed, its size, and which file it is; zeros where there is none.

    Every look at a thousand runs asks thousands of times: a Path would double what that takes.
    """
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return (0, 0, 0)
    return (status.st_mtime_ns, status.st_size, status.st_ino)


def _is_finite(tensor: torch.Tensor) -> bool:
    """Whether all of it is; unlike `isfinite`, the extremes need no memory of its size."""
    return all(math.isfinite(extreme.item()) for extreme in tensor.aminmax())


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
