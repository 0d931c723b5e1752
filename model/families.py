"""From a configuration to an untrained model of its family."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from model.bigram import Bigram
from model.config import BigramConfig, GPTConfig, NGramConfig
from model.gpt import GPT
from model.language_model import LanguageModel
from model.ngram import NGram

FILLS = {"fill_", "kaiming_uniform_", "normal_", "uniform_", "zero_"}


def build_model(config: GPTConfig | BigramConfig | NGramConfig) -> LanguageModel:
    """A model with initial weights drawn from torch's global generator."""
    match config:
        case GPTConfig():
            return GPT(config)
        case BigramConfig():
            return Bigram(config)
        case NGramConfig():
            return NGram(config)


def build_empty(config: GPTConfig | BigramConfig | NGramConfig) -> LanguageModel:
    """A model whose weights have shapes and nothing else, until `load_weights` brings some.

    It takes no memory for them, no time to draw them, and nothing from torch's generator.
    """
    with torch.device("meta"), _Unfilled():
        return build_model(config)


class _Unfilled(TorchFunctionMode):
    """Leaves tensors without memory alone, where torch would import a second to pretend to fill."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if getattr(function, "__name__", None) in FILLS:
            tensor = next(iter((*args, *(kwargs or {}).values())))
            if isinstance(tensor, Tensor) and tensor.is_meta:
                return tensor
        return function(*args, **(kwargs or {}))
