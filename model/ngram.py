"""Count-based language models: the other family.

The probability of a token mixes what followed the longest counted context with what followed
ever shorter ones. How much weight the longer context gets depends on how many different tokens
followed it (interpolated Witten-Bell smoothing; Witten and Bell 1991, Chen and Goodman 1999):

    p_n(w | context) = (count(context w) + kinds(context) * p_{n-1}(w)) / (total + kinds(context))

and below order 1 every token is equally likely, so nothing ever has probability zero.
"""

import torch
from torch import Tensor

from model.config import NGramConfig
from model.language_model import LanguageModel


class NGram(LanguageModel):
    """Sorted keys and counts of every sequence of 1 to `order` tokens that occurred.

    A sequence's key is its ids read as digits in base `vocab_size`, so that all continuations of
    a context lie side by side.
    """

    def __init__(self, config: NGramConfig) -> None:
        super().__init__()
        self.config: NGramConfig = config
        for n in range(1, config.order + 1):
            self.register_buffer(f"keys_{n}", torch.empty(0, dtype=torch.int64))
            self.register_buffer(f"counts_{n}", torch.empty(0, dtype=torch.int32))

    @property
    def block_size(self) -> int:
        return max(1, self.config.order - 1)

    @property
    def size(self) -> int:
        return sum(self.get_buffer(f"keys_{n}").numel() for n in range(1, self.config.order + 1))

    def count(self, ids: Tensor) -> None:
        """Replace the counts by those of `ids` (N,)."""
        V = self.config.vocab_size
        for n in range(1, self.config.order + 1):
            windows = ids.unfold(0, n, 1)  # (N - n + 1, n)
            digits = V ** torch.arange(n - 1, -1, -1)
            keys, counts = torch.unique(windows @ digits, return_counts=True)
            self.register_buffer(f"keys_{n}", keys)
            self.register_buffer(f"counts_{n}", counts.to(torch.int32))

    def forward(self, ids: Tensor, order: int | None = None) -> Tensor:
        """ids (B, T) -> log-probabilities (B, T, V), using sequences of up to `order` tokens."""
        B, T = ids.shape
        V = self.config.vocab_size
        p = torch.full((B, T, V), 1 / V, dtype=torch.float64, device=ids.device)
        context = torch.zeros_like(ids)  # (B, T), key of the n - 1 tokens up to here
        for n in range(1, (order or self.config.order) + 1):
            if n > 1:  # one token further back
                context = context + ids.roll(n - 2, dims=1) * V ** (n - 2)
            following = self._following(context, n)  # (B, T, V)
            following[:, : max(0, n - 2)] = 0  # too early in the text for n - 1 tokens of context
            total = following.sum(-1, keepdim=True)
            kinds = (following > 0).sum(-1, keepdim=True)
            p = torch.where(total > 0, (following + kinds * p) / (total + kinds).clamp_min(1), p)
        return p.log().float()

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        names = {
            f"{kind}_{n}" for kind in ("keys", "counts") for n in range(1, self.config.order + 1)
        }
        if tensors.keys() != names:
            raise RuntimeError(f"expected the tensors {sorted(names)}, got {sorted(tensors)}")
        for n in range(1, self.config.order + 1):
            keys, counts = tensors[f"keys_{n}"], tensors[f"counts_{n}"]
            if keys.ndim != 1 or keys.shape != counts.shape or (keys[1:] <= keys[:-1]).any():
                raise RuntimeError(f"keys_{n} and counts_{n} must be sorted and of one length")
            if not len(keys) or keys[0] < 0 or keys[-1] >= self.config.vocab_size**n:
                raise RuntimeError(f"keys_{n} has none, or one of tokens that there are not")
            if (counts < 1).any():
                raise RuntimeError(f"counts_{n} has a number that is no count")
            self.register_buffer(f"keys_{n}", keys)
            self.register_buffer(f"counts_{n}", counts)

    def _following(self, context: Tensor, n: int) -> Tensor:
        """How often each token followed each context (B, T) of n - 1 tokens: (B, T, V) float64."""
        keys, counts = self.get_buffer(f"keys_{n}"), self.get_buffer(f"counts_{n}")
        V = self.config.vocab_size
        wanted = context.unsqueeze(-1) * V + torch.arange(V, device=context.device)
        place = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
        return torch.where(keys[place] == wanted, counts[place], 0).double()
