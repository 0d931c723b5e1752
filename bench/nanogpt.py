"""nanoGPT's model and its way of writing, from its description: a peer of `generation.py`.

One layer gives queries, keys and values of all heads, attention is torch's fused one, the
feed-forward layer has a GELU, the token embedding is the output layer as well, and LayerNorm may go
without a bias. At inference the output layer reads the last position only. `sample` is what its
script `sample.py` does by default. It is written plainly, with nothing added to make it slow and
nothing to make it fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

TEMPERATURE, TOP_K = 0.8, 200  # the defaults of sample.py


@dataclass
class Size:
    """nanoGPT's options, under its own names."""

    block_size: int
    vocab_size: int
    n_layer: int
    n_head: int
    n_embd: int
    bias: bool


class LayerNorm(nn.Module):
    """With a bias or without."""

    def __init__(self, width: int, *, bias: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, 1e-5)


class CausalSelfAttention(nn.Module):
    """(B, T, C) -> the same."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.c_attn = nn.Linear(size.n_embd, 3 * size.n_embd, bias=size.bias)
        self.c_proj = nn.Linear(size.n_embd, size.n_embd, bias=size.bias)
        self.n_head, self.n_embd = size.n_head, size.n_embd

    def forward(self, x: Tensor) -> Tensor:
        B, T, C = x.size()
        q, k, v = self.c_attn(x).split(self.n_embd, dim=2)
        k = k.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        q = q.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        v = v.view(B, T, self.n_head, C // self.n_head).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        y = y.transpose(1, 2).contiguous().view(B, T, C)
        out: Tensor = self.c_proj(y)
        return out


class MLP(nn.Module):
    """Four times as wide inside."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.c_fc = nn.Linear(size.n_embd, 4 * size.n_embd, bias=size.bias)
        self.gelu = nn.GELU()
        self.c_proj = nn.Linear(4 * size.n_embd, size.n_embd, bias=size.bias)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.c_proj(self.gelu(self.c_fc(x)))
        return out


class Block(nn.Module):
    """Each part behind a norm and beside a residual."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.ln_1 = LayerNorm(size.n_embd, bias=size.bias)
        self.attn = CausalSelfAttention(size)
        self.ln_2 = LayerNorm(size.n_embd, bias=size.bias)
        self.mlp = MLP(size)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(self.ln_1(x))
        out: Tensor = x + self.mlp(self.ln_2(x))
        return out


class NanoGPT(nn.Module):
    """Random weights, normal with deviation 0.02 as GPT-2's."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.size = size
        self.wte = nn.Embedding(size.vocab_size, size.n_embd)
        self.wpe = nn.Embedding(size.block_size, size.n_embd)
        self.h = nn.ModuleList([Block(size) for _ in range(size.n_layer)])
        self.ln_f = LayerNorm(size.n_embd, bias=size.bias)
        self.lm_head = nn.Linear(size.n_embd, size.vocab_size, bias=False)
        self.wte.weight = self.lm_head.weight
        for name, weight in self.named_parameters():
            if weight.dim() > 1:
                deep = math.sqrt(2 * size.n_layer) if name.endswith("c_proj.weight") else 1
                nn.init.normal_(weight, std=0.02 / deep)

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> logits (B, 1, V) of the last position, as without targets."""
        positions = torch.arange(ids.size(1), dtype=torch.long, device=ids.device)
        x = self.wte(ids) + self.wpe(positions)
        for block in self.h:
            x = block(x)
        logits: Tensor = self.lm_head(self.ln_f(x)[:, [-1], :])
        return logits

    @torch.no_grad()
    def generate(
        self, ids: Tensor, max_new_tokens: int, temperature: float = 1.0, top_k: int | None = None
    ) -> Tensor:
        """ids (B, T) -> (B, T + max_new_tokens): the whole window is read for each token."""
        block_size = self.size.block_size
        for _ in range(max_new_tokens):
            cropped = ids if ids.size(1) <= block_size else ids[:, -block_size:]
            logits = self(cropped)[:, -1, :] / temperature
            if top_k is not None:
                best, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                logits[logits < best[:, [-1]]] = -float("inf")
            probabilities = F.softmax(logits, dim=-1)
            following = torch.multinomial(probabilities, num_samples=1)
            ids = torch.cat((ids, following), dim=1)
        return ids


def sample(model: NanoGPT, ids: list[int], max_new_tokens: int) -> list[int]:
    """What `sample.py` writes after `ids`, by its own defaults."""
    with torch.no_grad():
        x = torch.tensor(ids, dtype=torch.long)[None, ...]
        y = model.generate(x, max_new_tokens, temperature=TEMPERATURE, top_k=TOP_K)
        written: list[int] = y[0].tolist()
    return written


def compiled_window(model: NanoGPT) -> Callable[[int], Tensor]:
    """Writes that many tokens by one compiled graph: a full window in, the next id drawn.

    What torch's compiler gives someone who fixes the window's length, so there is no context to
    grow into. It draws by the smallest of exponential waits, as a compiler has no multinomial.
    """

    @torch.compile(fullgraph=True, dynamic=False)
    def step(window: Tensor) -> Tensor:
        logits = model(window)[:, -1, :]
        probabilities = F.softmax(logits, dim=-1)
        waits = torch.empty_like(probabilities).exponential_(1)
        following = (probabilities / waits).argmax(-1, keepdim=True)
        return torch.cat((window[:, 1:], following), dim=1)

    @torch.no_grad()
    def write(tokens: int) -> Tensor:
        window = torch.zeros(1, model.size.block_size, dtype=torch.long)
        for _ in range(tokens):
            window = step(window)
        return window

    return write
