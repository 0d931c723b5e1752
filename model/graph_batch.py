"""A batch of a GPT's sequences on a GPU: a token for all of them is two or three graphs."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model.gpt import GPT
from model.graph_capture import Graphs
from model.graph_sampling import ById, adjusts, leaves_out, settings
from model.graph_texts import DeviceTexts
from model.placed_batch import MOST_ALTERNATIVES, MOST_STEPS, PlacedBatch
from model.sampling import COLDEST
from model.sequence import Sequence

ENDLESS = 2**62


class GraphBatch(PlacedBatch):
    """For the device that the model is on; on the CPU too, where it is slow, to be tested.

    Ids are drawn on the device and fed back there, so `advance` waits for it once, not per token.
    On a CUDA device what is done for a token is captured as graphs, for each number of rows when it
    has come up a few times, and from then on replayed. Inside the context, keys and values are
    kept, so a token costs one position. Beyond it every id moves to a new position with each token,
    which changes all keys and values: then a token costs the whole window, exactly what cropping
    gives. An endless model goes on from its last keys and values.

    **What a sequence gets.** The ids that the model and the seed give on the CPU, up to rounding:
    another order of additions moves a logit in its last digits, which changes an id where a draw
    falls that close to the border between two. Here nothing of a place enters another one's
    numbers, and up to `places` sequences are always worked out in the same shapes: as many rows,
    those to spare holding something harmless. So as long as there are never more of them, the same
    operations give the same text, whoever else is there. (That presumes that a library's kernel
    treats all rows of a matrix alike, as cuBLAS' do, and is of no use across devices or versions.)
    With more, rows double, the libraries may choose other kernels, and texts are the same only up
    to rounding; so is one that comes back, as it is read at once where it was read id by id before.
    A larger number of `places` makes the first rarer and costs rows that nobody needs.
    """

    def __init__(self, model: GPT, places: int = 8) -> None:
        """`places` is rounded up to a power of two."""
        super().__init__(model.vocab_size)
        self._model = model
        self._fewest = _rows(places)
        self._context = ENDLESS if model.endless else model.block_size
        self._places += [None] * (self._fewest - 1)
        super()._grow(self._fewest)
        self._make_room(self._fewest)

    @torch.inference_mode()
    def _write(self, taken: NDArray[np.int64], uniform: NDArray[np.float64]) -> None:
        texts, steps, count = self._texts, len(uniform), self._count(taken)
        u = torch.from_numpy(np.where(self._how.temperature < COLDEST, 0, uniform)[:, :count])
        if texts.uniform.dtype == torch.float32:
            u = u.float().clamp(max=1 - 2**-24)  # rounding must not make it 1
        texts.uniform[:steps, :count] = u
        texts.restart()
        sampling = [sequence.sampling for sequence in self._sequences]
        adjusted = any(adjusts(each) for each in sampling)
        filtered = any(leaves_out(each) for each in sampling)
        with_top = any(sequence.alternatives for sequence in self._sequences)
        for _ in range(steps):
            self._find_logits(taken, count)
            self._graphs.run(
                ("draw", count, adjusted, filtered, with_top),
                lambda: texts.draw(count, adjusted=adjusted, filtered=filtered, with_top=with_top),
            )
            self._counts[taken] = np.minimum(self._counts[taken] + 1, self._context + 1)
        self._fetch(steps, count, with_top=with_top)

    def _find_logits(self, taken: NDArray[np.int64], count: int) -> None:
        """Of all places that are `taken`, each in its way."""
        past = taken[self._counts[taken] > self._context]
        full = past[self._jumps[past]]
        past = past[~self._jumps[past]]
        texts = self._texts
        if len(full):
            rows = self._choose(texts.full_rows, full)
            self._graphs.run(("jump", rows), lambda: texts.jump(rows))
            self._counts[full] = texts.kept
        if len(past) < len(taken):
            self._graphs.run(("step", count), lambda: texts.step(count))
        if len(past):
            rows = self._choose(texts.past_rows, past)
            self._graphs.run(("read_windows", rows), lambda: texts.read_windows(rows))

    def _choose(self, buffer: Tensor, places: NDArray[np.int64]) -> int:
        """Let `buffer` begin with `places`; returns how many rows are to be worked out."""
        rows = _rows(max(len(places), self._fewest))
        chosen = [*places.tolist(), *[self._texts.spare] * (rows - len(places))]
        if self._chosen.get(id(buffer)) != chosen:  # most often it has them, and a copy waits
            self._chosen[id(buffer)] = chosen
            buffer[:rows] = torch.tensor(chosen)
        return rows

    def _fetch(self, steps: int, count: int, *, with_top: bool) -> None:
        """Take over what was drawn."""
        drawn, top = self._drawn, self._texts.top
        width = 2 + 2 * top if with_top else 2
        found = self._texts.drawn[:steps, :count, :width].cpu().numpy()
        drawn.ids[:steps, :count] = found[:, :, 0]
        drawn.logprobs[:steps, :count] = found[:, :, 1]
        if with_top:
            drawn.top_ids[:steps, :count, :top] = found[:, :, 2 : 2 + top]
            drawn.top_logprobs[:steps, :count, :top] = found[:, :, 2 + top :]

    def _count(self, taken: NDArray[np.int64]) -> int:
        """How many rows hold all that are taken."""
        return _rows(max(int(taken.max()) + 1, self._fewest))

    @torch.inference_mode()
    def _set_text(self, place: int, sequence: Sequence) -> None:
        jumps = sequence.past_context == "jump"
        is_past = len(sequence.ids) > self._context and not jumps
        ids = sequence.ids[-min(sequence.seen(self._context), self._model.reach) :]
        self._jumps[place] = jumps
        self._counts[place] = self._context + 1 if is_past else len(ids)
        how = settings(sequence.sampling, self._vocab_size)
        self._texts.begin(place, ids, how, self._asked_of_ids(place), read=not is_past)

    def _asked_of_ids(self, place: int) -> ById:
        """As the host has it; one zero for all of them where nobody has asked yet."""
        how = self._how
        rows = (asked[place].astype(np.float32) for asked in (how.there, how.bias, how.counts))
        return ById(*(torch.from_numpy(row) if len(row) else torch.zeros(1) for row in rows))

    @torch.inference_mode()
    def _grow(self, places: int) -> None:
        super()._grow(places)
        before, counts, jumps = self._texts, self._counts, self._jumps
        self._make_room(places)
        self._texts.take_over(before)
        self._counts[: len(counts)], self._jumps[: len(jumps)] = counts, jumps

    def _make_room(self, places: int) -> None:
        """For so many texts, none of them there; graphs of another room are of no use in it."""
        self._texts = DeviceTexts(self._model, places, MOST_STEPS, MOST_ALTERNATIVES)
        self._graphs = Graphs(self._model.wte.weight.device)
        self._chosen: dict[int, list[int]] = {}  # what a buffer of the texts begins with
        self._counts = np.zeros(places, np.int64)  # ids that the model sees next, or one too many
        self._jumps = np.zeros(places, np.bool_)


def _rows(count: int) -> int:
    """The power of two that holds `count`."""
    return 1 << (count - 1).bit_length()
