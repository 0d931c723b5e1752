"""Ends a text at the first stop string, and never lets a part of one out before."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Piece:
    """A token's text with its log-probability and the likeliest tokens there, best first.

    The log-probability is None where there is none, as for a prompt's first token.
    """

    text: str
    logprob: float | None
    top: list[tuple[str, float]] = field(default_factory=list)


class StopStrings:
    """Pieces go in one by one and come out once they cannot be part of a stop string."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = [stop for stop in stops if stop]
        self._held: list[Piece] = []
        self.found = False

    def feed(self, piece: Piece) -> list[Piece]:
        """The pieces that are free to go now; `found` tells that the text ends here."""
        self._held.append(piece)
        text = "".join(held.text for held in self._held)
        places = [place for stop in self._stops if (place := text.find(stop)) >= 0]
        if places:
            self.found = True
            return self._release(min(places))
        return self._release(len(text) - max((_overlap(text, s) for s in self._stops), default=0))

    def flush(self) -> list[Piece]:
        """What was still held, for a text that ended for another reason."""
        held, self._held = self._held, []
        return held

    def _release(self, characters: int) -> list[Piece]:
        """Take out the pieces that lie within the first `characters`."""
        free: list[Piece] = []
        while self._held and len(self._held[0].text) <= characters:
            characters -= len(self._held[0].text)
            free.append(self._held.pop(0))
        return free


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next(n for n in range(longest, -1, -1) if text.endswith(stop[:n]))
