"""Dropout on in a forward pass: how far a network's answers scatter when parts of it are left out.

Each activation is zero with probability p, and else divided by 1 - p, so that its mean stays what
it was (Srivastava et al. 2014, who scale at the end instead).
"""

import copy
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.evaluation import tokens_at_once
from model.gpt import GPT, Block

# Attention draws from torch's global generator, which all threads share.
_drawing = threading.Lock()


@dataclass(frozen=True)
class DropoutSpread:
    """N passes with dropout, each with masks of its own."""

    losses: Tensor  # (N,) nats per token, mean over all tokens but the first
    loss_of_mean: float  # of the mean of the N predictions, as one model's
    probabilities: Tensor  # (N, vocab_size) of the next token behind the last one


def with_dropout(model: GPT, p: float) -> GPT:
    """`model` as it would be in training with dropout `p`: a second model on the same weights.

    Dropped are attention weights, and what attention and MLP write to the residual stream. `model`
    itself is left as it is.
    """
    shared = (model.config, *model.parameters(), *model.buffers())
    training = copy.deepcopy(model, {id(it): it for it in shared}).train()
    for block in training.blocks:
        assert isinstance(block, Block)
        block.attn.dropout = p
        block.attn.drop.p = p
        block.mlp.drop.p = p
    return training


@torch.inference_mode()
def dropout_spread(
    model: GPT, ids: Sequence[int], p: float, draws: int, seed: int
) -> DropoutSpread:
    """Read `ids` that many times with dropout `p`. The same seed gives the same masks.

    Raises ValueError for fewer than two ids, which have no loss.
    """
    if len(ids) < 2:
        raise ValueError("a loss needs two tokens")
    device = model.wte.weight.device
    batch = torch.tensor([list(ids)], device=device)
    dropping = with_dropout(model, p)
    rows = max(1, tokens_at_once(device.type, model.vocab_size) // len(ids))
    with _drawing, torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        passes = [_read(dropping(some), some) for some in batch.expand(draws, -1).split(rows)]
    right, last = (torch.cat(parts) for parts in zip(*passes, strict=True))
    return DropoutSpread(
        losses=-right.mean(1),  # right (N, T - 1), last (N, V)
        loss_of_mean=-float((right.logsumexp(0) - torch.tensor(draws).log()).mean()),
        probabilities=last.softmax(-1),
    )


def _read(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """logits (N, T, V) -> log-probabilities of ids' next tokens (N, T - 1), and the last logits."""
    right = -F.cross_entropy(logits[:, :-1].transpose(1, 2), ids[:, 1:], reduction="none")
    return right.double().cpu(), logits[:, -1].double().cpu()
