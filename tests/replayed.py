"""CUDA graphs without CUDA: what is done once is written down, operation by operation, and redone.

There are no kernels in them then, but the same operations on the same tensors.
"""

from collections import Counter
from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

aten = torch.ops.aten
# Those that give the host a number, have a shape that numbers decide, or begin on the host.
NEVER = {
    aten.item.default,
    aten._local_scalar_dense.default,
    aten.is_nonzero.default,
    aten.equal.default,
    aten.nonzero.default,
    aten.masked_select.default,
    aten.lift_fresh.default,
    aten.resolve_conj.default,  # before `tolist` and `numpy`
}


class Recording(TorchDispatchMode):
    """Keeps every operation with the tensors that went in and came out."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[tuple[Any, Any, Any, Any]] = []

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None):
        assert function not in NEVER, function
        if function is aten.index.Tensor:
            assert all(index is None or index.dtype != torch.bool for index in args[1])
        out = function(*args, **(kwargs or {}))
        self.operations.append((function, args, kwargs or {}, out))
        return out

    def replay(self) -> None:
        for function, args, kwargs, out in self.operations:
            for old, new in zip(
                tree_leaves(out), tree_leaves(function(*args, **kwargs)), strict=True
            ):
                if isinstance(old, torch.Tensor) and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


class Replayed:
    """In place of `model.graph_capture.Graphs`."""

    def __init__(self, device: torch.device) -> None:
        self.recordings: dict[Hashable, Recording] = {}
        self.replays: Counter[Hashable] = Counter()

    def run(self, name: Hashable, work: Callable[[], None]) -> None:
        if name in self.recordings:
            self.replays[name] += 1
            self.recordings[name].replay()
            return
        self.recordings[name] = Recording()
        with self.recordings[name]:
            work()
