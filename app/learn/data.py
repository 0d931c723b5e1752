"""A text as a run's tokens, and the batches that a training draws from its corpus, as replies."""

import re

import torch
from pydantic import BaseModel, Field

from app.corpora import Corpora
from app.errors import InvalidRequest
from app.learn.texts import own_text, split_ids, text_of
from app.registry import Run
from app.schemas import ApiRequest, Name
from model.config import GPTConfig, NGramConfig, TokenizerKind, TrainConfig
from model.tokenizer import Tokenizer, UnknownCharacters
from model.windows import draw_starts, windows_at

MOST_CHARACTERS = 2_000  # of a text to encode; each token is drawn
MOST_WINDOWS = 32
MOST_TOKENS = 64  # of each window
MOST_ITERATIONS = 1_000
MOST_DRAWN = 4_000_000  # places of windows, to get to an iteration's batch


class EncodingRequest(ApiRequest):
    """A text, and the run whose tokenizer cuts it."""

    run: Name = Field(description="Id of a run.", examples=["baseline"])
    text: str = Field(
        max_length=MOST_CHARACTERS,
        description="The text to encode.",
        examples=["To be, or not to be"],
    )


class Piece(BaseModel):
    """A token of the text."""

    text: str = Field(description="Its text, or where it cuts a character `bytes:\\xe2`.")
    id: int | None = Field(description="null for a character that the tokenizer does not know.")


class EncodingReply(BaseModel):
    run: str
    tokenizer: TokenizerKind
    unit: str = Field(description="What a count of tokens counts.")
    vocab_size: int
    pieces: list[Piece] = Field(description="The text from its beginning to its end.")
    unknown: list[str] = Field(description="Characters that have no id, each once.")
    characters: int
    bytes: int = Field(description="Size of the text in UTF-8.")
    decoded: str = Field(description="The text that the ids stand for.")


class BatchRequest(ApiRequest):
    """Which batch of which run's training; what is left out is as the run has it."""

    run: Name = Field(description="Id of a run.", examples=["baseline"])
    corpus: Name | None = Field(
        None, description="Id of a text to draw from instead of the one the run was trained on."
    )
    seed: int | None = Field(None, ge=0, lt=2**63, description="Of the draw.", examples=[1337])
    iteration: int = Field(
        0, ge=0, le=MOST_ITERATIONS, description="Which batch: 0 is the first one drawn."
    )


class Drawn(BaseModel):
    """One window; x is `tokens` without the last, y without the first."""

    start: int = Field(description="Its first token's place in the training split.")
    tokens: list[str] = Field(description="One more than the window has.")
    ids: list[int]


class BatchReply(BaseModel):
    run: str
    corpus: str = Field(description="Id of the text.")
    own: bool = Field(description="Whether the run was trained on it.")
    unit: str = Field(description="What a count of tokens counts.")
    train_characters: int
    val_characters: int
    train_tokens: int
    val_tokens: int
    known: bool = Field(description="Whether the run tells of its training; else by default.")
    draws: bool = Field(description="Whether its training draws batches; counting needs none.")
    seed: int
    iteration: int
    batch_size: int = Field(description="Windows in a batch.")
    window: int = Field(description="Tokens in a window: block_size, or as the training has it.")
    predictions: int = Field(description="In one batch: batch_size times window.")
    max_iters: int | None = Field(description="How many batches the training drew, where known.")
    starts: list[int] = Field(description=f"Of the first {MOST_WINDOWS} windows.")
    windows: list[Drawn] = Field(
        description=f"Of those, with at most {MOST_TOKENS} tokens and the one behind."
    )


def encode(run: Run, body: EncodingRequest) -> EncodingReply:
    """The text token by token; a character without an id stands there all the same."""
    pieces, unknown = _pieces(run.tokenizer, body.text)
    return EncodingReply(
        run=run.id,
        tokenizer=run.tokenizer.kind,
        unit=run.tokenizer.unit,
        vocab_size=run.tokenizer.vocab_size,
        pieces=pieces,
        unknown=list(unknown),
        characters=len(body.text),
        bytes=len(body.text.encode()),
        decoded=run.tokenizer.decode(piece.id for piece in pieces if piece.id is not None),
    )


