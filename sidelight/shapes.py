"""The server's JSON about runs, jobs and texts, as types. The API's description says more of each.

What is trained or imported may lack a number, which is None then; so is a loss that became NaN.
"""

from typing import Any, Literal, TypedDict

TokenizerKind = Literal["character", "byte", "bpe"]
ExportFormat = Literal["run", "safetensors", "huggingface", "onnx"]
Verdict = Literal["confirmed", "partly", "refuted"]
JobState = Literal["queued", "running", "done", "failed", "cancelled", "interrupted"]


class Configuration(TypedDict):
    """All settings of the model and of its training; the latter is unknown of some imports."""

    model: dict[str, Any]
    train: dict[str, Any] | None


class InitFrom(TypedDict):
    """A run, and the step, whose weights another started from."""

    run: str
    step: int | None


class Estimate(TypedDict):
    """Mean losses over random batches."""

    train_loss: float
    val_loss: float


class CorpusInfo(TypedDict):
    """The text that a run was trained on."""

    name: str
    sha256: str
    characters: int
    canonical: bool


class ImportedFrom(TypedDict):
    """Where a run comes from that was not trained by Sidelight."""

    layout: Literal["nanogpt", "huggingface", "exercise"]
    file: str
    sha256: str
    steps: int | None
    val_loss: float | None


class Run(TypedDict):
    """A run and how it turned out. Losses are nats per token."""

    id: str
    kind: Literal["gpt", "bigram", "ngram"]
    title: str
    config: Configuration
    params: int
    train_loss: float | None
    val_loss: float | None
    val_bits_per_character: float | None
    tokenizer: TokenizerKind
    wall_time_s: float | None
    steps: list[int]
    estimate: Estimate | None
    hypothesis: str
    outcome: str
    verdict: Verdict | None
    corpus: CorpusInfo | None
    imported: ImportedFrom | None
    exports: list[ExportFormat]
    block_size: int
    n_layer: int | None
    n_head: int | None
    attention: bool
    init_from: InitFrom | None
    device: str | None
    start: str
    training: bool
    created: str


class Notes(TypedDict, total=False):
    """Some of what is noted of a run."""

    hypothesis: str
    outcome: str
    verdict: Verdict | None


class Metric(TypedDict):
    """One evaluation."""

    step: int
    train_loss: float
    val_loss: float
    learning_rate: float
    elapsed_s: float
    tokens_per_s: float
    estimate: Estimate | None


class Sample(TypedDict):
    """What a run wrote at a step."""

    step: int
    prompt: str
    text: str
    seed: int
    temperature: float


class RunDetail(Run):
    """A run with its history."""

    metrics: list[Metric]
    samples: list[Sample]
    vocabulary: list[str]


class Job(TypedDict):
    """A run in the making."""

    id: str
    run_id: str
    title: str
    state: JobState
    message: str
    progress: float
    step: int
    max_iters: int
    elapsed_s: float
    remaining_s: float | None
    tokens_per_s: float | None
    loss: float | None
    phase: str | None
    position: int | None
    device: str | None
    device_wanted: str
    created: str
    started: str | None
    ended: str | None
    hypothesis: str
    preset: str | None
    corpus: str
    tokenizer: TokenizerKind
    config: Configuration
    params: int
    init_from: InitFrom | None
    sweep: str | None
    attempt: int
    resumable: bool
    has_run: bool


class Progress(TypedDict):
    """How far a job is."""

    step: int
    max_iters: int
    progress: float
    elapsed_s: float
    remaining_s: float | None
    tokens_per_s: float | None
    loss: float | None
    phase: str | None
    learning_rate: float | None


class Snapshot(TypedDict):
    """A step whose weights are kept, and can be asked for as `baseline@388`."""

    step: int


class Corpus(TypedDict):
    """A text to train on, and what is in it."""

    id: str
    name: str
    bytes: int
    characters: int
    lines: int
    distinct: int
    sha256: str
    canonical: bool
    builtin: bool
    created: str | None
    preview: str
    vocabulary: list[list[str | int]]
    problem: str | None
