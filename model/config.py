"""What a run is made from: the model, its training and its corpus, validated once where they enter.

The defaults are the baseline of the tuning exercise: `GPTConfig()` has 209,729 parameters,
`TrainConfig()` trains it for 5,000 iterations of 16 windows of 32 characters.
"""

from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

RUN_ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"

RunId = Annotated[str, Field(pattern=RUN_ID_PATTERN)]
TokenizerKind = Literal["character", "byte", "bpe"]


def fields_disagree(field: str, message: str) -> PydanticCustomError:
    """For a value that only the others show to be wrong; names the field to change."""
    return PydanticCustomError("fields_disagree", "{message}", {"field": field, "message": message})


class _Config(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class GPTConfig(_Config):
    """A decoder-only transformer. Every option beyond the exercise's architecture is off."""

    kind: Literal["gpt"] = "gpt"
    vocab_size: int = Field(
        65,
        ge=2,
        le=1_000_000,
        description="Number of different tokens. The text decides it, but for byte pairs (bpe).",
    )
    block_size: int = Field(
        32, ge=1, le=8192, description="Context length: how many tokens the model sees at once."
    )
    n_layer: int = Field(4, ge=1, le=96, description="Number of transformer blocks.")
    n_head: int = Field(4, ge=1, le=96, description="Attention heads per block.")
    n_embd: int = Field(64, ge=1, le=8192, description="Width of the residual stream.")
    dropout: float = Field(
        0.0, ge=0, lt=1, description="Share of activations dropped while training."
    )
    position: Literal["learned", "rotary"] = Field(
        "learned", description="How a token knows its place: a learned vector, or rotary q and k."
    )
    rope_base: float = Field(
        10_000.0, gt=1, le=1e12, description="Longest rotary wavelength over 2 pi, in tokens."
    )
    attention_window: int | None = Field(
        None,
        ge=1,
        le=8192,
        description="How many tokens a head sees, the current one and those just before it; "
        "all of the context when null. With rotary positions a text then goes on without end.",
    )
    norm: Literal["layernorm", "rmsnorm"] = Field(
        "layernorm", description="LayerNorm with weight and bias, or RMSNorm without either."
    )
    qk_norm: bool = Field(False, description="RMS-normalise queries and keys within each head.")
    qk_gain: bool = Field(
        False, description="Learn how sharply each head attends: a scale of its scores."
    )
    qkv_conv: int = Field(
        0,
        ge=0,
        le=16,
        description="How many earlier positions each query, key and value mixes in by channel.",
    )
    activation: Literal["relu", "gelu", "gelu_erf", "relu2", "swiglu"] = Field(
        "relu",
        description="Nonlinearity of the feed-forward layer; gelu is GPT-2's, by tanh.",
    )
    mlp_ratio: float = Field(
        4.0, gt=0, le=16, description="Width of the feed-forward layer over n_embd."
    )
    bias: bool = Field(
        True, description="Bias in the output projection and the feed-forward layer."
    )
    qkv_bias: bool = Field(False, description="Bias in the query, key and value projections.")
    head_bias: bool = Field(True, description="Bias in the layer that gives the logits.")
    tie_weights: bool = Field(False, description="Share the token embedding with the logits.")
    init: Literal["torch", "gpt2"] = Field(
        "torch", description="Initial weights: torch's defaults, or GPT-2's normal(0, 0.02)."
    )
    zero_init: bool = Field(
        False, description="Start output projections and logits at zero, so each block is identity."
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        if self.n_embd % self.n_head:
            message = f"{self.n_embd} is not divisible by n_head ({self.n_head})"
            raise fields_disagree("n_embd", message)
        if self.position == "rotary" and (self.n_embd // self.n_head) % 2:
            message = "rotary needs an even head size, and n_embd / n_head is odd; use learned"
            raise fields_disagree("position", message)
        if self.tie_weights and self.head_bias:
            raise fields_disagree("head_bias", "must be false when tie_weights is true")
        if self.attention_window is not None:
            self._window_fits(self.attention_window)
        return self

    def _window_fits(self, window: int) -> None:
        if self.position != "rotary":
            message = "needs rotary positions, as learned ones end with the context; use null"
            raise fields_disagree("attention_window", message)
        if window > self.block_size:
            message = f"must be at most block_size ({self.block_size}), or it is never filled"
            raise fields_disagree("attention_window", message)

    @property
    def reach(self) -> int:
        """So many last tokens settle what comes next: nothing before them changes it.

        It is the context; with an attention window what the layers, each handing on what it saw,
        reach back to together, where that is more.
        """
        if self.attention_window is None:
            return self.block_size
        back = self.n_layer * (self.attention_window - 1 + self.qkv_conv)
        return max(self.block_size, 1 + back)


class BigramConfig(_Config):
    """A learned table of next-token logits, one row for each current token."""

    kind: Literal["bigram"] = "bigram"
    vocab_size: int = Field(65, ge=2, le=10_000, description="Number of different tokens.")


class NGramConfig(_Config):
    """Counts of short sequences, interpolated from order 1 up to `order` (Witten and Bell)."""

    kind: Literal["ngram"] = "ngram"
    vocab_size: int = Field(65, ge=2, le=4096, description="Number of different tokens.")
    order: int = Field(
        5, ge=1, le=5, description="Longest counted sequence; the model sees order - 1 tokens."
    )


ModelConfig = Annotated[GPTConfig | BigramConfig | NGramConfig, Field(discriminator="kind")]


class TrainConfig(_Config):
    """How a model is trained."""

    max_iters: int = Field(5000, ge=1, le=10_000_000, description="Optimizer steps.")
    batch_size: int = Field(16, ge=1, le=65_536, description="Windows per step.")
    window: int | None = Field(
        None, ge=1, le=8192, description="Tokens per window; the model's block_size when null."
    )
    grad_accum: int = Field(
        1,
        ge=1,
        le=1024,
        description="Parts that a step's batch is worked out in: less memory, the same result.",
    )
    optimizer: Literal["adamw", "muon"] = Field(
        "adamw", description="AdamW for all, or Muon for the matrices inside the blocks."
    )
    learning_rate: float = Field(1e-3, gt=0, le=10, description="AdamW's peak learning rate.")
    muon_learning_rate: float = Field(0.02, gt=0, le=10, description="Muon's peak learning rate.")
    beta1: float = Field(0.9, ge=0, lt=1, description="AdamW's decay of the mean gradient.")
    beta2: float = Field(0.999, ge=0, lt=1, description="AdamW's decay of the squared gradient.")
    weight_decay: float = Field(0.01, ge=0, le=10, description="Decoupled weight decay.")
    grad_clip: float | None = Field(
        None, gt=0, le=1e12, description="Largest global gradient norm; no clipping when null."
    )
    schedule: Literal["constant", "linear", "cosine", "wsd"] = Field(
        "constant",
        description="Learning rate after the warm-up; wsd holds the peak, then falls linearly.",
    )
    warmup_iters: int = Field(0, ge=0, le=10_000_000, description="Steps of linear warm-up.")
    decay_fraction: float = Field(
        0.5, gt=0, le=1, description="Share of the steps in which wsd falls."
    )
    final_lr_ratio: float = Field(
        0.0, ge=0, le=1, description="Learning rate at the end over its peak."
    )
    eval_interval: int = Field(100, ge=1, le=10_000_000, description="Steps between evaluations.")
    eval_iters: int = Field(
        200,
        ge=0,
        le=100_000,
        description="Random batches per split in the sampled estimate of the loss.",
    )
    snapshots: int = Field(
        10, ge=0, le=1000, description="Snapshots on the way, about even in log steps."
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Stop after this many evaluations without a new lowest validation loss.",
    )
    weights: Literal["last", "best"] = Field(
        "last",
        description="Which weights the finished run has; with best, the last ones are a snapshot.",
    )
    precision: Literal["float32", "bfloat16"] = Field(
        "float32", description="Numbers of the matrix products; the weights stay in float32."
    )
    compile: bool = Field(
        False, description="Compile the network first: a minute or less, then faster steps."
    )
    seed: int = Field(1337, ge=0, lt=2**63, description="Seed of the weights and the batches.")

    @model_validator(mode="after")
    def _steps_fit(self) -> Self:
        if self.batch_size % self.grad_accum:
            message = f"batch_size ({self.batch_size}) is not divisible by {self.grad_accum}"
            raise fields_disagree("grad_accum", message)
        if self.warmup_iters >= self.max_iters > 1:
            raise fields_disagree("warmup_iters", f"must be below max_iters ({self.max_iters})")
        return self


class CorpusInfo(_Config):
    """Which text a run was trained on."""

    name: str
    sha256: str = Field(description="SHA-256 of the UTF-8 text, in hexadecimal.")
    characters: int
    canonical: bool = Field(
        False, description="Whether the text is byte for byte the one its name promises."
    )


class InitFrom(_Config):
    """Another run's weights to start from."""

    run: RunId
    step: int | None = Field(
        None, ge=0, le=2**53 - 1, description="Of this snapshot; the final ones when null."
    )


class ImportedFrom(_Config):
    """Where a run comes from that was not trained here."""

    layout: Literal["nanogpt", "huggingface", "exercise"] = Field(
        description="Whose names and shapes its weights had."
    )
    file: str = Field(description="The name of the file or folder that it was read from.")
    sha256: str = Field(description="SHA-256 of the file with the weights, in hexadecimal.")
    steps: int | None = Field(None, description="Optimizer steps, where the file tells.")
    val_loss: float | None = Field(
        None, description="Its validation loss as its own trainer estimated it, where known."
    )


Note = Annotated[str, Field(max_length=10_000)]
Verdict = Literal["confirmed", "partly", "refuted"]


class _RunBasics(_Config):
    id: RunId
    title: str = Field(max_length=200)
    model: ModelConfig
    tokenizer: TokenizerKind = "character"
    hypothesis: Note = ""
    init_from: InitFrom | None = Field(
        None, description="The run whose weights it starts from; random ones when null."
    )


class RunPlan(_RunBasics):
    """A run to be made, with all of it that does not depend on the text."""

    train: TrainConfig


class RunConfig(_RunBasics):
    """All that a run folder's `config.json` says."""

    format: Literal[1] = 1
    train: TrainConfig | None = Field(description="null where it is not known, as for an import.")
    corpus: CorpusInfo | None = Field(description="null where it is not known, as for an import.")
    imported: ImportedFrom | None = Field(None, description="null for a run trained by Sidelight.")
    params: int = Field(ge=0, description="Trained numbers; for an n-gram model, stored counts.")
    tokens_per_character: float = Field(
        1.0,
        gt=0,
        description="In the validation split; a loss per token times it is per character.",
    )
    outcome: Note = ""
    verdict: Verdict | None = Field(None, description="On the hypothesis; null for none so far.")
    device: str | None = Field(None, description="What it was trained on.")
    software: dict[str, str] = Field(default_factory=dict, description="Versions it was made with.")
    git_commit: str | None = None
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
