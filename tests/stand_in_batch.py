"""A batch whose sequences are as simple as a test needs them."""

import threading
from collections.abc import Callable

from model.batch import Batch
from model.sequence import Sequence, Token


class Counting(Batch):
    """Each sequence writes 0, 1, 2, …, however it is divided into turns.

    `diary` gets the batch's name for each step, and `before_step` is called before it.
    """

    def __init__(
        self,
        name: str = "",
        diary: list[str] | None = None,
        before_step: Callable[[], None] = lambda: None,
    ) -> None:
        self.name, self.diary, self.before_step = (
            name,
            diary if diary is not None else [],
            before_step,
        )
        self._sequences: list[Sequence] = []

    @property
    def sequences(self) -> list[Sequence]:
        return list(self._sequences)

    def join(self, sequence: Sequence) -> None:
        self._sequences.append(sequence)

    def leave(self, sequence: Sequence) -> None:
        self._sequences.remove(sequence)

    def advance(self, steps: int = 1) -> list[list[Token]]:
        written: list[list[Token]] = [[] for _ in self._sequences]
        for _ in range(steps):
            self.before_step()
            self.diary.append(self.name)
            for tokens, sequence in zip(written, self._sequences, strict=True):
                count = len(sequence.ids) - 1
                sequence.ids.append(count)
                tokens.append(Token(count, -float(count + 1)))
        return written


class Gate:
    """Lets one step through each time it is opened."""

    def __init__(self) -> None:
        self._opened = threading.Semaphore(0)
        self.passed = 0

    def __call__(self) -> None:
        assert self._opened.acquire(timeout=10)
        self.passed += 1

    def open(self, times: int = 1) -> None:
        self._opened.release(times)
