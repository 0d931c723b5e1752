"""How much memory a training run needs, told from its configuration before anything is built.

An estimate: it counts the tensors that are there together at the worst moment, when a backward
pass begins while the recorder evaluates its copy of the weights and writes the state down. What
torch itself takes (some hundred megabytes, more with a GPU's context) comes on top.
"""

from collections import Counter
from dataclasses import dataclass, fields

from model.config import BigramConfig, GPTConfig, ModelConfig, NGramConfig, TrainConfig
from model.evaluation import tokens_at_once
from model.parameter_count import (
    block_matrices,
    feed_forward_width,
    one_block,
    parameter_count,
    position_table,
    token_tables,
)
from model.sliding_window import is_blockwise

FLOAT = 4  # bytes
INTEGER = 8


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes by what they are for."""

    largest_field: str  # the one to lower first; "corpus" stands for a shorter text
    ids: int  # of the corpus and of the batch
    weights: int
    gradients: int
    optimizer: int
    recorder: int  # its copy of the weights
    state: int  # weights and optimizer on their way to the disk
    activations: int  # of one part of the batch, kept for the backward pass
    logits: int  # of that part with the loss, and of the windows that are evaluated
    evaluation: int  # what else the recorder works out

    @property
    def total(self) -> int:
        values = (getattr(self, field.name) for field in fields(self))
        return sum(value for value in values if isinstance(value, int))


def training_memory(
    model: ModelConfig, train: TrainConfig, tokens: int, device: str = "cpu"
) -> TrainingMemory:
    """What training takes on a text of `tokens` tokens; `device` is `cpu`, `cuda` or `mps`."""
    if isinstance(model, NGramConfig):
        return _counting(model, train, tokens)
    window = train.window or (model.block_size if isinstance(model, GPTConfig) else 1)
    part = train.batch_size // train.grad_accum * window  # in tokens
    evaluated = max(window, tokens_at_once(device, model.vocab_size))
    weights = FLOAT * parameter_count(model)
    optimizer = 2 * weights  # AdamW's means of each gradient and of its square
    activations = evaluation = 0
    if isinstance(model, GPTConfig):
        if train.optimizer == "muon":  # a mean less for the matrices in the blocks
            optimizer -= FLOAT * model.n_layer * block_matrices(model)
        activations = _activations(model, train, part, window, device)
        evaluation = evaluated * _kept_by_block(model, FLOAT) + _cache(model)
    # In training the logits, their softmax and its gradient; otherwise the first two.
    logits = FLOAT * model.vocab_size * (3 * part + 2 * evaluated)
    state = 0 if device == "cuda" else 2 * (weights + optimizer)  # a copy, and a file of it
    ids = INTEGER * tokens + _places(train.batch_size * window)
    by_field = Counter({"corpus": ids})
    by_field[_batch_field(train)] += activations
    by_field[_batch_field(train) if part > evaluated else "model.vocab_size"] += logits
    for field, count in _parameters_by_field(model).items():
        by_field[field] += count * (3 * weights + optimizer + state) // parameter_count(model)
    return TrainingMemory(
        largest_field=by_field.most_common(1)[0][0],
        ids=ids,
        weights=weights,
        gradients=weights,
        optimizer=optimizer,
        recorder=weights,
        state=state,
        activations=activations,
        logits=logits,
        evaluation=evaluation,
    )


def _activations(model: GPTConfig, train: TrainConfig, part: int, window: int, device: str) -> int:
    """What the backward pass over `part` tokens, `window` in a row, needs of the forward pass."""
    C, H = model.n_embd, model.n_head
    number = FLOAT if train.precision == "float32" else 2
    block = _kept_by_block(model, number)
    if model.dropout:
        block += 2 * C * number  # which numbers were dropped
    seen = min(model.attention_window or window, window)
    is_masked, is_cut = seen < window, is_blockwise(window, seen)
    queries, keys = (seen, 2 * seen) if is_cut else (window, window)  # worked out together
    if is_cut:
        block += 4 * C * number  # keys and values, each in two blocks
    if _keeps_maps(model, device):
        block += 3 * FLOAT * H * keys  # softmax, what was dropped of it, the rest
    kept = part * (model.n_layer * block + C * (FLOAT + number))
    if is_masked:
        kept += number * model.n_layer * queries * keys
    if train.precision == "bfloat16":  # a rounded copy of each matrix
        kept += number * (model.n_layer * block_matrices(model) + model.vocab_size * C)
    return kept


def _kept_by_block(model: GPTConfig, number: int) -> int:
    """Bytes of one token in one block, without dropout; what matrices give has `number` bytes."""
    C, H, W = model.n_embd, model.n_head, feed_forward_width(model)
    vectors = 2 + 3 + 1  # normalised for either layer; query, key and value; what attention gives
    if model.position == "rotary" or model.qk_norm:
        vectors += 2  # query and key, changed
    if model.qk_gain:
        vectors += 1
    if model.qkv_conv:
        vectors += 3  # query, key and value before
    match model.activation:
        case "relu":
            hidden = 1
        case "gelu" | "gelu_erf" | "relu2":
            hidden = 2  # before and after
        case "swiglu":
            hidden = 4  # gate and value, the gate's silu, the product
    exact = 2 * C + 4 + 2 * H  # the residual stream twice; means and sums: never rounded
    if model.qk_norm and number < FLOAT:
        exact += 2 * C  # query and key before they are rounded
    return (vectors * C + hidden * W) * number + exact * FLOAT


def _keeps_maps(model: GPTConfig, device: str) -> bool:
    """Whether torch keeps the (T, T) maps of attention; its fast kernels work them out again."""
    return device == "mps" or (device == "cpu" and model.dropout > 0)


def _cache(model: GPTConfig) -> int:
    """Keys and values while a sample is written."""
    positions = model.attention_window or model.block_size
    return FLOAT * 2 * model.n_layer * positions * model.n_embd


def _places(tokens: int) -> int:
    """For taking `tokens` tokens out of the corpus: they, the next ones, and where both are."""
    return 4 * INTEGER * tokens


def _batch_field(train: TrainConfig) -> str:
    """What makes a part of the batch smaller: fewer windows, or a shorter one where it is one."""
    if train.batch_size > train.grad_accum:
        return "train.batch_size"
    return "model.block_size" if train.window is None else "train.window"


def _parameters_by_field(model: GPTConfig | BigramConfig) -> dict[str, int]:
    if isinstance(model, BigramConfig):
        return {"model.vocab_size": parameter_count(model)}
    return {
        "model.n_embd": model.n_layer * one_block(model),
        "model.vocab_size": token_tables(model),
        "model.block_size": position_table(model),
    }


def _counting(model: NGramConfig, train: TrainConfig, tokens: int) -> TrainingMemory:
    """An n-gram model has a key and a count of each different sequence; the recorder shares it."""
    counted = sum(min(tokens, model.vocab_size**n) for n in range(1, model.order + 1))
    weights = (INTEGER + FLOAT) * counted
    sorting = INTEGER * (model.order + 4) * tokens  # sequences as digits, as keys, and their order
    evaluated = max(train.window or 1, tokens_at_once("cpu", model.vocab_size))
    logits = 6 * INTEGER * evaluated * model.vocab_size  # counts and shares of every next token
    fewer = "model.order" if model.order > 1 else "corpus"
    return TrainingMemory(
        largest_field="model.vocab_size" if logits > weights + sorting else fewer,
        ids=INTEGER * tokens,
        weights=weights,
        gradients=0,
        optimizer=0,
        recorder=0,
        state=0,
        activations=sorting,
        logits=logits,
        evaluation=0,
    )
