"""The tuning exercise's own way of training and of writing, as its lecture teaches it.

The peer of `train.py` and of `generation.py`.

Every head is a module of its own with three bias-free projections and a registered triangular
mask; batches are slices at random offsets, stacked; AdamW is built as it comes; the loss is
estimated every 100 iterations over 200 random batches of each split. It is written plainly, with
nothing added to make it slow and nothing to make it fast.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_SIZE = 16
BLOCK_SIZE = 32
MAX_ITERS = 5000
EVAL_INTERVAL = 100
EVAL_ITERS = 200
LEARNING_RATE = 1e-3
N_EMBD = 64
N_HEAD = 4
N_LAYER = 4


class Head(nn.Module):
    """One head of causal self-attention: (B, T, C) -> (B, T, head_size)."""

    tril: Tensor

    def __init__(self, head_size: int, scaled_by: int) -> None:
        super().__init__()
        self.scale = scaled_by**-0.5
        self.key = nn.Linear(N_EMBD, head_size, bias=False)
        self.query = nn.Linear(N_EMBD, head_size, bias=False)
        self.value = nn.Linear(N_EMBD, head_size, bias=False)
        self.register_buffer("tril", torch.tril(torch.ones(BLOCK_SIZE, BLOCK_SIZE)))

    def forward(self, x: Tensor) -> Tensor:
        T = x.shape[1]
        k = self.key(x)
        q = self.query(x)
        weights = q @ k.transpose(-2, -1) * self.scale
        weights = weights.masked_fill(self.tril[:T, :T] == 0, float("-inf"))
        weights = F.softmax(weights, dim=-1)
        out: Tensor = weights @ self.value(x)
        return out


class MultiHeadAttention(nn.Module):
    """Several heads side by side, concatenated and projected."""

    def __init__(self, scaled_by: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList([Head(N_EMBD // N_HEAD, scaled_by) for _ in range(N_HEAD)])
        self.proj = nn.Linear(N_EMBD, N_EMBD)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.proj(torch.cat([head(x) for head in self.heads], dim=-1))
        return out


class Block(nn.Module):
    """Communication, then computation, each behind a LayerNorm and beside a residual."""

    def __init__(self, scaled_by: int) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(scaled_by)
        self.feed_forward = nn.Sequential(
            nn.Linear(N_EMBD, 4 * N_EMBD), nn.ReLU(), nn.Linear(4 * N_EMBD, N_EMBD)
        )
        self.ln1 = nn.LayerNorm(N_EMBD)
        self.ln2 = nn.LayerNorm(N_EMBD)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.ln1(x))
        out: Tensor = x + self.feed_forward(self.ln2(x))
        return out


class LanguageModel(nn.Module):
    """The exercise's decoder-only transformer, 0.209729 M parameters on 65 characters."""

    def __init__(self, vocab_size: int, scaled_by: int) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(vocab_size, N_EMBD)
        self.position_embedding = nn.Embedding(BLOCK_SIZE, N_EMBD)
        self.blocks = nn.Sequential(*[Block(scaled_by) for _ in range(N_LAYER)])
        self.ln_f = nn.LayerNorm(N_EMBD)
        self.lm_head = nn.Linear(N_EMBD, vocab_size)

    def forward(self, ids: Tensor, targets: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        B, T = ids.shape
        x = self.token_embedding(ids) + self.position_embedding(torch.arange(T))
        logits = self.lm_head(self.ln_f(self.blocks(x)))
        if targets is None:
            return logits, None
        B, T, V = logits.shape
        loss = F.cross_entropy(logits.view(B * T, V), targets.view(B * T))
        return logits, loss

    @torch.no_grad()
    def generate(self, ids: Tensor, max_new_tokens: int) -> Tensor:
        """ids (B, T) -> (B, T + max_new_tokens): the whole window is read for each character."""
        for _ in range(max_new_tokens):
            logits, _ = self(ids[:, -BLOCK_SIZE:])
            probabilities = F.softmax(logits[:, -1, :], dim=-1)
            ids = torch.cat((ids, torch.multinomial(probabilities, num_samples=1)), dim=1)
        return ids


class Exercise:
    """The exercise's script as an object, so that a bench can time its parts.

    Attention scores are divided by the square root of `scaled_by`, properly the size of a head.
    """

    def __init__(self, text: str, seed: int = 1337, scaled_by: int = N_EMBD // N_HEAD) -> None:
        torch.manual_seed(seed)
        characters = sorted(set(text))
        to_id = {character: i for i, character in enumerate(characters)}
        data = torch.tensor([to_id[character] for character in text], dtype=torch.long)
        n = int(0.9 * len(data))
        self.splits = {"train": data[:n], "val": data[n:]}
        self.model = LanguageModel(len(characters), scaled_by)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=LEARNING_RATE)

    def get_batch(self, split: str) -> tuple[Tensor, Tensor]:
        """Ids and targets (B, T) at random offsets of a split."""
        data = self.splits[split]
        offsets = torch.randint(len(data) - BLOCK_SIZE, (BATCH_SIZE,))
        x = torch.stack([data[i : i + BLOCK_SIZE] for i in offsets])
        y = torch.stack([data[i + 1 : i + BLOCK_SIZE + 1] for i in offsets])
        return x, y

    @torch.no_grad()
    def estimate_loss(self) -> dict[str, float]:
        """The mean loss in nats over `EVAL_ITERS` random batches of each split."""
        out = {}
        self.model.eval()
        for split in ("train", "val"):
            losses = torch.zeros(EVAL_ITERS)
            for k in range(EVAL_ITERS):
                x, y = self.get_batch(split)
                _, loss = self.model(x, y)
                losses[k] = loss.item()
            out[split] = losses.mean().item()
        self.model.train()
        return out

    def step(self) -> None:
        """One iteration: a batch, forward, backward, AdamW."""
        x, y = self.get_batch("train")
        _, loss = self.model(x, y)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()

    def train(self, max_iters: int = MAX_ITERS) -> list[dict[str, float]]:
        """The whole script: an estimate every `EVAL_INTERVAL` iterations and at the last."""
        estimates = []
        for iteration in range(max_iters):
            if iteration % EVAL_INTERVAL == 0 or iteration == max_iters - 1:
                estimates.append(self.estimate_loss())
            self.step()
        return estimates
