"""The text that a run learned from, cut into its tokens and split as for training."""

from functools import lru_cache

import torch
from torch import Tensor

from app.corpora import Corpora, CorpusSummary
from app.errors import InvalidRequest
from app.registry import Run
from model.corpus import Corpus
from model.tokenizer import Tokenizer, UnknownCharacters

MOST_CHARACTERS = 5_000_000  # of a lesson's text: a reader waits for its tokens
KEPT = 2


def text_of(run: Run, corpora: Corpora, id: str | None = None) -> tuple[Corpus, CorpusSummary]:
    """The text `id`, or else the one that `run` was trained on, which its SHA-256 tells.

    Raises UnknownCorpus, or InvalidRequest where it is not known or not here, or is too long.
    """
    about = corpora.get(id) if id is not None else own_text(run, corpora)
    if about is None:
        raise InvalidRequest(_missing(run), param="corpus", code="corpus_unavailable")
    if about.problem:
        message = f"corpus: {about.id} cannot be had here: {about.problem}"
        raise InvalidRequest(message, param="corpus", code="corpus_unavailable")
    if about.characters > MOST_CHARACTERS:
        message = (
            f"corpus: {about.id} has {about.characters:,} characters, more than the "
            f"{MOST_CHARACTERS:,} of this lesson: choose a shorter text"
        )
        raise InvalidRequest(message, param="corpus", code="too_large")
    return corpora.load(about.id), about


def own_text(run: Run, corpora: Corpora) -> CorpusSummary | None:
    """The text here that is byte for byte the one that `run` was trained on."""
    corpus = run.config.corpus
    sha256 = corpus.sha256 if corpus else None
    return next((about for about in corpora.list() if about.sha256 == sha256), None)


def split_ids(run: Run, corpus: Corpus) -> tuple[Tensor, Tensor]:
    """The ids (N,) to train on, and those to validate with. Raises InvalidRequest."""
    try:
        return _split_ids(run.tokenizer, corpus)
    except UnknownCharacters as error:
        message = f"corpus: to run {run.id!r} this text has {error}; choose another text or run"
        raise InvalidRequest(message, param="corpus", code="unknown_characters") from None


@lru_cache(KEPT)
def _split_ids(tokenizer: Tokenizer, corpus: Corpus) -> tuple[Tensor, Tensor]:
    train, val = (torch.from_numpy(tokenizer.encode_array(part)) for part in corpus.split())
    return train, val


def _missing(run: Run) -> str:
    corpus = run.config.corpus
    if corpus is None:
        return f"corpus: it is not known what run {run.id!r} was trained on; choose a text"
    return (
        f"corpus: run {run.id!r} was trained on {corpus.name!r} ({corpus.characters:,} "
        "characters), which is not here; choose another text, or upload that one at /train"
    )
