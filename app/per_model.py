"""What is the same for a model whatever it reads, worked out once."""

import threading
from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from model.gpt import GPT

Found = TypeVar("Found")


class PerModel(Generic[Found]):
    """The result of `work` for each model, for as long as somebody has the model."""

    def __init__(self, work: Callable[[GPT], Found]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._found: WeakKeyDictionary[GPT, Found] = WeakKeyDictionary()

    def of(self, model: GPT) -> Found:
        """May be called from any thread; two that come first together both work it out."""
        with self._lock:
            known = self._found.get(model)
        if known is None:
            known = self._work(model)
            with self._lock:
                self._found[model] = known
        return known
