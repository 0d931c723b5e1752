"""A batch for the families whose prediction is a look into a table: bigram and n-gram."""

import numpy as np
import torch
from numpy.typing import NDArray

from model.kernels.drawing import draw
from model.language_model import LanguageModel
from model.placed_batch import PlacedBatch
from model.sequence import Sequence


class TableBatch(PlacedBatch):
    """Asks the model about the last `block_size` ids of each sequence, one at a time."""

    def __init__(self, model: LanguageModel) -> None:
        super().__init__(model.vocab_size)
        self._model = model

    @torch.inference_mode()
    def _write(self, taken: NDArray[np.int64], uniform: NDArray[np.float64]) -> None:
        context = self._model.block_size
        for place in taken.tolist():
            sequence = self._places[place]
            assert sequence is not None
            seen = sequence.ids[-context:]
            for step, u in enumerate(uniform[:, place]):
                logits = self._model(torch.tensor([seen]))[0, -1].float().numpy()
                draw(logits, self._how, place, u, self._table, self._drawn, step)
                seen = [*seen, int(self._drawn.ids[step, place])][-context:]

    def _set_text(self, place: int, sequence: Sequence) -> None:
        """The sequence itself is all there is."""
