"""nanoGPT's checkpoint: a state dict, the model's arguments, and how the training stood."""

from collections.abc import Mapping
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor

from model.config import GPTConfig
from model.interop.errors import UnreadableModel
from model.interop.foreign_model import ForeignModel, as_config, first_problem
from model.interop.gpt2_names import OUTPUT, by_gpt2_name, gpt2_places
from model.interop.nanogpt_training import train_config
from model.interop.vocabulary import no_vocabulary, require_fit, shakespeare_characters
from model.interop.weights import without_prefix
from model.tokenizer import Tokenizer

PREFIXES = ("_orig_mod.", "module.")  # of a compiled model, of one trained on several GPUs
MOST_STEPS = 10**12
NOT_MEASURED = 1e9  # what `best_val_loss` is before the first evaluation
SHAKESPEARE, SHAKESPEARE_SIZE = "shakespeare_char", 65


class _Arguments(BaseModel):
    """nanoGPT's `model_args`. Older ones say nothing of biases, and have them."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    n_layer: int
    n_head: int
    n_embd: int
    block_size: int
    vocab_size: int
    bias: bool = True
    dropout: float = 0.0


def is_nanogpt(state_dict: Mapping[str, Any]) -> bool:
    """By the name of its token embedding."""
    return "wte.weight" in by_gpt2_name(without_prefix(state_dict, PREFIXES))


def read_nanogpt(
    checkpoint: Mapping[str, Any],
    state_dict: Mapping[str, Any],
    file: str,
    vocabulary: Tokenizer | None,
) -> ForeignModel:
    """What a checkpoint is; `vocabulary` is what is known of its tokens otherwise.

    Its GELU is exact, its LayerNorm may have no bias, and its output layer is the token embedding.
    Raises UnreadableModel.
    """
    arguments = _arguments(checkpoint, file)
    config = checkpoint.get("config")
    config = config if isinstance(config, dict) else {}
    tokenizer = vocabulary or _known_vocabulary(config, arguments.vocab_size, file)
    require_fit(tokenizer, arguments.vocab_size, file)
    tensors = by_gpt2_name(without_prefix(state_dict, PREFIXES))
    is_tied = _is_tied(tensors)
    if is_tied:
        tensors.pop(OUTPUT, None)
    model = as_config(
        GPTConfig,
        {
            **arguments.model_dump(),
            "vocab_size": tokenizer.vocab_size,
            "activation": "gelu_erf",
            "qkv_bias": arguments.bias,
            "head_bias": False,
            "tie_weights": is_tied,
            "init": "gpt2",
        },
        f"{file}: model_args",
    )
    return ForeignModel(
        layout="nanogpt",
        file=file,
        model=model,
        tokenizer=tokenizer,
        tensors=tensors,
        places=gpt2_places(model, arguments.vocab_size),
        train=train_config(config, model.block_size),
        steps=_steps(checkpoint.get("iter_num")),
        val_loss=_loss(checkpoint.get("best_val_loss")),
    )


def _arguments(checkpoint: Mapping[str, Any], file: str) -> _Arguments:
    arguments = checkpoint.get("model_args")
    if not isinstance(arguments, dict):
        raise UnreadableModel(
            f"{file}: nanoGPT's weights without its model_args, which tell the number of heads; "
            "give the ckpt.pt as train.py writes it"
        )
    try:
        return _Arguments.model_validate(arguments)
    except ValidationError as error:
        raise UnreadableModel(f"{file}: model_args: {first_problem(error)}") from None


def _known_vocabulary(config: Mapping[str, Any], tokens: int, file: str) -> Tokenizer:
    if config.get("dataset") == SHAKESPEARE and tokens == SHAKESPEARE_SIZE:
        return shakespeare_characters(file)
    raise no_vocabulary(file, tokens)


def _is_tied(tensors: Mapping[str, Any]) -> bool:
    """Whether the output layer is the token embedding, as nanoGPT has it; a fork may not."""
    embedding, output = tensors.get("wte.weight"), tensors.get(OUTPUT)
    if not isinstance(embedding, Tensor) or not isinstance(output, Tensor):
        return output is None
    return embedding.shape == output.shape and torch.equal(embedding, output)


def _steps(value: object) -> int | None:
    return value if isinstance(value, int) and 0 <= value <= MOST_STEPS else None


def _loss(value: object) -> float | None:
    """nanoGPT keeps it as a tensor with one number."""
    if isinstance(value, Tensor) and value.numel() == 1:
        value = value.item()
    is_measured = isinstance(value, int | float) and 0 <= value < NOT_MEASURED
    return float(value) if is_measured and isinstance(value, int | float) else None
