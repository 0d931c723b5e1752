"""From a plan and a text to the configuration of a run."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path

import torch

from model.config import GPTConfig, ModelConfig, RunConfig, RunPlan
from model.corpus import Corpus
from model.device import device_name
from model.parameter_count import parameter_count
from model.tokenizer import Tokenizer


def run_config(
    plan: RunPlan, corpus: Corpus, tokenizer: Tokenizer, device: torch.device
) -> RunConfig:
    """What the run is made from, with the software and the machine it is made with."""
    model = with_vocab_size(plan.model, tokenizer.vocab_size)
    validation = corpus.split()[1]
    return RunConfig(
        **dict(plan.model_copy(update={"model": model})),
        corpus=corpus.info,
        params=parameter_count(model),
        tokens_per_character=len(tokenizer.encode_array(validation)) / len(validation),
        device=device_name(device),
        software={"python": platform.python_version(), "torch": version("torch")},
        git_commit=_git_commit(),
    )


def with_vocab_size(model: ModelConfig, vocab_size: int) -> ModelConfig:
    """The same model for another number of tokens. Raises ValidationError if there are too many."""
    return type(model).model_validate(model.model_dump() | {"vocab_size": vocab_size})


def differing_shape(model: ModelConfig, other: ModelConfig) -> str | None:
    """The first field for which the weights of `other` do not fit `model`, or None."""
    free = {"vocab_size"}
    if isinstance(model, GPTConfig):
        free |= {"dropout", "attention_window", "init", "zero_init"}
    fields = model.model_dump(exclude=free)
    theirs = other.model_dump()
    return next((name for name, value in fields.items() if theirs.get(name) != value), None)


def _git_commit() -> str | None:
    """The commit this code was checked out at, if git knows."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
