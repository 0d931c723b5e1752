"""A batch of a GPT's sequences on the CPU, written by the compiled kernels."""

import numpy as np
from numpy.typing import NDArray

from model.gpt import GPT
from model.kernels.layout import lay_out, make_cache, make_room, make_rows
from model.kernels.writing import Texts, read_on, write
from model.placed_batch import PlacedBatch, kept
from model.sequence import Sequence


class CpuBatch(PlacedBatch):
    """Has a copy of the model's weights from when it is made.

    Inside the context, keys and values are kept, so a token costs one position. Beyond it each
    token moves all ids to new positions, which changes all keys and values: it costs the whole
    window, exactly what cropping gives. An endless model goes on from its last keys and values.
    """

    def __init__(self, model: GPT, *, halves: bool = False) -> None:
        """With `halves`, matrices are in half precision: half the memory to read for a token."""
        super().__init__(model.vocab_size)
        self._model = model
        self._weights = lay_out(model, halves=halves)
        self._room, self._rows = make_room(model), make_rows()
        self._cache = make_cache(model, 1)
        self._texts = self._unwritten(1)

    def _write(self, taken: NDArray[np.int64], uniform: NDArray[np.float64]) -> None:
        write(
            self._weights,
            self._cache,
            self._room,
            self._texts,
            self._rows,
            self._how,
            self._table,
            taken,
            uniform,
            self._drawn,
        )

    def _set_text(self, place: int, sequence: Sequence) -> None:
        texts, context, ids = self._texts, self._context, sequence.ids
        texts.jumps[place] = sequence.past_context == "jump"
        texts.unread[place] = texts.end[place] = texts.position[place] = 0
        if not self._weights.ring:
            ids = ids[-sequence.seen(context) :]
        for begin in range(0, len(ids), context):  # but for an endless model all in one
            if begin:
                read_on(self._weights, self._cache, self._room, texts, self._rows, place)
            some = ids[begin : begin + context]
            texts.ids[place, : len(some)] = some
            texts.unread[place], texts.end[place] = 0, len(some)

    def _grow(self, places: int) -> None:
        super()._grow(places)
        self._cache = kept(self._cache, make_cache(self._model, places))
        self._texts = kept(self._texts, self._unwritten(places))

    @property
    def _context(self) -> int:
        return int(self._cache.values.shape[3])

    def _unwritten(self, places: int) -> Texts:
        return Texts(
            ids=np.zeros((places, 2 * self._context + 1), np.int64),
            unread=np.zeros(places, np.int64),
            end=np.zeros(places, np.int64),
            position=np.zeros(places, np.int64),
            jumps=np.zeros(places, np.bool_),
        )
