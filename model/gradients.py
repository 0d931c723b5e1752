"""From a batch to the gradients of its loss, in as few launches as the device allows."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from model.config import TrainConfig
from model.distributed import World
from model.language_model import LanguageModel

WARM_UPS = 3  # before a graph is captured, so that libraries have chosen their kernels

Work = Callable[[Tensor, Tensor], Tensor]


class Gradients:
    """Called with a batch, leaves the gradients of its mean loss in each parameter's `grad`.

    The batch is worked out in `grad_accum` parts. On a CUDA device all of it, forwards and
    backwards, is captured once as a graph and then replayed: a small model's step is hundreds of
    kernels that take longer to launch than to run.
    """

    def __init__(
        self, model: LanguageModel, config: TrainConfig, device: torch.device, world: World
    ) -> None:
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self._parts, self._world, self._device = config.grad_accum, world, device
        self._lower = config.precision == "bfloat16"
        self._forward: Callable[[Tensor], Tensor] = model
        if config.compile:
            self._forward = torch.compile(model, dynamic=False)
        self._work: Work = self._eager

    def prepare(self, x: Tensor, y: Tensor) -> None:
        """Compile and capture, for batches like x and y (B, T); draws nothing from any generator.

        What is not prepared is done at the first call. Nothing else may use the device meanwhile.
        """
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            if self._device.type == "cuda":
                self._work = _captured(self._eager, x, y)
            else:
                self._eager(x, y)
        # What it gave is no gradient of a batch; a captured graph writes over its own.
        if self._device.type != "cuda":
            self._clear()

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """x and its next ids y (B, T), this process' rows -> their mean loss ()."""
        loss = self._work(x, y)
        self._world.average([p.grad for p in self._parameters if p.grad is not None])
        return loss

    def _eager(self, x: Tensor, y: Tensor) -> Tensor:
        self._clear()
        total = torch.zeros((), device=self._device)
        for some_x, some_y in zip(x.chunk(self._parts), y.chunk(self._parts), strict=True):
            loss = self._loss(some_x, some_y)
            if self._parts > 1:
                loss = loss / self._parts
            loss.backward()
            total += loss.detach()
        return total

    def _loss(self, x: Tensor, y: Tensor) -> Tensor:
        # Each weight is used once, and a copy of it that is kept would escape a captured graph.
        with torch.autocast(
            self._device.type, torch.bfloat16, enabled=self._lower, cache_enabled=False
        ):
            logits = self._forward(x)
        return F.cross_entropy(logits.float().flatten(0, 1), y.flatten())

    def _clear(self) -> None:
        for parameter in self._parameters:
            parameter.grad = None


def _captured(work: Work, x: Tensor, y: Tensor) -> Work:
    """`work` as a CUDA graph that is fed through copies of x and y and replayed."""
    x, y = x.clone(), y.clone()
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UPS):
            work(x, y)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = work(x, y)

    def replay(new_x: Tensor, new_y: Tensor) -> Tensor:
        x.copy_(new_x)
        y.copy_(new_y)
        graph.replay()
        return loss

    return replay
