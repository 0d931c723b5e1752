"""The transformer: one decoder-only network that covers the exercise's architecture and today's.

Shapes are written (B, T, C): batch, time, channels. H heads of size D share the C channels.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.config import GPTConfig
from model.kv_cache import Cache, LayerCache
from model.language_model import LanguageModel
from model.sliding_window import sliding_attention
from model.trace import AttentionTrace, Trace


class GPT(LanguageModel):
    """Token (and position) embedding, `n_layer` blocks on one residual stream, logits."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.config: GPTConfig = config
        self.wte = nn.Embedding(config.vocab_size, config.n_embd)
        if config.position == "learned":
            self.wpe = nn.Embedding(config.block_size, config.n_embd)
        else:
            places = torch.arange(config.block_size, device="cpu")  # in an empty model too
            self.register_buffer("rotations", rotations(config, places), persistent=False)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layer))
        self.norm = _norm(config)
        self.lm_head = nn.Linear(config.n_embd, config.vocab_size, bias=config.head_bias)
        self._initialise()
        if config.tie_weights:
            self.lm_head.weight = self.wte.weight

    @property
    def block_size(self) -> int:
        return self.config.block_size

    @property
    def endless(self) -> bool:
        return self.config.attention_window is not None

    @property
    def reach(self) -> int:
        return self.config.reach

    def forward(
        self,
        ids: Tensor,
        trace: Trace | None = None,
        cache: Cache | None = None,
        *,
        last_only: bool = False,
    ) -> Tensor:
        """ids (B, T) -> logits (B, T, vocab_size).

        With `trace`, each block adds its attention and what it leaves on the residual stream, and
        the output is computed from those very numbers. With `cache`, `ids` go on from the positions
        the cache already holds: either all of a sequence's beginning at once, or one id at a time.
        With `last_only`, logits are (B, 1, vocab_size), and the last block does without the rest.
        Raises ValueError for more than `block_size` positions, unless the model is `endless`.
        """
        T = ids.shape[1]
        start = 0 if cache is None else cache.start
        if isinstance(start, int) and start + T > self.block_size and not self.endless:
            raise ValueError(f"{start + T} tokens are more than the context of {self.block_size}")
        x = self.wte(ids)  # (B, T, C)
        rotation = self.rotation(start, T)
        if self.config.position == "learned":
            x = x + _at(self.wpe.weight, start, T)
        if trace is not None:
            trace.stream.append(x)
        for i, block in enumerate(self.blocks):
            is_last = i == self.config.n_layer - 1
            layer = None if cache is None else cache.layers[i]
            x = block(x, rotation, trace, layer, last_only=last_only and is_last)
        logits: Tensor = self.lm_head(self.norm(x))  # (B, T, V)
        return logits

    def rotation(self, start: int | Tensor, count: int) -> Tensor | None:
        """What turns queries and keys at `count` positions from `start` on: (count, D/2, 2).

        If `start` (B,) is each row's own, (B, 1, 1, D/2, 2), for one position. None where learned
        positions do without.
        """
        if self.config.position == "learned":
            return None
        known = self.get_buffer("rotations")
        if isinstance(start, Tensor):
            turned = rotations(self.config, start) if self.endless else known[start]
            return turned[:, None, None].to(known.dtype)
        if start + count <= len(known):
            return known[start : start + count]
        places = torch.arange(start, start + count, device=known.device)
        return rotations(self.config, places).to(known.dtype)

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        if self.config.tie_weights and "wte.weight" in tensors:
            tensors = {**tensors, "lm_head.weight": tensors["wte.weight"]}
        super().load_weights(tensors)
        if self.config.tie_weights:
            self.lm_head.weight = self.wte.weight

    def _initialise(self) -> None:
        """Change torch's initial weights to what the configuration asks for."""
        if self.config.init == "gpt2":
            for module in self.modules():
                if isinstance(module, nn.Linear | nn.Embedding):
                    nn.init.normal_(module.weight, std=0.02)
                if isinstance(module, nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
            for projection in self._output_projections():
                nn.init.normal_(projection.weight, std=0.02 / math.sqrt(2 * self.config.n_layer))
        if self.config.zero_init:
            heads = [] if self.config.tie_weights else [self.lm_head]
            for projection in self._output_projections() + heads:
                nn.init.zeros_(projection.weight)
                if projection.bias is not None:
                    nn.init.zeros_(projection.bias)

    def _output_projections(self) -> list[nn.Linear]:
        """The layers that write to the residual stream."""
        return [p for b in self.blocks if isinstance(b, Block) for p in (b.attn.proj, b.mlp.proj)]


class Block(nn.Module):
    """Attention, then a feed-forward layer, each on a normalised copy of the residual stream."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.norm_1 = _norm(config)
        self.attn = CausalSelfAttention(config)
        self.norm_2 = _norm(config)
        self.mlp = MLP(config)

    def forward(
        self,
        x: Tensor,
        rotation: Tensor | None,
        trace: Trace | None,
        cache: LayerCache | None,
        *,
        last_only: bool = False,
    ) -> Tensor:
        mixed = self.attn(self.norm_1(x), rotation, trace, cache, last_only=last_only)
        after_attention = (x[:, -1:] if last_only else x) + mixed
        after_mlp: Tensor = after_attention + self.mlp(self.norm_2(after_attention))
        if trace is not None:
            trace.stream += [after_attention, after_mlp]
        return after_mlp


class CausalSelfAttention(nn.Module):
    """Every position mixes the values of itself and those before it (Vaswani et al. 2017)."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        self.n_head = config.n_head
        self.qk_norm = config.qk_norm
        self.dropout = config.dropout
        self.window = config.attention_window
        self.qkv = nn.Linear(config.n_embd, 3 * config.n_embd, bias=config.qkv_bias)
        self.conv = CausalConv(3 * config.n_embd, config.qkv_conv) if config.qkv_conv else None
        self.gain = nn.Parameter(torch.ones(config.n_head, 1, 1)) if config.qk_gain else None
        self.proj = nn.Linear(config.n_embd, config.n_embd, bias=config.bias)
        self.drop = nn.Dropout(config.dropout)

    def forward(
        self,
        x: Tensor,
        rotation: Tensor | None,
        trace: Trace | None,
        cache: LayerCache | None,
        *,
        last_only: bool = False,
    ) -> Tensor:
        B, T, C = x.shape
        qkv = self.qkv(x)
        if self.conv is not None:
            qkv = self.conv(qkv, cache)
        q, k, v = qkv.view(B, T, 3, self.n_head, -1).permute(2, 0, 3, 1, 4)  # (B, H, T, D)
        if self.qk_norm:
            q, k = F.rms_norm(q, q.shape[-1:]), F.rms_norm(k, k.shape[-1:])
        if self.gain is not None:
            q = q * self.gain  # Henry et al. 2020: normalised scores are bounded
        if rotation is not None:
            q, k = _rotate(q, rotation), _rotate(k, rotation)
        if cache is not None:
            k, v = cache.extend(k, v)
        if last_only:
            q, T = q[:, :, -1:], 1
            if self.window is not None:
                k, v = k[:, :, -self.window :], v[:, :, -self.window :]
        if trace is None:
            dropout = self.dropout if self.training else 0.0
            if self.window is None or self.window >= T:
                mask = None if cache is None else cache.mask
                y = F.scaled_dot_product_attention(q, k, v, mask, dropout, is_causal=T > 1)
            else:
                y = sliding_attention(q, k, v, self.window, dropout)
        else:
            weights = attention_weights(q, k, self.window)
            y = weights @ v
            trace.attention.append(AttentionTrace(q, k, v, weights, y, self.window))
        projected: Tensor = self.drop(self.proj(y.transpose(1, 2).reshape(B, T, C)))
        return projected


class CausalConv(nn.Module):
    """Each channel adds a learned mixture of its values at `size` earlier positions.

    As after the projections of Primer (So et al. 2021). It is the identity before training.
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(size, channels))  # the nearest position first

    def forward(self, x: Tensor, cache: LayerCache | None) -> Tensor:
        """(B, T, channels) -> the same; before the first position there are zeros."""
        size, T = len(self.weight), x.shape[1]
        padded = F.pad(x, (0, 0, size, 0)) if cache is None else cache.with_earlier(x, size)
        for distance in range(1, size + 1):
            x = x + self.weight[distance - 1] * padded[:, size - distance :][:, :T]
        return x


def attention_weights(q: Tensor, k: Tensor, window: int | None = None) -> Tensor:
    """q and k (B, H, T, D) -> softmax of the scaled, masked scores (B, H, T, T).

    Masked are later keys, and those that are `window` or more positions before the query.
    """
    B, H, T, D = q.shape
    never = torch.full((T, T), -torch.inf, dtype=q.dtype, device=q.device)
    mask = never.triu(1)
    if window is not None and window < T:
        mask += never.tril(-window)
    # One step, as three of this size take longer to find memory for than to compute.
    scores = torch.baddbmm(
        mask, q.flatten(0, 1), k.flatten(0, 1).transpose(1, 2), alpha=1 / math.sqrt(D)
    )
    return scores.softmax(-1).view(B, H, T, T)


class MLP(nn.Module):
    """Two linear layers with a nonlinearity between them, on each position alone."""

    def __init__(self, config: GPTConfig) -> None:
        super().__init__()
        width = round(config.mlp_ratio * config.n_embd)
        self.activation = config.activation
        gate = 2 if config.activation == "swiglu" else 1
        self.fc = nn.Linear(config.n_embd, gate * width, bias=config.bias)
        self.proj = nn.Linear(width, config.n_embd, bias=config.bias)
        self.drop = nn.Dropout(config.dropout)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.drop(self.proj(self._activate(self.fc(x))))
        return y

    def _activate(self, x: Tensor) -> Tensor:
        match self.activation:
            case "relu":
                return F.relu(x)
            case "gelu":
                return F.gelu(x, approximate="tanh")
            case "gelu_erf":
                return F.gelu(x)
            case "relu2":
                return F.relu(x).square()  # So et al. 2021, Primer
            case "swiglu":
                gate, value = x.chunk(2, dim=-1)  # Shazeer 2020
                return F.silu(gate) * value
            case unknown:
                raise ValueError(f"unknown activation {unknown!r}")


class RMSNorm(nn.Module):
    """Scale each vector to root mean square 1 (Zhang and Sennrich 2019), with nothing learned."""

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:])


def _at(table: Tensor, start: int | Tensor, count: int) -> Tensor:
    """Rows (count, C) of `table` from `start` on; (B, 1, C), one each, if that is (B,)."""
    return table[start : start + count] if isinstance(start, int) else table[start][:, None]


def _norm(config: GPTConfig) -> nn.Module:
    return nn.LayerNorm(config.n_embd) if config.norm == "layernorm" else RMSNorm()


def rotations(config: GPTConfig, places: Tensor) -> Tensor:
    """Cosine and sine of the angles at positions `places` (...): float32 (..., D/2, 2).

    Angles are float64: in float32 those of a far position would be off by more and more.
    """
    D = config.n_embd // config.n_head
    # Apple's GPUs know no double precision.
    exact = places.cpu() if places.device.type == "mps" else places
    exponents = torch.arange(0, D, 2, dtype=torch.float64, device=exact.device) / D
    angles = exact[..., None] * config.rope_base**-exponents
    return torch.stack((angles.cos(), angles.sin()), dim=-1).float().to(places.device)


def _rotate(x: Tensor, rotation: Tensor) -> Tensor:
    """Turn pairs of channels of x (B, H, T, D) by position (Su et al. 2021, RoFormer)."""
    cos, sin = rotation.unbind(-1)  # (T, D/2)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, a * sin + b * cos), dim=-1)
