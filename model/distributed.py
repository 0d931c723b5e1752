"""Several processes that train one model, each on its part of every batch, as torchrun starts them.

Every process draws the same batches and takes its own rows, so that any number of them gives the
same run. Gradients are averaged in one message for each step.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

STEPS_BETWEEN_VOTES = 20  # asking all processes costs a message and a wait


@dataclass(frozen=True)
class World:
    """A process' place among `size`; the first one, of rank 0, writes the run."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def rows(self, batch: Tensor) -> Tensor:
        """The part of a process of a batch (B, ...), B being a multiple of `size`."""
        return batch if self.size == 1 else batch.tensor_split(self.size)[self.rank]

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Replace each by its mean over the processes."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        parts = (flat / self.size).split([tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))

    def any(self, wish: bool, device: torch.device) -> bool:
        """Whether one process at least says yes; all must ask."""
        if self.size == 1:
            return wish
        votes = torch.tensor([float(wish)], device=device)
        dist.all_reduce(votes)
        return bool(votes.item())

    def any_at(self, step: int, wish: bool, device: torch.device) -> bool:
        """`any`, but among several processes only at some steps."""
        if self.size > 1 and step % STEPS_BETWEEN_VOTES:
            return False
        return self.any(wish, device)


def is_first_process() -> bool:
    """Whether this process is alone, or the first of those that torchrun started."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def joined_world(device: torch.device) -> Iterator[World]:
    """The world that torchrun's environment describes; alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World()
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield World(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
