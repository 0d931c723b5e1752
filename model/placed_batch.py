"""What batches on every device share: a place for each sequence, how it draws, what was drawn."""

from abc import abstractmethod
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from model.batch import Batch
from model.kernels.drawing import MOST_COUNTED, Choosing, Drawn, Table
from model.sequence import Sequence, Token

MOST_ALTERNATIVES = 20
MOST_STEPS = 64

Arrays = TypeVar("Arrays", bound=NamedTuple)


class PlacedBatch(Batch):
    """Places double whenever there are too few; a sequence keeps its own until it leaves."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._table = Table(
            np.empty(vocab_size), np.empty(vocab_size), np.empty(vocab_size, np.int64)
        )
        self._sequences: dict[Sequence, int] = {}
        self._places: list[Sequence | None] = [None]
        self._how = _choosing(1)
        self._drawn = _drawn(1)

    @property
    def sequences(self) -> list[Sequence]:
        return list(self._sequences)

    def join(self, sequence: Sequence) -> None:
        """As in `Batch`. Raises ValueError for what cannot be drawn so; then it is not in.

        That is for more than `MOST_ALTERNATIVES`, or a bias of an id that does not exist.
        """
        if None not in self._places:
            self._places += [None] * len(self._places)
            self._grow(len(self._places))
        place = self._places.index(None)
        self._set_sampling(place, sequence)
        self._set_by_id(place, sequence)
        self._set_text(place, sequence)
        self._places[place] = sequence  # now that nothing was refused
        self._sequences[sequence] = place

    def leave(self, sequence: Sequence) -> None:
        self._places[self._sequences.pop(sequence)] = None

    def advance(self, steps: int = 1) -> list[list[Token]]:
        written: list[list[Token]] = [[] for _ in self._sequences]
        for done in range(0, steps if written else 0, MOST_STEPS):
            count = min(steps - done, MOST_STEPS)
            self._write(np.fromiter(self._sequences.values(), np.int64), self._uniform(count))
            for i, (sequence, place) in enumerate(self._sequences.items()):
                tokens = self._tokens(place, count, sequence.alternatives)
                sequence.ids += [token.id for token in tokens]
                written[i] += tokens
        return written

    @abstractmethod
    def _write(self, taken: NDArray[np.int64], uniform: NDArray[np.float64]) -> None:
        """Draw for the places `taken` with `uniform` (steps, places), into `_drawn`."""

    @abstractmethod
    def _set_text(self, place: int, sequence: Sequence) -> None:
        """Begin with what `sequence` holds."""

    def _grow(self, places: int) -> None:
        """Make room for so many places, and keep what is in those that are there."""
        larger = [np.zeros((places, *array.shape[1:]), array.dtype) for array in self._how]
        self._how = kept(self._how, Choosing(*larger))
        self._drawn = _drawn(places)

    def _uniform(self, steps: int) -> NDArray[np.float64]:
        uniform = np.zeros((steps, len(self._places)))
        for sequence, place in self._sequences.items():
            uniform[:, place] = [sequence.random.random() for _ in range(steps)]
        return uniform

    def _tokens(self, place: int, steps: int, alternatives: int) -> list[Token]:
        drawn, count = self._drawn, min(alternatives, self._vocab_size)
        ids, logprobs = drawn.ids[:steps, place].tolist(), drawn.logprobs[:steps, place].tolist()
        if not count:
            return [Token(*token) for token in zip(ids, logprobs, strict=True)]
        top_ids = drawn.top_ids[:steps, place, :count].tolist()
        top_logprobs = drawn.top_logprobs[:steps, place, :count].tolist()
        tops = [list(zip(*top, strict=True)) for top in zip(top_ids, top_logprobs, strict=True)]
        return [Token(*token) for token in zip(ids, logprobs, tops, strict=True)]

    def _set_sampling(self, place: int, sequence: Sequence) -> None:
        """Raises ValueError for more alternatives than there is room for."""
        if sequence.alternatives > MOST_ALTERNATIVES:
            raise ValueError(
                f"at most {MOST_ALTERNATIVES} alternatives, not {sequence.alternatives}"
            )
        how, sampling = self._how, sequence.sampling
        how.temperature[place] = sampling.temperature
        how.top_k[place] = sampling.top_k or 0
        how.top_p[place] = 1 if sampling.top_p is None else sampling.top_p
        how.min_p[place] = sampling.min_p or 0
        how.repetition[place] = sampling.repetition_penalty
        how.presence[place] = sampling.presence_penalty
        how.frequency[place] = sampling.frequency_penalty
        how.biased[place] = bool(sampling.logit_bias)
        how.alternatives[place] = min(sequence.alternatives, self._vocab_size)

    def _set_by_id(self, place: int, sequence: Sequence) -> None:
        """What is asked of each id. Raises ValueError for one that does not exist."""
        sampling, bias = sequence.sampling, sequence.sampling.logit_bias
        if max(bias, default=0) >= self._vocab_size:
            raise ValueError(f"logit_bias: ids go from 0 to {self._vocab_size - 1}")
        for array in (self._how.bias, self._how.there, self._how.counts):
            array[place] = 0
        if bias:
            self._by_id("bias")[place, list(bias)] = list(bias.values())
        if sampling.repetition_penalty != 1:
            self._by_id("there")[place, sequence.ids] = 1
        if sampling.counts:
            counts = np.bincount(sequence.written, minlength=self._vocab_size)
            self._by_id("counts")[place] = counts.clip(max=MOST_COUNTED)

    def _by_id(self, name: str) -> NDArray[Any]:
        """The array of `_how`, which has no columns before somebody needs them."""
        array: NDArray[Any] = getattr(self._how, name)
        if not array.shape[1]:
            array = np.zeros((len(self._places), self._vocab_size), array.dtype)
            self._how = self._how._replace(**{name: array})
        return array


def kept(before: Arrays, after: Arrays) -> Arrays:
    """`after` with what the arrays of `before` have in their first rows."""
    old: Any
    new: Any
    for old, new in zip(before, after, strict=True):
        new[: len(old)] = old
    return after


def _choosing(places: int) -> Choosing:
    return Choosing(
        temperature=np.zeros(places),
        top_k=np.zeros(places, np.int64),
        top_p=np.zeros(places),
        min_p=np.zeros(places),
        repetition=np.zeros(places),
        presence=np.zeros(places),
        frequency=np.zeros(places),
        biased=np.zeros(places, np.bool_),
        alternatives=np.zeros(places, np.int64),
        bias=np.zeros((places, 0), np.float32),
        there=np.zeros((places, 0), np.uint8),
        counts=np.zeros((places, 0), np.uint16),
    )


def _drawn(places: int) -> Drawn:
    return Drawn(
        ids=np.zeros((MOST_STEPS, places), np.int64),
        logprobs=np.zeros((MOST_STEPS, places), np.float32),
        top_ids=np.zeros((MOST_STEPS, places, MOST_ALTERNATIVES), np.int64),
        top_logprobs=np.zeros((MOST_STEPS, places, MOST_ALTERNATIVES), np.float32),
    )
