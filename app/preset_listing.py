"""Presets as the API and the pages tell of them."""

from pydantic import BaseModel, Field

from app.run_listing import Configuration
from model.config import RunPlan, TokenizerKind
from model.parameter_count import parameter_count
from model.presets import PRESETS


class PresetSummary(BaseModel):
    """A configuration to start from, and what it was to show."""

    id: str
    title: str
    hypothesis: str
    config: Configuration
    tokenizer: TokenizerKind
    params: int | None = Field(
        description="With the 65 characters of Tiny Shakespeare; null where the text decides it."
    )


class PresetList(BaseModel):
    """All presets, from the simplest on."""

    presets: list[PresetSummary]


def list_presets() -> PresetList:
    return PresetList(presets=[_summary(preset) for preset in PRESETS.values()])


def _summary(preset: RunPlan) -> PresetSummary:
    return PresetSummary(
        id=preset.id,
        title=preset.title,
        hypothesis=preset.hypothesis,
        config=Configuration(model=preset.model, train=preset.train),
        tokenizer="character",
        params=parameter_count(preset.model) or None,
    )
