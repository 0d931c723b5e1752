"""A model as another program left it, understood but not yet ours."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from model.config import BigramConfig, GPTConfig, TrainConfig
from model.interop.errors import UnreadableModel
from model.interop.foreign_text import shown
from model.interop.weights import Places
from model.tokenizer import Tokenizer

Config = TypeVar("Config", GPTConfig, BigramConfig)


@dataclass(frozen=True)
class ForeignModel:
    """`tensors` are the origin's, by its own names; `places` says which of ours they become."""

    layout: Literal["nanogpt", "huggingface", "exercise"]
    file: str  # which of the files has the weights
    model: GPTConfig | BigramConfig
    tokenizer: Tokenizer
    tensors: Mapping[str, Any]
    places: Places
    train: TrainConfig | None = None
    steps: int | None = None
    val_loss: float | None = None
    software: dict[str, str] = field(default_factory=dict)


def as_config(
    kind: type[Config],
    fields: Mapping[str, object],
    where: str,
    called: Mapping[str, str] = MappingProxyType({}),
) -> Config:
    """A configuration; `called` has the origin's names where they are others than ours.

    Raises UnreadableModel for what it cannot be.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        raise UnreadableModel(f"{where}: {first_problem(error, called)}") from None


def first_problem(error: ValidationError, called: Mapping[str, str] = MappingProxyType({})) -> str:
    """The field, and what is wrong with it."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = first.get("ctx", {}).get("field")  # where only several fields together are wrong
    parts = (*map(str, first["loc"]), *([field] if isinstance(field, str) else []))
    path = ".".join(called.get(part, part) for part in parts)
    return shown(f"{path}: {first['msg']}" if path else first["msg"])
