"""What a report says, as `/api/report` answers it; the page and the files are drawn from it."""

from typing import Literal

from pydantic import BaseModel, Field

from model.config import Verdict
from model.run_folder import Estimate


class ReportChange(BaseModel):
    """A setting that is not as in the reference."""

    name: str
    value: str
    reference: str = Field(description="What the reference has there.")


class ReportPoint(BaseModel):
    """One evaluation while training."""

    step: int
    train_loss: float | None
    val_loss: float | None


class ReportSample(BaseModel):
    """What a run wrote at a step."""

    step: int
    text: str


class ReportSampling(BaseModel):
    """How all samples of a report were drawn."""

    prompt: str
    seed: int
    temperature: float


class ReportCost(BaseModel):
    """What a run cost, and what it brought for that."""

    minutes: float | None
    times: float | None = Field(description="How many times the reference's minutes.")
    percent_per_minute: float | None = Field(
        description="Per cent of the reference's loss gained in each of its minutes."
    )
    incomparable: str = Field(description="Why its loss does not compare; empty where it does.")
    sentence: str


class ReportRow(BaseModel):
    """A run in a report. Losses are nats per token, of the weights that it has."""

    id: str
    title: str
    changes: list[ReportChange]
    params: int
    steps: int | None = Field(description="Up to the last evaluation.")
    wall_time_s: float | None
    train_loss: float | None
    val_loss: float | None
    val_bits_per_character: float | None
    change_percent: float | None = Field(
        description="By what per cent its validation loss per character lies above the "
        "reference's; null where the two do not compare."
    )
    gap: float | None = Field(description="Validation loss less training loss.")
    estimate: Estimate | None = Field(description="Losses over random batches, as published.")
    device: str | None
    training: bool = Field(description="Whether this is how far it has come so far.")
    hypothesis: str
    outcome: str
    verdict: Verdict | None
    cost: ReportCost
    curve: list[ReportPoint]
    sample: ReportSample | None = Field(description="null where it has none drawn like the others.")


class Report(BaseModel):
    """Some runs against one of them, the first."""

    title: str
    reference: str = Field(description="Id of the run that the others are compared with.")
    unit: Literal["nats per character", "nats per token"] = Field(
        description="What the losses are counted in."
    )
    compare_bits: bool = Field(
        description="Whether runs have different tokens, so that bits per character compare."
    )
    conclusion: list[str]
    notes: list[str] = Field(description="What to bear in mind when comparing.")
    sampling: ReportSampling | None = Field(description="null where no run has a sample.")
    runs: list[ReportRow]
