"""Several sequences of one model, written together."""

from abc import ABC, abstractmethod

from model.sequence import Sequence, Token


class Batch(ABC):
    """Sequences join and leave between two steps; joining costs one reading of what they hold.

    What a sequence becomes does not depend on which others are there.
    """

    @property
    @abstractmethod
    def sequences(self) -> list[Sequence]:
        """Those that are in it, in the order in which they joined."""

    @abstractmethod
    def join(self, sequence: Sequence) -> None:
        """Write `sequence` from the next step on."""

    @abstractmethod
    def leave(self, sequence: Sequence) -> None:
        """Give its place up; it can go on later, here or in another batch of the model."""

    @abstractmethod
    def advance(self, steps: int = 1) -> list[list[Token]]:
        """Add `steps` tokens to every sequence; for each of `sequences` those tokens."""
