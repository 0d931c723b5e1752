"""The named runs: the tuning exercise's, the two simplest language models, and a modern recipe."""

from dataclasses import dataclass

from model.config import BigramConfig, GPTConfig, NGramConfig, TrainConfig


@dataclass(frozen=True)
class Preset:
    """Everything about a run but its corpus; the models are sized for 65 characters."""

    id: str
    title: str
    model: GPTConfig | BigramConfig | NGramConfig
    train: TrainConfig
    hypothesis: str = ""


_MODERN_GPT = GPTConfig(
    block_size=64,
    position="rotary",
    rope_base=1000,
    norm="rmsnorm",
    qk_norm=True,
    qk_gain=True,
    qkv_conv=3,
    activation="relu2",
    bias=False,
    head_bias=False,
    zero_init=True,
)

_ALL = (
    Preset(
        "bigram",
        "Bigram",
        BigramConfig(),
        TrainConfig(window=32, learning_rate=1e-2),
        "Knowing only the current character, it can learn which letters follow which, not words.",
    ),
    Preset(
        "ngram",
        "5-gram counts",
        NGramConfig(order=5),
        TrainConfig(max_iters=1, window=32),
        "Counting sequences of five characters gives most short words; it cannot generalise.",
    ),
    Preset("baseline", "Baseline", GPTConfig(), TrainConfig()),
    Preset(
        "case-1",
        "Twice the iterations",
        GPTConfig(),
        TrainConfig(max_iters=10_000),
        "More chances to learn; at the risk of overfitting, and for twice the time.",
    ),
    Preset(
        "case-2",
        "Twice the context",
        GPTConfig(block_size=64),
        TrainConfig(),
        "A longer context shows longer dependencies; it costs more memory and compute.",
    ),
    Preset(
        "case-3",
        "Twice the heads",
        GPTConfig(n_head=8),
        TrainConfig(),
        "More heads give more varied representations; they may overfit.",
    ),
    Preset(
        "modern",
        "Modern recipe",
        _MODERN_GPT,
        TrainConfig(
            batch_size=8,
            optimizer="muon",
            learning_rate=1e-2,
            beta2=0.95,
            weight_decay=0.0,
            schedule="linear",
        ),
        "Rotary positions, normalised queries and keys, ReLU² and Muon with a decaying learning "
        "rate get more out of the same parameters and the same number of training tokens.",
    ),
)

PRESETS = {preset.id: preset for preset in _ALL}
