"""Windows of a text at random places: what a training step learns from."""

import torch
from torch import Tensor


def draw_starts(tokens: int, window: int, count: int, generator: torch.Generator) -> Tensor:
    """Where `count` windows begin in a text of so many tokens: (count, 1), on the CPU.

    Any place is as likely as any other that leaves a token behind the window; two windows may
    overlap, or be the same. Raises RuntimeError unless there are more tokens than in a window.
    """
    return torch.randint(tokens - window, (count, 1), generator=generator)


def windows_at(ids: Tensor, starts: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """x and y (B, window): the windows of `ids` (N,) at `starts` (B, 1), and what follows each id.

    y is x one place later, so each window holds `window` contexts, every one with its next token.
    """
    places = starts.to(ids.device, non_blocking=True) + torch.arange(window, device=ids.device)
    return ids[places], ids[places + 1]
