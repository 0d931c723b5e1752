"""`model.sampling` for many places at once, with tensors alone: nothing waits for the device."""

from typing import NamedTuple

import torch
from torch import Tensor

from model.sampling import COLDEST, Sampling

Row = tuple[float, float, float, float, float, float, float]


class Choosing(NamedTuple):
    """How each place draws, each (B, 1)."""

    temperature: Tensor  # not below COLDEST
    top_k: Tensor  # from 1 to V
    top_p: Tensor
    min_p: Tensor
    repetition: Tensor  # the penalties
    presence: Tensor
    frequency: Tensor


class ById(NamedTuple):
    """What is asked of each id, each (B, V)."""

    there: Tensor  # whether its text has it
    bias: Tensor
    counts: Tensor  # how often it was written, for those that ask


def settings(sampling: Sampling, vocab_size: int) -> Row:
    """`sampling` as the columns of `Choosing`."""
    return (
        max(sampling.temperature, COLDEST),
        min(sampling.top_k or vocab_size, vocab_size),
        1.0 if sampling.top_p is None else sampling.top_p,
        sampling.min_p or 0.0,
        sampling.repetition_penalty,
        sampling.presence_penalty,
        sampling.frequency_penalty,
    )


def leaves_out(sampling: Sampling) -> bool:
    """Whether it takes `filtered` shares: those that need the ids in order."""
    return sampling.top_k is not None or sampling.top_p not in {None, 1}


def adjusts(sampling: Sampling) -> bool:
    """Whether it takes `adjusted` shares: those that need the bias or the counts."""
    return bool(sampling.logit_bias) or sampling.counts


def draw(shares: Tensor, u: Tensor) -> Tensor:
    """shares (B, V) and u (B,) in [0, 1) -> for each row the first id at which their sum passes u.

    That is u times the sum of all. With u = 0 it is the first that has a share at all.
    """
    # A sum that is made in parts can rise by rounding where there is no share.
    passed = shares.cumsum(-1).masked_fill(shares == 0, 0)
    target = u[:, None] * passed.amax(-1, keepdim=True)
    return (passed > target).int().argmax(-1)  # the first of the largest


def shares(logits: Tensor, how: Choosing, by_id: ById, *, adjusted: bool, filtered: bool) -> Tensor:
    """logits (B, V) -> shares (B, V), the likeliest's 1, in the dtype of `how`.

    At the temperature COLDEST only the likeliest has one, or those that are. Without `adjusted`,
    bias and counts are left aside, and without `filtered`, `top_k` and `top_p`, which is the same
    where they change nothing.
    """
    scaled = logits.to(how.repetition.dtype)
    if adjusted:
        scaled = scaled + by_id.bias
    change = torch.where(scaled > 0, 1 / how.repetition, how.repetition)
    scaled = torch.where(by_id.there, scaled * change, scaled)
    if adjusted:
        taken = how.presence + how.frequency * by_id.counts
        scaled = torch.where(by_id.counts > 0, scaled - taken, scaled)
    found = ((scaled - scaled.amax(-1, keepdim=True)) / how.temperature).exp()
    if filtered:
        found = _filtered(scaled, found, how)
    return found.masked_fill(found < how.min_p, 0)


def _filtered(scaled: Tensor, found: Tensor, how: Choosing) -> Tensor:
    ordered, ids = scaled.sort(dim=-1, descending=True, stable=True)
    smallest = ordered.gather(1, how.top_k.long() - 1)
    found = found.masked_fill(scaled < smallest, 0)
    by_rank = found.gather(1, ids)
    before = by_rank.cumsum(-1) - by_rank  # the sum of all that are likelier
    left_out = (before >= how.top_p * by_rank.sum(-1, keepdim=True)) & (how.top_p < 1)
    return found.masked_fill(torch.empty_like(left_out).scatter_(1, ids, left_out), 0)
