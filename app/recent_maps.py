"""Maps that were worked out just now, so that looking closer does not run the model again."""

import threading
from collections import OrderedDict
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
class _Kept:
    """One tensor (L, H, T, T): Python's collector looks at every one that there is."""

    used: int
    maps: Tensor


class _Readings:
    """Of one model: those on their way, and those that are kept, the least recently used first."""

    def __init__(self) -> None:
        self.coming: dict[Reading, Future[list[Tensor]]] = {}
        self.kept: OrderedDict[Reading, _Kept] = OrderedDict()
        self.bytes = 0

    @property
    def oldest(self) -> int:
        """When that of the kept was used which was not for longest."""
        return next(iter(self.kept.values())).used

    def keep(self, reading: Reading, kept: _Kept) -> None:
        self.kept[reading] = kept
        self.bytes += kept.maps.nbytes

    def use(self, reading: Reading, now: int) -> Tensor | None:
        kept = self.kept.get(reading)
        if kept is None:
            return None
        kept.used = now
        self.kept.move_to_end(reading)
        return kept.maps

    def drop_oldest(self) -> None:
        _, kept = self.kept.popitem(last=False)
        self.bytes -= kept.maps.nbytes


class RecentMaps:
    """The maps of the last readings, at most `budget_bytes` of them; the least recently used go.

    A model's go with the model, so none outlives a change of its run's folder. All methods may be
    called from any thread.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget = budget_bytes
        self._lock = threading.Lock()
        self._clock = count()
        self._models: WeakKeyDictionary[GPT, _Readings] = WeakKeyDictionary()

    def of(self, model: GPT, ids: Sequence[int], kind: Kind) -> list[Tensor]:
        """As `layer_maps`; the first to ask works them out, and others who ask meanwhile wait."""
        reading = tuple(ids), kind
        with self._lock:
            readings = self._models.setdefault(model, _Readings())
            maps = readings.use(reading, next(self._clock))
            if maps is not None:
                return list(maps)
            coming = readings.coming.get(reading)
            if is_new := coming is None:
                coming = readings.coming[reading] = Future()
        if is_new:
            self._work_out(model, reading, readings)
        try:
            return coming.result()
        finally:
            del coming  # or an error would hold itself, and the model with it

    def bytes(self) -> int:
        """How much is kept."""
        with self._lock:
            return self._bytes()

    def _work_out(self, model: GPT, reading: Reading, readings: _Readings) -> None:
        try:
            with patient(None):
                maps = torch.stack(layer_maps(model, *reading))
        except BaseException as error:  # noqa: BLE001 (raised for all who wait, by `result`)
            with self._lock:
                readings.coming.pop(reading).set_exception(error)
        else:
            with self._lock:
                readings.keep(reading, _Kept(next(self._clock), maps))
                self._tidy()
                coming = readings.coming.pop(reading)
            coming.set_result(list(maps))

    # With the lock held

    def _tidy(self) -> None:
        while self._bytes() > self._budget or self._count() > MOST:
            kept = (readings for readings in self._models.values() if readings.kept)
            min(kept, key=lambda readings: readings.oldest).drop_oldest()

    def _bytes(self) -> int:
        return sum(readings.bytes for readings in self._models.values())

    def _count(self) -> int:
        return sum(len(readings.kept) for readings in self._models.values())
