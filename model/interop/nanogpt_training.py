"""How nanoGPT trained a model, in our words."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.config import TrainConfig


class _Settings(BaseModel):
    """What of nanoGPT's settings has the same meaning here."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    init_from: str
    max_iters: int
    batch_size: int  # of each of the parts that are accumulated
    gradient_accumulation_steps: int
    block_size: int
    learning_rate: float = Field(gt=0)
    beta1: float
    beta2: float
    weight_decay: float
    grad_clip: float
    decay_lr: bool
    warmup_iters: int
    lr_decay_iters: int
    min_lr: float
    eval_interval: int
    eval_iters: int
    always_save_checkpoint: bool
    device: str
    dtype: str
    compile: bool

    @property
    def precision(self) -> str:
        """Of the matrix products; `dtype` counts on NVIDIA's GPUs only."""
        return self.dtype if "cuda" in self.device else "float32"


def train_config(settings: Mapping[str, Any], block_size: int) -> TrainConfig | None:
    """None where not all of it can be told.

    That is where a setting is missing, where the training did not start from random weights, where
    the cosine does not end with the training, and where the numbers were float16.
    """
    try:
        theirs = _Settings.model_validate(dict(settings))
        if not _can_be_told(theirs):
            return None
        return TrainConfig.model_validate(_ours(theirs, block_size))
    except ValidationError:
        return None


def _can_be_told(theirs: _Settings) -> bool:
    ends_together = not theirs.decay_lr or theirs.lr_decay_iters == theirs.max_iters
    is_from_scratch = theirs.init_from in {"scratch", "resume"}
    return ends_together and is_from_scratch and theirs.precision != "float16"


def _ours(theirs: _Settings, block_size: int) -> dict[str, object]:
    parts = theirs.gradient_accumulation_steps
    schedule: dict[str, object] = {"schedule": "constant"}  # which has no warm-up there
    if theirs.decay_lr:
        schedule = {
            "schedule": "cosine",
            "warmup_iters": theirs.warmup_iters,
            "final_lr_ratio": theirs.min_lr / theirs.learning_rate,
        }
    return {
        "max_iters": theirs.max_iters,
        "batch_size": theirs.batch_size * parts,
        "grad_accum": parts,
        "window": None if theirs.block_size == block_size else theirs.block_size,
        "learning_rate": theirs.learning_rate,
        "beta1": theirs.beta1,
        "beta2": theirs.beta2,
        "weight_decay": theirs.weight_decay,
        "grad_clip": theirs.grad_clip or None,
        **schedule,
        "eval_interval": theirs.eval_interval,
        "eval_iters": theirs.eval_iters,
        "snapshots": 0,
        "weights": "last" if theirs.always_save_checkpoint else "best",
        "precision": theirs.precision,
        "compile": theirs.compile,
    }
