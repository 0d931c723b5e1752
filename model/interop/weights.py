"""From tensors of another layout to ours: none missing, none left over, all numbers finite."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from model.config import BigramConfig, GPTConfig
from model.families import build_empty
from model.interop.errors import UnreadableModel
from model.interop.foreign_text import shown

FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
LISTED = 3

Tensors = TypeVar("Tensors")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """What of the origin one of our tensors is made of."""

    parts: tuple[str, ...]  # one below the other; zeros where the origin has none
    turned: bool = False  # the origin has it as (in, out), as GPT-2's Conv1D
    rows: int | None = None  # the origin has so many, of which ours are the first
    query_scale: float = 1.0  # for the first third of it


Places = Mapping[str, Place]


def shapes_of(model: GPTConfig | BigramConfig) -> dict[str, Shape]:
    """The shape of each of our tensors that is stored; a tied one is stored once."""
    shapes = {name: tuple(t.shape) for name, t in build_empty(model).state_dict().items()}
    if isinstance(model, GPTConfig) and model.tie_weights:
        del shapes["lm_head.weight"]
    return shapes


def converted(
    theirs: Mapping[str, Any], places: Places, model: GPTConfig | BigramConfig, file: str
) -> dict[str, Tensor]:
    """Our tensors by name, contiguous and in float32; views of the origin's where they can be.

    Raises UnreadableModel, naming tensors of `file`.
    """
    shapes = shapes_of(model)
    _require_all(theirs, _expected(places, shapes), file)
    made = {}
    for name, shape in shapes.items():
        place = places[name]
        parts = [_numbers(theirs[part], f"{file}: {part}") for part in place.parts]
        made[name] = _joined(parts, place, shape)
    return made


def without_prefix(tensors: Mapping[str, Tensors], prefixes: Iterable[str]) -> dict[str, Tensors]:
    """By shorter names, where all begin with one of `prefixes`, or with several in a row."""
    found = dict(tensors)
    while prefix := next(
        (p for p in prefixes if found and all(n.startswith(p) for n in found)), ""
    ):
        found = {name.removeprefix(prefix): tensor for name, tensor in found.items()}
    return found


def _expected(places: Places, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shape of each of the origin's tensors."""
    expected = {}
    for name, shape in shapes.items():
        place = places[name]
        for part in place.parts:
            rows = place.rows or shape[0] // len(place.parts)
            own = (rows, *shape[1:])
            expected[part] = own[::-1] if place.turned else own
    return expected


def _require_all(theirs: Mapping[str, Any], expected: Mapping[str, Shape], file: str) -> None:
    if missing := [name for name in expected if name not in theirs]:
        raise UnreadableModel(
            f"{file}: {_listed(missing)} missing; is it the model's whole state dict?"
        )
    if extra := [name for name in theirs if name not in expected]:
        raise UnreadableModel(
            f"{file}: {_listed(extra)} left over: the model has parts that are not known here"
        )
    for name, shape in expected.items():
        tensor = theirs[name]
        if not isinstance(tensor, Tensor):
            raise UnreadableModel(f"{file}: {name} is no tensor")
        if tuple(tensor.shape) != shape:
            raise UnreadableModel(
                f"{file}: {name} is {_by(tensor.shape)}, and should be {_by(shape)} by the "
                "model's other numbers"
            )


def _numbers(tensor: Tensor, where: str) -> Tensor:
    """In float32. Raises UnreadableModel for integers, and for what is not finite."""
    if tensor.dtype not in FLOATS:
        kind = str(tensor.dtype).removeprefix("torch.")
        raise UnreadableModel(f"{where} holds {kind}; save the weights as float32")
    numbers = tensor.detach().to(torch.float32)
    extremes = torch.stack(numbers.aminmax()) if numbers.numel() else numbers
    if not extremes.isfinite().all():
        raise UnreadableModel(
            f"{where} has a number that is not finite: its training diverged, or the file is "
            "damaged; take an earlier checkpoint"
        )
    return numbers


def _joined(parts: list[Tensor], place: Place, shape: Shape) -> Tensor:
    if not parts:
        return torch.zeros(shape)
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    if place.turned:
        whole = whole.T
    if place.query_scale != 1:
        queries, rest = whole.tensor_split([len(whole) // 3])
        whole = torch.cat((queries * place.query_scale, rest))
    return whole[: shape[0]].contiguous()


def _listed(names: list[str]) -> str:
    first = ", ".join(shown(name) for name in names[:LISTED])
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f"{first}{more} {'is' if len(names) == 1 else 'are'}"


def _by(shape: Iterable[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
