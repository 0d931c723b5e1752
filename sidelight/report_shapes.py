"""The server's report on runs, as types. The API's description says more of each."""

from typing import Literal, TypedDict

from sidelight.shapes import Estimate, Verdict


class Change(TypedDict):
    """A setting that is not as in the reference."""

    name: str
    value: str
    reference: str


class Point(TypedDict):
    """One evaluation while training."""

    step: int
    train_loss: float | None
    val_loss: float | None


class Drawn(TypedDict):
    """What a run wrote at a step."""

    step: int
    text: str


class Drawing(TypedDict):
    """How all samples of a report were drawn."""

    prompt: str
    seed: int
    temperature: float


class Cost(TypedDict):
    """What a run cost, and what it brought for that."""

    minutes: float | None
    times: float | None
    percent_per_minute: float | None
    incomparable: str
    sentence: str


class ReportRow(TypedDict):
    """A run in a report."""

    id: str
    title: str
    changes: list[Change]
    params: int
    steps: int | None
    wall_time_s: float | None
    train_loss: float | None
    val_loss: float | None
    val_bits_per_character: float | None
    change_percent: float | None
    gap: float | None
    estimate: Estimate | None
    device: str | None
    training: bool
    hypothesis: str
    outcome: str
    verdict: Verdict | None
    cost: Cost
    curve: list[Point]
    sample: Drawn | None


class Report(TypedDict):
    """Some runs against one of them, the first."""

    title: str
    reference: str
    unit: Literal["nats per character", "nats per token"]
    compare_bits: bool
    conclusion: list[str]
    notes: list[str]
    sampling: Drawing | None
    runs: list[ReportRow]
