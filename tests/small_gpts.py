"""Small transformers of several designs, with every parameter away from its initial value."""

import pytest
import torch

from model.config import GPTConfig
from model.gpt import GPT
from model.kv_cache import PlacedCache

PLAIN = GPTConfig(vocab_size=11, block_size=12, n_layer=3, n_head=2, n_embd=8)
TODAY = PLAIN.model_copy(
    update={
        "position": "rotary",
        "norm": "rmsnorm",
        "qk_norm": True,
        "qk_gain": True,
        "qkv_conv": 2,
        "activation": "relu2",
        "bias": False,
        "head_bias": False,
    }
)
DESIGNS = {
    "plain": PLAIN,
    "today": TODAY,
    "gpt2": PLAIN.model_copy(
        update={"activation": "gelu", "qkv_bias": True, "head_bias": False, "tie_weights": True}
    ),
    "mixed": TODAY.model_copy(
        update={"norm": "layernorm", "activation": "swiglu", "head_bias": True, "n_head": 4}
    ),
    "window": TODAY.model_copy(update={"attention_window": 4}),
}
every_design = pytest.mark.parametrize("config", DESIGNS.values(), ids=list(DESIGNS))


def random_gpt(config: GPTConfig, seed: int = 0) -> GPT:
    """In double precision, so that what should be equal is so to ten digits."""
    torch.manual_seed(seed)
    model = GPT(config).double().eval().requires_grad_(requires_grad=False)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    return model


def random_ids(config: GPTConfig, length: int, seed: int = 1) -> list[int]:
    generator = torch.Generator().manual_seed(seed)
    ids: list[int] = torch.randint(0, config.vocab_size, (length,), generator=generator).tolist()
    return ids


def read_on(model: GPT, ids: torch.Tensor, beginning: int = 1) -> torch.Tensor:
    """ids (B, T) -> logits (B, T, V): `beginning` ids at once, then one by one from a cache."""
    B, T = ids.shape
    cache = PlacedCache(model.config, B, like=model.wte.weight)
    logits = [model(ids[:, :beginning], cache=cache.beginnings(torch.arange(B)))]
    steps = [(ids[:, t : t + 1], torch.full((B,), t)) for t in range(beginning, T)]
    logits += [model(each, cache=cache.following(positions)) for each, positions in steps]
    return torch.cat(logits, dim=1)