def draw_batch(run: Run, body: BatchRequest, corpora: Corpora) -> BatchReply:
    """As `model.training` draws it on the CPU, from the same split with the same generator.

    Raises UnknownCorpus, and InvalidRequest where the text cannot be had or is too short.
    """
    corpus, about = text_of(run, corpora, body.corpus)
    train_ids, val_ids = split_ids(run, corpus)
    train_text, val_text = corpus.split()
    train = run.config.train or TrainConfig()
    window = _window(run)
    if len(train_ids) <= window:
        message = (
            f"corpus: its training split has {len(train_ids)} {run.tokenizer.unit}, too few for a "
            f"window of {window} and the one behind it: choose a longer text"
        )
        raise InvalidRequest(message, param="corpus", code="too_short")
    seed = train.seed if body.seed is None else body.seed
    starts = _starts(len(train_ids), window, train.batch_size, seed, body.iteration)
    shown = starts[:MOST_WINDOWS]
    x, y = windows_at(train_ids, shown, min(window, MOST_TOKENS))
    own = own_text(run, corpora)
    return BatchReply(
        run=run.id,
        corpus=about.id,
        own=own is not None and own.id == about.id,
        unit=run.tokenizer.unit,
        train_characters=len(train_text),
        val_characters=len(val_text),
        train_tokens=len(train_ids),
        val_tokens=len(val_ids),
        known=run.config.train is not None,
        draws=not isinstance(run.config.model, NGramConfig),
        seed=seed,
        iteration=body.iteration,
        batch_size=train.batch_size,
        window=window,
        predictions=train.batch_size * window,
        max_iters=run.config.train.max_iters if run.config.train else None,
        starts=shown[:, 0].tolist(),
        windows=[
            _drawn(run.tokenizer, start, ids)
            for start, ids in zip(
                shown[:, 0].tolist(), torch.cat([x, y[:, -1:]], dim=1).tolist(), strict=True
            )
        ],
    )


def _pieces(tokenizer: Tokenizer, text: str) -> tuple[list[Piece], tuple[str, ...]]:
    """The tokens of `text`, and the characters among them that have no id."""
    try:
        parts, unknown = [text], tuple[str, ...]()
        tokenizer.encode(text)
    except UnknownCharacters as error:
        unknown = error.characters
        parts = re.split(f"([{re.escape(''.join(unknown))}])", text)
    pieces = []
    for part in parts:
        if part in unknown:
            pieces.append(Piece(text=part, id=None))
        else:
            ids = tokenizer.encode(part)
            pieces += [Piece(text=tokenizer.token_text(id), id=id) for id in ids]
    return pieces, unknown


def _window(run: Run) -> int:
    """Tokens in a window of its training."""
    model, train = run.config.model, run.config.train
    if train is not None and train.window is not None:
        return train.window
    match model:
        case GPTConfig():
            return model.block_size
        case NGramConfig():
            return max(1, model.order - 1)
    return 1


def _starts(tokens: int, window: int, count: int, seed: int, iteration: int) -> torch.Tensor:
    """The places (count, 1) of the batch of that iteration; all before it are drawn too."""
    if count * iteration > MOST_DRAWN:
        most = MOST_DRAWN // count
        message = f"iteration: at most {most}, as a batch of this run has {count:,} windows"
        raise InvalidRequest(message, param="iteration", code="too_large")
    generator = torch.Generator().manual_seed(seed)
    for _ in range(iteration):
        draw_starts(tokens, window, count, generator)
    return draw_starts(tokens, window, count, generator)


def _drawn(tokenizer: Tokenizer, start: int, ids: list[int]) -> Drawn:
    return Drawn(start=start, tokens=[tokenizer.token_text(id) for id in ids], ids=ids)
