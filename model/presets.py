"""The named runs: the tuning exercise's, the two simplest language models, and a modern recipe."""

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig, RunPlan, TrainConfig

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
_MODERN_TRAINING = TrainConfig(
    batch_size=8,
    optimizer="muon",
    learning_rate=1e-2,
    beta2=0.95,
    weight_decay=0.0,
    schedule="linear",
)


def _preset(
    id: str, title: str, model: ModelConfig, train: TrainConfig, hypothesis: str = ""
) -> RunPlan:
    return RunPlan(id=id, title=title, model=model, train=train, hypothesis=hypothesis)


_ALL = (
    _preset(
        "bigram",
        "Bigram",
        BigramConfig(),
        TrainConfig(window=32, learning_rate=1e-2),
        "Knowing only the current character, it can learn which letters follow which, not words.",
    ),
    _preset(
        "ngram",
        "5-gram counts",
        NGramConfig(order=5),
        TrainConfig(max_iters=1, window=32),
        "Counting sequences of five characters gives most short words; it cannot generalise.",
    ),
    _preset("baseline", "Baseline", GPTConfig(), TrainConfig()),
    _preset(
        "case-1",
        "Twice the iterations",
        GPTConfig(),
        TrainConfig(max_iters=10_000),
        "More chances to learn; at the risk of overfitting, and for twice the time.",
    ),
    _preset(
        "case-2",
        "Twice the context",
        GPTConfig(block_size=64),
        TrainConfig(),
        "A longer context shows longer dependencies; it costs more memory and compute.",
    ),
    _preset(
        "case-3",
        "Twice the heads",
        GPTConfig(n_head=8),
        TrainConfig(),
        "More heads give more varied representations; they may overfit.",
    ),
    _preset(
        "one-head",
        "One head",
        GPTConfig(n_head=1),
        TrainConfig(),
        "One head of the whole width can look at one kind of place at a time in each layer; four "
        "follow several, so one alone should lose to them, with the same number of parameters.",
    ),
    _preset(
        "modern",
        "Modern recipe",
        _MODERN_GPT,
        _MODERN_TRAINING,
        "Rotary positions, normalised queries and keys, ReLU² and Muon with a decaying learning "
        "rate get more out of the same parameters and the same number of training tokens.",
    ),
    _preset(
        "endless",
        "Text without end",
        GPTConfig.model_validate(_MODERN_GPT.model_dump() | {"attention_window": 32}),
        _MODERN_TRAINING,
        "Heads that see 32 characters each lose little, as every layer reaches further back; and "
        "the text can go on for ever without a window to read anew.",
    ),
    _preset(
        "baby",
        "Baby GPT",
        GPTConfig(
            block_size=256,
            n_layer=6,
            n_head=6,
            n_embd=384,
            dropout=0.2,
            activation="gelu",
            bias=False,
            head_bias=False,
            tie_weights=True,
            init="gpt2",
        ),
        TrainConfig(
            batch_size=64,
            learning_rate=1e-3,
            beta2=0.99,
            weight_decay=0.1,
            grad_clip=1.0,
            schedule="cosine",
            warmup_iters=100,
            final_lr_ratio=0.1,
            eval_interval=250,
            weights="best",
            precision="bfloat16",
            compile=True,
        ),
        "Fifty times the parameters and eight times the context learn whole words and names; "
        "without dropout it would learn the text by heart.",
    ),
)

# The models are sized for 65 characters; a text with more or fewer changes that.
PRESETS = {preset.id: preset for preset in _ALL}
