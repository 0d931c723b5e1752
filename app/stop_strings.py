"""Ends a text at the first stop string, and never lets a part of one out before."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Piece:
    """A token with its log-probability and the likeliest tokens there, best first.

    `text` is what it adds to the text: nothing where it only begins a character, and all of the
    character where it completes one. The log-probability is None where there is none, as for a
    prompt's first token.
    """

    text: str
    logprob: float | None
    top: list[tuple[str, float]] = field(default_factory=list)
    token: str = ""  # as a person sees it


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
            return self._cut(min(places))
        return self._release(len(text) - max((_overlap(text, s) for s in self._stops), default=0))

    def flush(self) -> list[Piece]:
        """What was still held, for a text that ended for another reason."""
        held, self._held = self._held, []
        return held

    def _release(self, characters: int) -> list[Piece]:
        """Take out the pieces that lie within the first `characters`.

        One that only begins a character waits for the one that completes it.
        """
        free = end = 0
        for count, piece in enumerate(self._held, start=1):
            end += len(piece.text)
            if end <= characters and piece.text:
                free = count
        released, self._held = self._held[:free], self._held[free:]
        return released

    def _cut(self, characters: int) -> list[Piece]:
        """The first `characters`, with the part of a piece that is before the end."""
        pieces = self._release(characters)
        rest = characters - sum(len(piece.text) for piece in pieces)
        while rest > 0:
            piece = self._held.pop(0)
            pieces.append(replace(piece, text=piece.text[:rest]))
            rest -= len(pieces[-1].text)
        return pieces


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next(n for n in range(longest, -1, -1) if text.endswith(stop[:n]))
