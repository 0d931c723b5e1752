"""One id per character."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model.tokenizer_base import Tokenizer, UnknownCharacters, utf8

CHARACTERS_AT_ONCE = 1 << 20


class CharTokenizer(Tokenizer):
    """Each character of `vocabulary` is its position in it."""

    kind = "character"
    unit = "characters"

    def __init__(self, vocabulary: Iterable[str]) -> None:
        """Raises ValueError for entries that are no characters, or the same one twice."""
        self.vocabulary = tuple(vocabulary)
        if len(set(self.vocabulary)) != len(self.vocabulary):
            raise ValueError("the vocabulary names a character twice")
        if any(len(c) != 1 or "\ud800" <= c <= "\udfff" for c in self.vocabulary):
            raise ValueError("each entry of the vocabulary must be exactly one character")
        super().__init__(map(utf8, self.vocabulary))
        codes = code_points("".join(self.vocabulary))
        # By code point; -1 for what is not in the vocabulary, the last entry for all beyond.
        self._id_of = np.full(int(codes.max(initial=0)) + 2, -1, dtype=np.int64)
        self._id_of[codes] = np.arange(len(codes))

    @classmethod
    def from_text(cls, text: str) -> "CharTokenizer":
        """The distinct characters of `text`, in code point order."""
        return cls(sorted(set(text)))

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> "CharTokenizer":
        """Raises ValueError."""
        vocabulary = document.get("vocabulary")
        if not isinstance(vocabulary, list) or not all(isinstance(c, str) for c in vocabulary):
            raise ValueError("vocabulary must be a list of characters")
        return cls(vocabulary)

    def document(self) -> dict[str, Any]:
        return {"kind": self.kind, "vocabulary": list(self.vocabulary)}

    def encode_array(self, text: str) -> NDArray[np.int64]:
        ids = np.empty(len(text), dtype=np.int64)
        beyond = len(self._id_of) - 1
        for start in range(0, len(text), CHARACTERS_AT_ONCE):
            codes = code_points(text[start : start + CHARACTERS_AT_ONCE])
            ids[start : start + len(codes)] = self._id_of[np.minimum(codes, beyond)]
        unknown = np.flatnonzero(ids < 0)
        if len(unknown):
            raise UnknownCharacters(dict.fromkeys(text[i] for i in unknown))
        return ids

    def encode_end(self, text: str, count: int) -> tuple[list[int], int]:
        """As for every tokenizer; characters that are left out need not be known."""
        start = max(0, len(text) - count)
        return self.encode(text[start:]), start


def code_points(text: str) -> NDArray[np.uint32]:
    """The code points (N,) of `text`."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
