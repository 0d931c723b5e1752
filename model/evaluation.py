"""How well a model, in evaluation mode, predicts a text."""

import torch
import torch.nn.functional as F
from torch import Tensor

from model.language_model import LanguageModel

# Large enough to keep every core busy, small enough for what a layer computes to stay in its cache.
TOKENS_AT_ONCE = 2048
# A GPU has more cores and launches slowly; its logits should not take more than a gigabyte.
GPU_TOKENS_AT_ONCE = 65_536
GPU_LOGITS_AT_ONCE = 2**28


def tokens_at_once(device: str, vocab_size: int) -> int:
    """How many tokens are looked at together on a torch device of that type."""
    if device == "cpu":
        return TOKENS_AT_ONCE
    return max(TOKENS_AT_ONCE, min(GPU_TOKENS_AT_ONCE, GPU_LOGITS_AT_ONCE // vocab_size))


@torch.no_grad()
def whole_loss(model: LanguageModel, ids: Tensor, window: int) -> float:
    """Mean loss, in nats per token, over all of `ids` (N,): each predicted exactly once.

    The text is cut into windows side by side, so a token's context is as long as its place in its
    window, on average half of it: the same contexts that training sees.
    """
    full = (len(ids) - 1) // window
    x = ids[: full * window].view(full, window)
    y = ids[1 : full * window + 1].view(full, window)
    total = _summed_loss(model, x, y)
    if rest := len(ids) - 1 - full * window:
        total = total + _summed_loss(model, ids[None, -rest - 1 : -1], ids[None, -rest:])
    return float(total) / (len(ids) - 1)


@torch.no_grad()
def sampled_loss(
    model: LanguageModel, ids: Tensor, window: int, windows: int, generator: torch.Generator
) -> float:
    """Mean loss, in nats per token, over `windows` windows at random places of `ids`."""
    starts = torch.randint(len(ids) - window, (windows,), generator=generator).to(ids.device)
    return _windows_loss(model, ids, starts, window)


@torch.no_grad()
def even_loss(model: LanguageModel, ids: Tensor, window: int, tokens: int) -> float:
    """Mean loss, in nats per token, over about `tokens` tokens, in windows evenly spread."""
    windows = max(1, min(tokens, len(ids) - 1) // window)
    starts = torch.linspace(0, len(ids) - window - 1, windows, device=ids.device).long()
    return _windows_loss(model, ids, starts, window)


def _windows_loss(model: LanguageModel, ids: Tensor, starts: Tensor, window: int) -> float:
    """Mean loss over the windows of `ids` that begin at `starts` (N,)."""
    offsets = torch.arange(window, device=ids.device)
    total = _zero(ids.device)
    for some in starts.split(_windows_at_once(model, ids, window)):
        places = some[:, None] + offsets
        total += _summed_loss(model, ids[places], ids[places + 1])
    return float(total) / (len(starts) * window)


def _summed_loss(model: LanguageModel, x: Tensor, y: Tensor) -> Tensor:
    """x and its next tokens y (N, T) -> summed loss, a few large batches at a time."""
    size = _windows_at_once(model, x, x.shape[1])
    total = _zero(x.device)
    for some_x, some_y in zip(x.split(size), y.split(size), strict=True):
        loss = F.cross_entropy(model(some_x).flatten(0, 1), some_y.flatten(), reduction="sum")
        total += loss.to(total.dtype)
    return total


def _windows_at_once(model: LanguageModel, ids: Tensor, window: int) -> int:
    return max(1, tokens_at_once(ids.device.type, model.vocab_size) // window)


def _zero(device: torch.device) -> Tensor:
    """To sum up on; Apple's GPUs know no double precision."""
    dtype = torch.float32 if device.type == "mps" else torch.float64
    return torch.zeros((), dtype=dtype, device=device)
