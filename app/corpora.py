"""The texts there are to train on: Tiny Shakespeare, and those that were uploaded.

An uploaded text is a folder with `text.txt` and `about.json`. It is made under a hidden name and
renamed when it is complete.
"""

import logging
import os
import re
import shutil
import tempfile
import threading
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from app.errors import Conflict, InvalidRequest, NoRoom, UnknownCorpus
from app.hidden_folder import HIDDEN
from app.incoming_text import PREVIEW_CHARACTERS, TEXT_FILE, IncomingText
from model.atomic_file import write_atomically
from model.config import RUN_ID_PATTERN
from model.corpus import (
    TINY_SHAKESPEARE,
    TINY_SHAKESPEARE_SHA256,
    Corpus,
    CorpusError,
    load_corpus,
    text_file,
)
from model.plain_file import plain_size, read_plain
from model.text_statistics import TextStatistics, describe

ABOUT_FILE = "about.json"
MOST_ABOUT_BYTES = 1 << 20
MOST_CHARACTERS = 1000
MOST_CHARACTERS_LISTED = 100
LONGEST_ID = 64

log = logging.getLogger("sidelight")


class CorpusSummary(BaseModel):
    """A text to train on, and what is in it."""

    id: str = Field(description="What a job names it by.")
    name: str = Field(description="The file's name, as it was uploaded.")
    bytes: int = Field(description="Size in UTF-8.")
    characters: int
    lines: int
    distinct: int = Field(description="Different characters.")
    sha256: str = Field(description="Of the UTF-8 text, without a byte order mark.")
    canonical: bool = Field(description="Whether it is Tiny Shakespeare, byte for byte.")
    builtin: bool = Field(description="Whether it comes with Sidelight.")
    created: datetime | None = Field(description="When it was uploaded.")
    preview: str = Field(description=f"The first {PREVIEW_CHARACTERS} characters.")
    vocabulary: list[tuple[str, int]] = Field(
        description="Characters and how often they occur, the most frequent first: at most "
        f"{MOST_CHARACTERS:,}, and {MOST_CHARACTERS_LISTED} in a list of texts."
    )
    problem: str | None = Field(None, description="Why nothing can be trained on it, if so.")


