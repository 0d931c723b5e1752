"""What a client sends to have a run trained."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from app.schemas import Name, require_few_fields
from model.config import (
    GPTConfig,
    InitFrom,
    ModelConfig,
    RunId,
    TokenizerKind,
    TrainConfig,
    fields_disagree,
)
from model.corpus import TINY_SHAKESPEARE

DEVICE_PATTERN = r"^(auto|cpu|mps|ray|cuda(:\d+)?)$"


def _gpt_unless_said(fields: Any) -> Any:
    return {"kind": "gpt", **fields} if isinstance(fields, dict) else fields


class WantedConfiguration(BaseModel):
    """A configuration; fields that are left out take their defaults."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[ModelConfig, BeforeValidator(_gpt_unless_said)] = Field(
        default_factory=GPTConfig
    )
    train: TrainConfig = Field(default_factory=TrainConfig)


class Wanted(BaseModel):
    """What a job and a sweep have in common."""

    model_config = ConfigDict(extra="forbid")

    hypothesis: str = Field("", max_length=10_000, description="What it is to show, beforehand.")
    corpus: Name = Field(
        TINY_SHAKESPEARE, description="`tinyshakespeare`, or an uploaded text's id."
    )
    tokenizer: TokenizerKind = Field(
        "character", description="What a token is: a character, a byte, or a piece learned by BPE."
    )
    device: Annotated[str, Field(pattern=DEVICE_PATTERN)] = Field(
        "auto", description="`auto`, or one of those that `/api/jobs` lists."
    )

    @model_validator(mode="before")
    @classmethod
    def _few_fields(cls, fields: Any) -> Any:
        require_few_fields(fields)
        return fields


class JobRequest(Wanted):
    """A run to be trained: a preset, or a configuration."""

    preset: Name | None = Field(None, description="A named run's configuration and title.")
    config: WantedConfiguration | None = Field(None, description="Or any configuration.")
    run_id: RunId | None = Field(
        None, description="Id of the new run; made from the preset or the title when left out."
    )
    title: str | None = Field(None, min_length=1, max_length=200)
    init_from: InitFrom | None = Field(
        None, description="Start from this run's weights, with its tokens, instead of random ones."
    )

    @model_validator(mode="after")
    def _one_configuration(self) -> Self:
        if (self.preset is None) == (self.config is None):
            raise fields_disagree("config", "give either preset or config")
        return self
