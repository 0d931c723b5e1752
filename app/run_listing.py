"""Runs as the API and the pages tell of them."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.registry import Registry, Run
from model.config import BigramConfig, CorpusInfo, GPTConfig, ModelConfig, NGramConfig, TrainConfig
from model.run_folder import Estimate, Metric, Sample


class Configuration(BaseModel):
    """The model and the training, as `config.json` has them."""

    model: ModelConfig
    train: TrainConfig


class RunSummary(BaseModel):
    """A run and how it turned out. Losses are nats per character, at the last evaluation."""

    id: str
    kind: Literal["gpt", "bigram", "ngram"]
    title: str
    config: Configuration
    params: int
    train_loss: float | None
    val_loss: float | None = Field(description="Over the whole validation split.")
    wall_time_s: float | None = Field(description="Seconds from the first step to the last.")
    steps: list[int] = Field(description="Training steps that have a snapshot.")
    estimate: Estimate | None = Field(description="Losses over random batches, as published.")
    hypothesis: str
    outcome: str
    corpus: CorpusInfo
    block_size: int = Field(description="Characters of context the model sees.")
    n_layer: int | None
    n_head: int | None
    attention: bool = Field(description="Whether there are heads to look into.")
    created: datetime


class RunDetail(RunSummary):
    """A run with its history."""

    metrics: list[Metric]
    samples: list[Sample]
    vocabulary: list[str]


class BrokenFolder(BaseModel):
    """A folder that is no run."""

    id: str
    reason: str


class RunList(BaseModel):
    """All runs, and the folders that cannot be read."""

    runs: list[RunSummary]
    broken: list[BrokenFolder]


def list_runs(registry: Registry) -> RunList:
    """All runs, by id."""
    broken = [BrokenFolder(id=id, reason=why) for id, why in registry.broken().items()]
    return RunList(runs=[summary(run) for run in registry.runs()], broken=broken)


def summary(run: Run) -> RunSummary:
    config = run.config
    gpt = config.model if isinstance(config.model, GPTConfig) else None
    last = run.metrics[-1] if run.metrics else None
    estimates = [metric.estimate for metric in run.metrics if metric.estimate]
    return RunSummary(
        id=run.id,
        kind=config.model.kind,
        title=config.title,
        config=Configuration(model=config.model, train=config.train),
        params=config.params,
        train_loss=last.train_loss if last else None,
        val_loss=last.val_loss if last else None,
        wall_time_s=last.elapsed_s if last else None,
        steps=run.steps,
        estimate=estimates[-1] if estimates else None,
        hypothesis=config.hypothesis,
        outcome=config.outcome,
        corpus=config.corpus,
        block_size=_context(config.model),
        n_layer=gpt.n_layer if gpt else None,
        n_head=gpt.n_head if gpt else None,
        attention=gpt is not None,
        created=config.created,
    )


def detail(run: Run) -> RunDetail:
    return RunDetail(
        **dict(summary(run)),
        metrics=run.metrics,
        samples=run.samples,
        vocabulary=list(run.tokenizer.vocabulary),
    )


def _context(config: GPTConfig | BigramConfig | NGramConfig) -> int:
    match config:
        case GPTConfig():
            return config.block_size
        case NGramConfig():
            return max(1, config.order - 1)
        case BigramConfig():
            return 1
