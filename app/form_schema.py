"""What a form needs to offer every hyperparameter: the schemas of the configurations, in groups."""

from typing import Any

from pydantic import BaseModel, Field

from model.config import BigramConfig, GPTConfig, NGramConfig, TrainConfig

GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Size",
        ("model.n_layer", "model.n_head", "model.n_embd", "model.block_size", "model.order"),
    ),
    (
        "Length",
        ("train.max_iters", "train.batch_size", "train.window", "train.grad_accum"),
    ),
    (
        "Learning rate",
        (
            "train.optimizer",
            "train.learning_rate",
            "train.muon_learning_rate",
            "train.schedule",
            "train.warmup_iters",
            "train.decay_fraction",
            "train.final_lr_ratio",
        ),
    ),
    (
        "Attention",
        (
            "model.position",
            "model.rope_base",
            "model.attention_window",
            "model.qk_norm",
            "model.qk_gain",
            "model.qkv_conv",
            "model.qkv_bias",
        ),
    ),
    (
        "Blocks",
        (
            "model.activation",
            "model.mlp_ratio",
            "model.norm",
            "model.bias",
            "model.head_bias",
            "model.tie_weights",
        ),
    ),
    (
        "Against overfitting",
        ("model.dropout", "train.weight_decay", "train.patience", "train.weights"),
    ),
    (
        "Gradients",
        ("train.beta1", "train.beta2", "train.grad_clip"),
    ),
    (
        "Start",
        ("model.init", "model.zero_init", "train.seed"),
    ),
    (
        "Watching",
        ("train.eval_interval", "train.eval_iters", "train.snapshots"),
    ),
    (
        "Computing",
        ("train.precision", "train.compile"),
    ),
)


class FieldGroup(BaseModel):
    """Fields that belong together."""

    title: str
    fields: list[str] = Field(description="As `model.n_layer` or `train.batch_size`.")


class FormSchema(BaseModel):
    """A JSON schema for each part of a configuration, and the order to offer the fields in.

    Not in a group: `kind`, which the schema in use says, and `vocab_size`, which the text decides
    unless its tokens are byte pairs.
    """

    model: dict[str, Any] = Field(description="JSON schema of a GPT.")
    bigram: dict[str, Any] = Field(description="JSON schema of a bigram model.")
    ngram: dict[str, Any] = Field(description="JSON schema of an n-gram model.")
    train: dict[str, Any] = Field(description="JSON schema of the training.")
    groups: list[FieldGroup] = Field(description="The most important ones first.")


def form_schema() -> FormSchema:
    return FormSchema(
        model=GPTConfig.model_json_schema(),
        bigram=BigramConfig.model_json_schema(),
        ngram=NGramConfig.model_json_schema(),
        train=TrainConfig.model_json_schema(),
        groups=[FieldGroup(title=title, fields=list(fields)) for title, fields in GROUPS],
    )
