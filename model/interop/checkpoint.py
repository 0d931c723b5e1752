"""Which model is in a file that torch saved: the state dict in it, and whose names that has."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from model.interop.errors import UnreadableModel
from model.interop.exercise import is_exercise, read_exercise
from model.interop.foreign_model import ForeignModel
from model.interop.foreign_text import shown
from model.interop.nanogpt import is_nanogpt, read_nanogpt
from model.interop.vocabulary import vocabulary_inside
from model.tokenizer import Tokenizer

STATE_DICTS = ("model", "model_state_dict", "state_dict")
SHOWN = 3


def read_checkpoint(
    content: Mapping[str, Any], file: str, vocabulary: Tokenizer | None
) -> ForeignModel:
    """nanoGPT's or the exercise's model; `vocabulary` is what is known of its tokens otherwise.

    Raises UnreadableModel.
    """
    state_dict = _state_dict(content, file)
    vocabulary = vocabulary or vocabulary_inside(content, file)
    if is_nanogpt(state_dict):
        return read_nanogpt(content, state_dict, file, vocabulary)
    if is_exercise(state_dict):
        return read_exercise(state_dict, file, vocabulary)
    names = ", ".join(shown(name) for name in list(state_dict)[:SHOWN])
    raise UnreadableModel(
        f"{file}: its tensors ({names}, …) are named neither as nanoGPT's (transformer.wte.weight) "
        "nor as the exercise's (token_embedding_table.weight)"
    )


def _state_dict(content: Mapping[str, Any], file: str) -> Mapping[str, Any]:
    """The content itself, or what it has under one of the usual names."""
    for candidate in (content, *(content.get(name) for name in STATE_DICTS)):
        if isinstance(candidate, dict) and _is_state_dict(candidate):
            return candidate
    raise UnreadableModel(
        f"{file}: it holds no state dict; torch.save model.state_dict(), alone or in a dict as the "
        "entry 'model'"
    )


def _is_state_dict(candidate: Mapping[object, object]) -> bool:
    """Tensors by name, and nothing else."""
    return bool(candidate) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in candidate.items()
    )