class Corpora:
    """The texts in `folder`, looked at anew for each question; any thread may ask."""

    def __init__(
        self, folder: Path, most: int | None = None, most_bytes: int | None = None
    ) -> None:
        """At most so many are kept, and of so many bytes in all; any number where it is None."""
        self.folder, self._most, self._most_bytes = folder, most, most_bytes
        # Names the jobs that still need a text; whoever runs jobs sets it.
        self.needed_by: Callable[[str], Sequence[str]] = lambda _: ()
        self._keeping = threading.Lock()
        self._tiny_shakespeare: tuple[Corpus, CorpusSummary] | None = None

    def ids(self) -> Sequence[str]:
        """Tiny Shakespeare's, then the others' in the order they came."""
        return [corpus.id for corpus in self.list()]

    def list(self) -> Sequence[CorpusSummary]:
        """In the order of `ids`, each with its most frequent characters only."""
        return [
            corpus.model_copy(update={"vocabulary": corpus.vocabulary[:MOST_CHARACTERS_LISTED]})
            for corpus in [self._builtin(), *sorted(self._uploaded(), key=_age)]
        ]

    def get(self, id: str) -> CorpusSummary:
        """Raises UnknownCorpus, which names those that exist."""
        corpus = self._builtin() if id == TINY_SHAKESPEARE else self._read(id)
        if corpus is None:
            there_are = ", ".join(self.ids())
            message = f"there is no text {id!r}; there are {there_are}"
            raise UnknownCorpus(message, param="corpus", code="unknown_corpus")
        return corpus

    def path(self, id: str) -> Path:
        """The file of an uploaded text. Raises UnknownCorpus."""
        return self.folder / self.get(id).id / TEXT_FILE

    def source(self, id: str) -> str:
        """What `model.corpus.load_corpus` takes for it. Raises UnknownCorpus."""
        return id if id == TINY_SHAKESPEARE else str(self.path(id))

    def load(self, id: str) -> Corpus:
        """The text itself, named by its id. Raises UnknownCorpus or InvalidRequest."""
        about = self.get(id)
        try:
            if about.builtin:
                return self._load_tiny_shakespeare()[0]
            corpus = replace(text_file(self.path(id)), name=id)
        except CorpusError as error:
            raise InvalidRequest(f"corpus: {error}", param="corpus", code="unusable") from None
        if corpus.sha256 != about.sha256:
            message = f"corpus: the text {id!r} was changed on the disk; upload it again"
            raise InvalidRequest(message, param="corpus", code="unusable")
        return corpus

    def receive(self, name: str) -> IncomingText:
        """Begin to take a text in; `keep` ends it. Raises OSError, NoRoom."""
        self._require_room(0)
        return IncomingText(self.folder, _shown(name))

    def keep(self, text: IncomingText) -> tuple[CorpusSummary, bool]:
        """The text as one of these and whether it is new: the same text is never kept twice.

        Raises CorpusError if nothing can be learned from it, OSError, NoRoom.
        """
        text.finish()
        with self._keeping:
            for corpus in [self._builtin(), *self._uploaded()]:
                if corpus.sha256 == text.sha256:
                    return corpus, False
            self._require_room(text.bytes)
            return self._place(text), True

    def delete(self, id: str) -> None:
        """Raises UnknownCorpus, or Conflict for one that is built in or that jobs need."""
        if self.get(id).builtin:
            message = f"{id} comes with Sidelight and cannot be deleted"
            raise Conflict(message, param="corpus", code="builtin_corpus")
        if jobs := self.needed_by(id):
            message = f"the text {id!r} is needed by {', '.join(jobs)}: cancel that first"
            raise Conflict(message, param="corpus", code="corpus_in_use")
        hidden = tempfile.mkdtemp(prefix=HIDDEN, dir=self.folder)
        with suppress(FileNotFoundError):  # another request was quicker
            (self.folder / id).rename(hidden)
        shutil.rmtree(hidden)

    def _require_room(self, more: int) -> None:
        """For one text of so many bytes more. Raises NoRoom."""
        sizes = [corpus.bytes for corpus in self._uploaded()]
        advice = "delete some first"
        if self._most is not None and len(sizes) >= self._most:
            message = f"the server keeps {self._most:,} texts, and has as many: {advice}"
            raise NoRoom(message, code="too_many_texts")
        if self._most_bytes is not None and sum(sizes) + more > self._most_bytes:
            message = f"the server keeps texts of {self._most_bytes:,} bytes in all: {advice}"
            raise NoRoom(message, code="too_many_bytes")

    def _uploaded(self) -> Iterator[CorpusSummary]:
        try:
            names = os.listdir(self.folder)
        except OSError:
            return
        for name in names:
            if corpus := self._read(name):
                yield corpus

    def _read(self, id: str) -> CorpusSummary | None:
        """An uploaded text; None if there is none, or what is there is no longer whole."""
        folder = self.folder / id
        if not re.fullmatch(RUN_ID_PATTERN, id) or folder.is_symlink() or not folder.is_dir():
            return None
        try:
            about = read_plain(folder, ABOUT_FILE, MOST_ABOUT_BYTES)
            corpus = CorpusSummary.model_validate_json(about)
            if (corpus.id, corpus.bytes) != (id, plain_size(folder, TEXT_FILE)):
                raise ValueError(f"{TEXT_FILE} is not the one that {ABOUT_FILE} is about")
        except (OSError, ValidationError, ValueError) as error:
            log.warning("%s is left out: %s", folder, error)
            return None
        return corpus

    def _place(self, text: IncomingText) -> CorpusSummary:
        """Give the folder its name; it must hold all that it should then."""
        taken = {TINY_SHAKESPEARE, *os.listdir(self.folder)}
        corpus = CorpusSummary(
            id=next(id for id in _ids(text.name) if id not in taken),
            name=text.name,
            bytes=text.bytes,
            sha256=text.sha256,
            canonical=text.sha256 == TINY_SHAKESPEARE_SHA256,
            builtin=False,
            created=datetime.now(UTC),
            preview=text.preview,
            **_counts(text.statistics),
        )
        write_atomically(text.path / ABOUT_FILE, corpus.model_dump_json(indent=1).encode())
        text.path.chmod(0o755)
        text.path.rename(self.folder / corpus.id)
        return corpus

    def _builtin(self) -> CorpusSummary:
        try:
            return self._load_tiny_shakespeare()[1]
        except CorpusError as error:
            return _tiny_shakespeare(Corpus(TINY_SHAKESPEARE, ""), problem=str(error))

    def _load_tiny_shakespeare(self) -> tuple[Corpus, CorpusSummary]:
        """Put together once, then kept. Raises CorpusError."""
        if self._tiny_shakespeare is None:
            corpus = load_corpus(TINY_SHAKESPEARE)
            self._tiny_shakespeare = corpus, _tiny_shakespeare(corpus)
        return self._tiny_shakespeare


def _tiny_shakespeare(corpus: Corpus, problem: str | None = None) -> CorpusSummary:
    return CorpusSummary(
        id=TINY_SHAKESPEARE,
        name="Tiny Shakespeare",
        bytes=len(corpus.text.encode()),
        sha256=corpus.sha256,
        canonical=corpus.canonical,
        builtin=True,
        created=None,
        preview=corpus.text[:PREVIEW_CHARACTERS],
        problem=problem,
        **_counts(describe(corpus.text)),
    )


def _counts(statistics: TextStatistics) -> dict[str, Any]:
    return {
        "characters": statistics.characters,
        "lines": statistics.lines,
        "distinct": statistics.distinct,
        "vocabulary": statistics.most_frequent(MOST_CHARACTERS),
    }


def _age(corpus: CorpusSummary) -> tuple[str, str]:
    return (corpus.created.isoformat() if corpus.created else "", corpus.id)


def _shown(name: str) -> str:
    """A file's name without folders and without what cannot be printed."""
    file = re.split(r"[/\\]", name)[-1]
    return "".join(c for c in file if c.isprintable()).strip() or "text"


def _ids(name: str) -> Iterator[str]:
    """Ids for a text of that name: `my-text`, then `my-text-2` and so on."""
    ascii_name = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._-]+", "-", ascii_name.removesuffix(".txt")).lstrip("._-")
    for number in count(1):
        suffix = f"-{number}" if number > 1 else ""
        yield ((words or "text")[: LONGEST_ID - len(suffix)].rstrip("._-") or "text") + suffix
