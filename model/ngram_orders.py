"""The orders inside an n-gram model: those below its own are models too, of the same counts."""

from collections.abc import Sequence as Ids
from dataclasses import dataclass

import torch
from torch import Tensor

from model.ngram import NGram


@dataclass(frozen=True)
class OrderSum:
    """One order's line of the Witten-Bell sum (see `model.ngram`) after one context."""

    context: list[int]  # the order - 1 ids before
    counts: Tensor  # (V,) int64, how often each token followed
    p: Tensor  # (V,) float64, the probabilities up to this order

    @property
    def order(self) -> int:
        return len(self.context) + 1

    @property
    def total(self) -> int:
        """How often the context was followed by anything."""
        return int(self.counts.sum())

    @property
    def kinds(self) -> int:
        """How many different tokens followed."""
        return int((self.counts > 0).sum())


def of_order(model: NGram, order: int) -> NGram:
    """The same counts without those of longer sequences; nothing is copied.

    Raises ValueError for an order that was not counted.
    """
    if not 1 <= order <= model.config.order:
        raise ValueError(f"orders 1 to {model.config.order} are counted, not {order}")
    lower = NGram(model.config.model_copy(update={"order": order}))
    lower.load_weights({name: model.get_buffer(name) for name, _ in lower.named_buffers()})
    return lower.eval()


def sums_after(model: NGram, ids: Ids[int]) -> list[OrderSum]:
    """The sum for what follows `ids`, from order 1 up; as many orders as they are long enough for.

    Where the context was never seen, all counts are zero and `p` is that of the order below.
    """
    V = model.config.vocab_size
    p = torch.full((V,), 1 / V, dtype=torch.float64)
    sums = []
    for n in range(1, min(model.config.order, len(ids) + 1) + 1):
        context = list(ids[len(ids) - (n - 1) :])
        counts = _continuations(model, context)
        total, kinds = counts.sum(), (counts > 0).sum()
        if total > 0:
            p = (counts + kinds * p) / (total + kinds)
        sums.append(OrderSum(context, counts, p))
    return sums


@torch.no_grad()
def order_losses(model: NGram, ids: Tensor, window: int) -> list[float]:
    """Mean loss, in nats per token, of order 1, 2, … over `ids` (N,) in windows side by side.

    The last is `evaluation.whole_loss`; but only the tokens that came are looked up, rather than
    the whole vocabulary at each place.
    """
    V = model.config.vocab_size
    x, y = ids[:-1], ids[1:]
    seen = torch.arange(len(x)) % window + 1  # tokens of the window up to here
    p = torch.full((len(x),), 1 / V, dtype=torch.float64)
    context = torch.zeros_like(x)  # key of the n - 1 tokens up to here
    losses = []
    for n in range(1, model.config.order + 1):
        if n > 1:
            context = context + x.roll(n - 2) * V ** (n - 2)
        keys, counts = model.get_buffer(f"keys_{n}"), model.get_buffer(f"counts_{n}")
        before = torch.cat([counts.new_zeros(1, dtype=torch.int64), counts.cumsum(0)])
        first, last = (torch.searchsorted(keys, (context + i) * V) for i in (0, 1))
        total, kinds = before[last] - before[first], last - first
        place = torch.searchsorted(keys, context * V + y).clamp_max(len(keys) - 1)
        count = torch.where(keys[place] == context * V + y, counts[place], 0)
        known = (total > 0) & (seen >= n - 1)
        p = torch.where(known, (count + kinds * p) / (total + kinds).clamp_min(1), p)
        losses.append(-float(p.log().mean()))
    return losses


def _continuations(model: NGram, context: Ids[int]) -> Tensor:
    """How often each token followed exactly these: (V,) int64. Its keys lie side by side."""
    V = model.config.vocab_size
    n = len(context) + 1
    keys, counts = model.get_buffer(f"keys_{n}"), model.get_buffer(f"counts_{n}")
    base = sum(id * V**power for power, id in enumerate(reversed(context), start=1))
    first, last = torch.searchsorted(keys, torch.tensor([base, base + V])).tolist()
    following = torch.zeros(V, dtype=torch.int64)
    following[keys[first:last] - base] = counts[first:last].long()
    return following
