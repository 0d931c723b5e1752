"""Maps that were worked out just now, so that looking closer does not run the model again."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import count
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from app.patience import patient
from model.attention import Kind, layer_maps
from model.gpt import GPT

MOST = 1000  # readings, as very many of short texts would fit

Reading = tuple[tuple[int, ...], Kind]


@dataclass(slots=True)
class _Entry:
    """Maps on their way, then one tensor (L, H, T, T): Python's collector looks at every tensor."""

    used: int
    coming: Future[list[Tensor]] | None
    maps: Tensor | None = None

    @property
    def size(self) -> int:
        return 0 if self.maps is None else self.maps.nbytes


class RecentMaps:
    """The maps of the last readings, at most `budget_bytes` of them; the least recently used go.

    A model's go with the model, so none outlives a change of its run's folder. All methods may be
    called from any thread.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._lock = threading.Lock()
        self._clock = count()
        self._models: WeakKeyDictionary[GPT, dict[Reading, _Entry]] = WeakKeyDictionary()

    def of(self, model: GPT, ids: Sequence[int], kind: Kind) -> list[Tensor]:
        """As `layer_maps`; the first to ask works them out, and others who ask meanwhile wait."""
        reading = tuple(ids), kind
        with self._lock:
            readings = self._models.setdefault(model, {})
            entry = readings.get(reading)
            if is_new := entry is None:
                entry = readings[reading] = _Entry(0, Future())
            entry.used = next(self._clock)
            coming, maps = entry.coming, entry.maps
        if maps is not None:
            return list(maps)
        assert coming
        if is_new:
            self._work_out(model, reading, entry, coming)
        return coming.result()

    def bytes(self) -> int:
        """How much is kept."""
        with self._lock:
            return sum(entry.size for *_, entry in self._entries())

    def _work_out(
        self, model: GPT, reading: Reading, entry: _Entry, coming: Future[list[Tensor]]
    ) -> None:
        try:
            with patient(None):
                maps = torch.stack(layer_maps(model, *reading))
        except BaseException as error:  # noqa: BLE001 (raised for all who wait, by `result`)
            with self._lock:
                del self._models[model][reading]
            coming.set_exception(error)
        else:
            with self._lock:
                entry.coming, entry.maps = None, maps
                self._tidy()
            coming.set_result(list(maps))

    def _tidy(self) -> None:
        kept = [each for each in self._entries() if each[-1].coming is None]
        kept.sort(key=lambda each: each[-1].used)
        total = sum(entry.size for *_, entry in kept)
        for place, (readings, reading, entry) in enumerate(kept):
            if total <= self._budget and len(kept) - place <= MOST:
                return
            del readings[reading]
            total -= entry.size

    def _entries(self) -> list[tuple[dict[Reading, _Entry], Reading, _Entry]]:
        return [
            (readings, reading, entry)
            for readings in self._models.values()
            for reading, entry in readings.items()
        ]
