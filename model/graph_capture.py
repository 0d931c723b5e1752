"""Work on a device that is done again and again: on a CUDA device as graphs."""

import threading
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager

import torch

from model.gradients import WARM_UPS

Work = Callable[[], None]

_one_at_a_time = threading.Lock()  # a process cannot capture two graphs at once


class Graphs:
    """A work that is done often is captured and from then on replayed.

    So it must have fixed shapes, work on the same tensors each time and wait for none of their
    numbers. The first times it is done launch by launch, so that libraries have chosen their
    kernels, and what is done but once or twice costs no capture. On other devices it always is.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._times: Counter[Hashable] = Counter()
        self._graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}
        self._on_cuda = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._on_cuda else None
        # What a graph works in is free when it is through, so all of them may share it.
        self._pool = torch.cuda.graph_pool_handle() if self._on_cuda else None

    def run(self, name: Hashable, work: Work) -> None:
        """Do `work`, which is always the same under that `name`."""
        if not self._on_cuda:
            work()
            return
        if name not in self._graphs:
            self._times[name] += 1
            if self._times[name] <= WARM_UPS:
                with self._beside():
                    work()
                return
            self._graphs[name] = self._captured(work)
        with torch.cuda.device(self._device):
            self._graphs[name].replay()

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """On the stream that is captured, after and before all else."""
        assert self._stream is not None
        ours = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(ours)
        with torch.cuda.stream(self._stream):
            yield
        ours.wait_stream(self._stream)

    def _captured(self, work: Work) -> torch.cuda.CUDAGraph:
        graph = torch.cuda.CUDAGraph()
        mode = "thread_local"  # others may use the device meanwhile
        with (
            _one_at_a_time,
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode=mode),
        ):
            work()
        return graph
