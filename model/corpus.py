"""The text that a model learns: Tiny Shakespeare, or a text file of one's own."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from model.config import CorpusInfo
from model.shakespeare import PlaysUnavailable, tiny_shakespeare_text
from model.text_statistics import TextStatistics, describe

TINY_SHAKESPEARE = "tinyshakespeare"
TINY_SHAKESPEARE_SHA256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"
TINY_SHAKESPEARE_CHARACTERS = 1_115_394
BYTE_ORDER_MARK = "\ufeff"
TRAIN_SHARE = 0.9
SHORTEST_SPLIT = 2  # a character to see and one to predict


class CorpusError(ValueError):
    """A text that cannot be had, or that nothing can be learned from."""


@dataclass(frozen=True)
class Corpus:
    name: str
    text: str
    note: str = ""  # what differs from the text that the name promises; empty if nothing

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the UTF-8 text, in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def canonical(self) -> bool:
        """Whether this is Tiny Shakespeare, byte for byte."""
        return self.sha256 == TINY_SHAKESPEARE_SHA256

    @property
    def info(self) -> CorpusInfo:
        return CorpusInfo(
            name=self.name,
            sha256=self.sha256,
            characters=len(self.text),
            canonical=self.canonical,
        )

    def split(self) -> tuple[str, str]:
        """The first 90 % of the characters to train on, the rest to validate with."""
        end = _split_place(len(self.text))
        return self.text[:end], self.text[end:]


def load_corpus(name_or_path: str) -> Corpus:
    """`tinyshakespeare`, or the UTF-8 text file at a path. Raises `CorpusError`."""
    if name_or_path == TINY_SHAKESPEARE:
        return tiny_shakespeare()
    return text_file(name_or_path)


def tiny_shakespeare() -> Corpus:
    """Tiny Shakespeare, built anew and compared with the canonical text's SHA-256.

    A text that differs gets another name and a note. Raises `CorpusError` if there is no text.
    """
    try:
        text = tiny_shakespeare_text()
    except PlaysUnavailable as error:
        raise CorpusError(str(error)) from error
    corpus = Corpus(TINY_SHAKESPEARE, text)
    if corpus.canonical:
        return corpus
    return replace(corpus, name=f"{TINY_SHAKESPEARE}-altered", note=_difference(corpus))


def text_file(path: str | Path) -> Corpus:
    """A UTF-8 text file, exactly as it is but for a leading byte order mark.

    Raises `CorpusError` if it cannot be read, is not UTF-8, or is too little to learn from.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise CorpusError(
            f"there is no text file {str(path)!r}: give the path of a UTF-8 text file, "
            f"or {TINY_SHAKESPEARE!r}"
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise not_utf8(str(path), error) from error
    corpus = Corpus(path.name, text.removeprefix(BYTE_ORDER_MARK))
    require_learnable(corpus.name, describe(corpus.text))
    return replace(corpus, name=TINY_SHAKESPEARE) if corpus.canonical else corpus


def require_learnable(name: str, text: TextStatistics) -> None:
    """Raises `CorpusError` for a text that is too little to learn from."""
    if not text.characters:
        raise CorpusError(f"{name} is empty")
    place = _split_place(text.characters)
    if min(place, text.characters - place) < SHORTEST_SPLIT:
        raise CorpusError(
            f"{name} is too short to split: it has {text.characters} characters, "
            f"of which the last tenth, for validation, must be at least {SHORTEST_SPLIT}"
        )
    if text.distinct == 1:
        ((character, _),) = text.most_frequent()
        raise CorpusError(f"{name} holds one character only, {character!r}")


def not_utf8(name: str, error: UnicodeDecodeError, offset: int = 0) -> CorpusError:
    """Says which byte it is; `offset` is where in the text the bytes of `error` begin."""
    return CorpusError(
        f"{name} is not UTF-8 text: byte 0x{error.object[error.start]:02x} at offset "
        f"{offset + error.start} ({error.reason}); save it as UTF-8"
    )


def _split_place(characters: int) -> int:
    """How many of them are there to train on."""
    return int(TRAIN_SHARE * characters)


def _difference(corpus: Corpus) -> str:
    return (
        f"Not the canonical Tiny Shakespeare: {len(corpus.text):,} characters with SHA-256 "
        f"{corpus.sha256}, where that has {TINY_SHAKESPEARE_CHARACTERS:,} with "
        f"{TINY_SHAKESPEARE_SHA256}."
    )
