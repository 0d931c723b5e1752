"""The model's attention written out number by number, in float64 and without torch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.special

from model.gpt import GPT

Numbers = dict[str, np.ndarray]


@dataclass(frozen=True)
class SlowHead:
    """What one head does with T tokens."""

    weights: np.ndarray  # (T, T)
    values: np.ndarray  # (T, D)
    written: np.ndarray  # (T, C): what each value would add to the residual stream


def slow_attention(model: GPT, ids: Sequence[int]) -> list[list[SlowHead]]:
    """Every head of every layer."""
    config, found = model.config, []
    w = {name: tensor.double().numpy() for name, tensor in model.state_dict().items()}
    x = w["wte.weight"][list(ids)]
    if config.position == "learned":
        x = x + w["wpe.weight"][: len(ids)]
    for layer in range(config.n_layer):
        name = f"blocks.{layer}"
        heads = _heads(model, w, f"{name}.attn", _norm(w, f"{name}.norm_1", x))
        found.append(heads)
        x = x + sum(head.weights @ head.written for head in heads)
        x = x + w.get(f"{name}.attn.proj.bias", 0)
        hidden = _linear(w, f"{name}.mlp.fc", _norm(w, f"{name}.norm_2", x))
        x = x + _linear(w, f"{name}.mlp.proj", _activated(config.activation, hidden))
    return found


def _heads(model: GPT, w: Numbers, name: str, x: np.ndarray) -> list[SlowHead]:
    config = model.config
    qkv = _linear(w, f"{name}.qkv", x)
    if config.qkv_conv:
        before = qkv.copy()
        for t in range(len(x)):
            for distance in range(1, min(config.qkv_conv, t) + 1):
                qkv[t] += w[f"{name}.conv.weight"][distance - 1] * before[t - distance]
    C, D = config.n_embd, config.n_embd // config.n_head
    heads = []
    for head in range(config.n_head):
        mine = slice(head * D, (head + 1) * D)
        q, k, v = qkv[:, :C][:, mine], qkv[:, C : 2 * C][:, mine], qkv[:, 2 * C :][:, mine]
        if config.qk_norm:
            q, k = _rms_normed(q), _rms_normed(k)
        if config.qk_gain:
            q = q * w[f"{name}.gain"][head].item()
        if config.position == "rotary":
            q, k = _turned(q, config.rope_base), _turned(k, config.rope_base)
        written = v @ w[f"{name}.proj.weight"][:, mine].T
        heads.append(SlowHead(_softmax_of_earlier(q, k, config.attention_window), v, written))
    return heads


def _softmax_of_earlier(q: np.ndarray, k: np.ndarray, window: int | None) -> np.ndarray:
    weights = np.zeros((len(q), len(q)))
    for i in range(len(q)):
        first = 0 if window is None else max(0, i + 1 - window)
        scores = [q[i] @ k[j] / np.sqrt(q.shape[1]) for j in range(first, i + 1)]
        weights[i, first : i + 1] = np.exp(scores) / np.exp(scores).sum()
    return weights


def _turned(x: np.ndarray, base: float) -> np.ndarray:
    """Channel c and its partner c + D/2 are one point in the plane, turned by its position."""
    half = x.shape[1] // 2
    turned = np.empty_like(x)
    for t in range(len(x)):
        for c in range(half):
            point = complex(x[t, c], x[t, c + half]) * np.exp(1j * t * base ** (-c / half))
            turned[t, c], turned[t, c + half] = point.real, point.imag
    return turned


def _linear(w: Numbers, name: str, x: np.ndarray) -> np.ndarray:
    return x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", 0)


def _norm(w: Numbers, name: str, x: np.ndarray) -> np.ndarray:
    if f"{name}.weight" not in w:
        return _rms_normed(x)
    centred = x - x.mean(-1, keepdims=True)
    spread = np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    return centred / spread * w[f"{name}.weight"] + w[f"{name}.bias"]


def _rms_normed(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(-1, keepdims=True))


def _activated(activation: str, x: np.ndarray) -> np.ndarray:
    if activation == "gelu":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    if activation == "gelu_erf":
        return 0.5 * x * (1 + scipy.special.erf(x / np.sqrt(2)))
    if activation == "swiglu":
        gate, value = np.split(x, 2, axis=-1)
        return gate / (1 + np.exp(-gate)) * value
    return np.maximum(x, 0) ** {"relu": 1, "relu2": 2}[activation]
