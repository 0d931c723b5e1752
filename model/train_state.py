"""What a stopped training needs to go on as if it had never stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.language_model import LanguageModel

FORMAT = "1"


class UnusableState(Exception):
    """A state is torn, foreign, or of another configuration; the text says what is wrong."""


@dataclass(frozen=True)
class TrainState:
    """Weights, optimizers, generators and the place in the data, before `step` is taken.

    The tensors are copies on the CPU: training may go on while they are written.
    """

    step: int
    elapsed_s: float
    tensors: dict[str, Tensor]

    def to_bytes(self) -> bytes:
        about = {"format": FORMAT, "step": str(self.step), "elapsed_s": repr(self.elapsed_s)}
        return safetensors.torch.save(self.tensors, about)

    @classmethod
    def read(cls, path: str) -> "TrainState":
        """Raises UnusableState."""
        try:
            with safe_open(path, "pt") as file:
                about = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            if about.get("format") != FORMAT:
                raise UnusableState(f"its format is {about.get('format')!r}, not {FORMAT!r}")
            return cls(int(about["step"]), float(about["elapsed_s"]), tensors)
        except (OSError, SafetensorError, KeyError, ValueError) as error:
            raise UnusableState(str(error)) from None


def capture(
    step: int,
    elapsed_s: float,
    model: LanguageModel,
    optimizers: Sequence[torch.optim.Optimizer],
    batches: torch.Generator,
) -> TrainState:
    """All of it as it is now; `batches` draws the batches."""
    tensors: dict[str, Tensor] = {f"model/{name}": p for name, p in model.named_parameters()}
    for i, optimizer in enumerate(optimizers):
        for index, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer/{i}/{index}/{key}": value for key, value in state.items()}
    tensors["generator/batches"] = batches.get_state()
    tensors["generator/cpu"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        tensors["generator/cuda"] = torch.cuda.get_rng_state(device)
    copies = {name: _copy(tensor) for name, tensor in tensors.items()}
    return TrainState(step, elapsed_s, copies)


def restore(
    state: TrainState,
    model: LanguageModel,
    optimizers: Sequence[torch.optim.Optimizer],
    batches: torch.Generator,
) -> None:
    """Put everything back where it came from. Raises UnusableState where it does not fit."""
    try:
        parts = _unfolded(state.tensors)
        parameters = dict(model.named_parameters())
        if parts["model"].keys() != parameters.keys():
            raise UnusableState("it is of a model with other parameters")
        with torch.no_grad():
            for name, parameter in parameters.items():
                parameter.copy_(parts["model"][name])
        for i, optimizer in enumerate(optimizers):
            groups = optimizer.state_dict()["param_groups"]
            states = parts.get("optimizer", {}).get(str(i), {})
            by_index = {int(index): values for index, values in states.items()}
            optimizer.load_state_dict({"state": by_index, "param_groups": groups})
        generators = parts["generator"]
        batches.set_state(generators["batches"])
        torch.set_rng_state(generators["cpu"])
        device = next(model.parameters()).device
        if device.type == "cuda" and "cuda" in generators:
            torch.cuda.set_rng_state(generators["cuda"], device)
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        raise UnusableState(f"it does not fit the configuration: {error}") from None


def _copy(tensor: Tensor) -> Tensor:
    tensor = tensor.detach()
    return tensor.cpu().contiguous() if tensor.device.type != "cpu" else tensor.clone()


def _unfolded(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """`{"a/b/c": t}` -> `{"a": {"b": {"c": t}}}`."""
    tree: dict[str, Any] = {}
    for name, tensor in tensors.items():
        *path, last = name.split("/")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = tensor
    return tree
