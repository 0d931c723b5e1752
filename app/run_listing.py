"""Runs as the API and the pages tell of them."""

import math
from collections.abc import Collection
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from app.prompting import start_ids
from app.registry import Registry, Run
from model.config import (
    BigramConfig,
    CorpusInfo,
    GPTConfig,
    ImportedFrom,
    InitFrom,
    ModelConfig,
    NGramConfig,
    TokenizerKind,
    TrainConfig,
    Verdict,
)
from model.interop.exporting import ExportFormat, formats_of
from model.run_folder import Estimate, Metric, Sample


class Configuration(BaseModel):
    """The model and the training, as `config.json` has them."""

    model: ModelConfig
    train: TrainConfig | None = Field(description="null where it is not known, as for an import.")


class RunSummary(BaseModel):
    """A run and how it turned out. Losses are nats per token, of the weights that it has."""

    id: str
    kind: Literal["gpt", "bigram", "ngram"]
    title: str
    config: Configuration
    params: int
    train_loss: float | None
    val_loss: float | None = Field(description="Over the whole validation split.")
    val_bits_per_character: float | None = Field(
        description="The same as bits per character, to compare runs whose tokens differ."
    )
    tokenizer: TokenizerKind = Field(description="What a token is; `bpe`: joined bytes.")
    wall_time_s: float | None = Field(description="Seconds from the first step to the last.")
    steps: list[int] = Field(description="Training steps that have a snapshot.")
    estimate: Estimate | None = Field(description="Losses over random batches, as published.")
    hypothesis: str
    outcome: str
    verdict: Verdict | None = Field(description="On the hypothesis; null for none so far.")
    corpus: CorpusInfo | None = Field(
        description="What it was trained on; null where that is not known, as for an import."
    )
    imported: ImportedFrom | None = Field(
        description="Where it was brought in from; null for a run trained by Sidelight."
    )
    exports: list[ExportFormat] = Field(description="As what it can be taken out.")
    block_size: int = Field(
        description="Tokens of context the model sees; with an attention window at least as many "
        "as all its layers together reach back to."
    )
    n_layer: int | None
    n_head: int | None
    attention: bool = Field(description="Whether there are heads to look into.")
    init_from: InitFrom | None = Field(description="The run whose weights it started from.")
    device: str | None = Field(description="What it was trained on, where known.")
    start: str = Field(
        description="What an empty prompt starts from: the token between two texts, or a newline."
    )
    training: bool = Field(description="Whether a job is training it, or waits to.")
    created: datetime


class RunDetail(RunSummary):
    """A run with its history."""

    metrics: list[Metric]
    samples: list[Sample]
    vocabulary: list[str] = Field(
        description="Each token's text; of one that cuts a character the bytes, as `bytes:\\xe2`."
    )


class BrokenFolder(BaseModel):
    """A folder that is no run."""

    id: str
    reason: str


class RunList(BaseModel):
    """All runs, and the folders that cannot be read."""

    runs: list[RunSummary]
    broken: list[BrokenFolder]
    max_import_bytes: int = Field(description="Largest model that may be brought in.")


def list_runs(registry: Registry, training: Collection[str], max_import_bytes: int) -> RunList:
    """All runs, by id; `training` are the ids of those that jobs are making."""
    runs, broken = registry.listing()
    return RunList(
        runs=[summary(run, training) for run in runs],
        broken=[BrokenFolder(id=id, reason=why) for id, why in broken.items()],
        max_import_bytes=max_import_bytes,
    )


def summary(run: Run, training: Collection[str] = ()) -> RunSummary:
    config = run.config
    gpt = config.model if isinstance(config.model, GPTConfig) else None
    last, kept = run.last, run.kept
    return RunSummary(
        id=run.id,
        kind=config.model.kind,
        title=config.title,
        config=Configuration(model=config.model, train=config.train),
        params=config.params,
        train_loss=kept.train_loss if kept else None,
        val_loss=kept.val_loss if kept else None,
        val_bits_per_character=_bits(kept.val_loss * config.tokens_per_character) if kept else None,
        tokenizer=run.tokenizer.kind,
        wall_time_s=last.elapsed_s if last else None,
        steps=run.steps,
        estimate=run.estimate,
        hypothesis=config.hypothesis,
        outcome=config.outcome,
        verdict=config.verdict,
        corpus=config.corpus,
        imported=config.imported,
        exports=formats_of(config.model),
        block_size=_context(config.model),
        n_layer=gpt.n_layer if gpt else None,
        n_head=gpt.n_head if gpt else None,
        attention=gpt is not None,
        init_from=config.init_from,
        device=config.device,
        start="".join(map(run.tokenizer.token_text, start_ids(run.tokenizer))),
        training=run.id in training,
        created=config.created,
    )


def detail(run: Run, training: Collection[str] = ()) -> RunDetail:
    return RunDetail(
        **dict(summary(run, training)),
        metrics=run.metrics(),
        samples=run.samples(),
        vocabulary=[run.tokenizer.token_text(i) for i in range(run.tokenizer.vocab_size)],
    )


def _bits(nats: float) -> float:
    return nats / math.log(2)


def _context(config: GPTConfig | BigramConfig | NGramConfig) -> int:
    match config:
        case GPTConfig():
            return config.reach
        case NGramConfig():
            return max(1, config.order - 1)
        case BigramConfig():
            return 1
