"""How far a job is, as its process notes it."""

import math
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, NonNegativeFloat, ValidationError

Progress = dict[str, Any]


def _known(value: Any) -> Any:
    """A loss may well be no number; JSON has no word for that."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Figure = Annotated[float | None, BeforeValidator(_known)]


class _Noted(BaseModel):
    """`model.training.Progress` as a file says it that anything may have been done to."""

    step: int = Field(ge=0)
    max_iters: int = Field(gt=0)
    elapsed_s: NonNegativeFloat = Field(allow_inf_nan=False)
    tokens_per_s: Figure = None
    learning_rate: Figure = None
    loss: Figure = None
    phase: str = "training"


def read_progress(folder: Path) -> Progress | None:
    """`model.training.Progress` as a dictionary, with the share that is done and the time left."""
    try:
        noted = _Noted.model_validate_json((folder / "progress.json").read_bytes())
    except (OSError, ValidationError):
        return None
    done = min(1.0, noted.step / noted.max_iters)
    remaining_s = noted.elapsed_s / done - noted.elapsed_s if done and noted.elapsed_s else None
    return {**noted.model_dump(), "progress": done, "remaining_s": remaining_s}
