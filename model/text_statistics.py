"""What is in a text: how long it is, and which characters it has how often."""

import numpy as np

from model.char_tokenizer import code_points

CHARACTERS_AT_ONCE = 1 << 20
CODE_POINTS = 0x110000


class TextStatistics:
    """Counts a text that may come in parts."""

    def __init__(self) -> None:
        self.characters = 0
        self._counts = np.zeros(CODE_POINTS, dtype=np.int64)
        self._last = "\n"

    def add(self, text: str) -> None:
        """Count the next part."""
        for start in range(0, len(text), CHARACTERS_AT_ONCE):
            counts = np.bincount(code_points(text[start : start + CHARACTERS_AT_ONCE]))
            self._counts[: len(counts)] += counts
        self.characters += len(text)
        self._last = text[-1:] or self._last

    @property
    def lines(self) -> int:
        """Each ends with a line feed; the last one need not."""
        return int(self._counts[ord("\n")]) + (self._last != "\n")

    @property
    def distinct(self) -> int:
        return int(np.count_nonzero(self._counts))

    def most_frequent(self, limit: int | None = None) -> list[tuple[str, int]]:
        """Characters and how often they occur, the most frequent first."""
        codes = np.flatnonzero(self._counts)
        order = np.argsort(-self._counts[codes], kind="stable")[:limit]
        return [(chr(code), int(self._counts[code])) for code in codes[order]]


def describe(text: str) -> TextStatistics:
    """The statistics of a whole text; about a second for 50 million characters."""
    statistics = TextStatistics()
    statistics.add(text)
    return statistics
