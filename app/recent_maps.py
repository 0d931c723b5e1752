"""Maps that were worked out just now, so that looking closer does not run the model again."""

import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from weakref import WeakKeyDictionary

from torch import Tensor

from app.patience import patient
from model.attention import Kind, layer_maps
from model.gpt import GPT

Reading = tuple[tuple[int, ...], Kind]


@dataclass
class _Entry:
    used: int
    size: int = 0
    maps: Future[list[Tensor]] = field(default_factory=Future)


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
            is_new = reading not in readings
            entry = readings.setdefault(reading, _Entry(0))
            entry.used = next(self._clock)
        if is_new:
            self._work_out(model, reading, entry)
        return entry.maps.result()

    def bytes(self) -> int:
        """How much is kept."""
        with self._lock:
            return sum(entry.size for *_, entry in self._entries())

    def _work_out(self, model: GPT, reading: Reading, entry: _Entry) -> None:
        try:
            with patient(None):
                maps = layer_maps(model, *reading)
        except BaseException as error:  # noqa: BLE001 (raised for all who wait, by `result`)
            with self._lock:
                del self._models[model][reading]
            entry.maps.set_exception(error)
        else:
            with self._lock:
                entry.size = sum(layer.nbytes for layer in maps)
                self._tidy()
            entry.maps.set_result(maps)

    def _tidy(self) -> None:
        entries = sorted(self._entries(), key=lambda each: each[-1].used)
        total = sum(entry.size for *_, entry in entries)
        for readings, reading, entry in entries:
            if total <= self._budget:
                return
            if entry.size:  # else it is still being worked out
                del readings[reading]
                total -= entry.size

    def _entries(self) -> list[tuple[dict[Reading, _Entry], Reading, _Entry]]:
        return [
            (readings, reading, entry)
            for readings in self._models.values()
            for reading, entry in readings.items()
        ]
