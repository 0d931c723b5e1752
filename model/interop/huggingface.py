"""Hugging Face's GPT-2: `config.json`, `model.safetensors`, `tokenizer.json`.

Whatever in its configuration changes the numbers is honoured, or refused by its name.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from model.config import GPTConfig
from model.interop.errors import UnreadableModel
from model.interop.files import CONFIG, WEIGHTS, Files
from model.interop.foreign_model import ForeignModel, as_config, first_problem
from model.interop.foreign_text import shown
from model.interop.gpt2_names import OUTPUT, by_gpt2_name, gpt2_places, is_turned
from model.interop.vocabulary import no_vocabulary, require_fit
from model.interop.weights import Places
from model.tensor_file import TensorFile, UnreadableTensors
from model.tokenizer import Tokenizer

Count = Annotated[int, Field(ge=1, le=10**7)]

EPSILON = 1e-5
CALLED = {"block_size": "n_positions", "mlp_ratio": "n_inner", "dropout": "resid_pdrop"}
ACTIVATIONS = {
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "gelu": "gelu_erf",
    "relu": "relu",
    "relu2": "relu2",
}
SAVE_ONE = 'model.save_pretrained(folder, max_shard_size="100GB") with a recent transformers'


def _ours(value: float) -> float:
    if value != EPSILON:
        raise ValueError(f"the norms here have {EPSILON}")
    return value


class _Settings(BaseModel):
    """What of `config.json` changes the numbers, with transformers' own defaults."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)

    model_type: Literal["gpt2"]
    vocab_size: Count = 50257
    n_positions: Count = 1024
    n_ctx: Count | None = None  # of old files: the same number again
    n_embd: Count = 768
    n_layer: Count = 12
    n_head: Count = 12
    n_inner: Count | None = None
    activation_function: Literal["gelu_new", "gelu_pytorch_tanh", "gelu", "relu", "relu2"] = (
        "gelu_new"
    )
    layer_norm_epsilon: Annotated[float, AfterValidator(_ours)] = EPSILON
    scale_attn_weights: bool = True
    scale_attn_by_inverse_layer_idx: bool = False
    tie_word_embeddings: bool = True
    resid_pdrop: float = 0.1
    attn_pdrop: float = 0.1
    add_cross_attention: Literal[False] = False
    pruned_heads: dict[str, Any] | None = Field(None, max_length=0)
    quantization_config: None = None
    auto_map: None = None  # code of its own
    transformers_version: str | None = None


def read_huggingface(files: Files, config: bytes, vocabulary: Tokenizer | None) -> ForeignModel:
    """What a folder with that `config.json` is; `vocabulary` is what is known of its tokens.

    Raises UnreadableModel, OSError.
    """
    settings = _settings(config)
    _require_weights(files)
    if vocabulary is None:
        raise no_vocabulary(files.name, settings.vocab_size)
    require_fit(vocabulary, settings.vocab_size, CONFIG)
    tensors = _tensors(files.paths[WEIGHTS])
    is_tied = _is_tied(settings, tensors)
    model = _model(settings, vocabulary.vocab_size, is_tied=is_tied)
    if is_tied:
        tensors.pop(OUTPUT, None)
    version = settings.transformers_version
    return ForeignModel(
        layout="huggingface",
        file=WEIGHTS,
        model=model,
        tokenizer=vocabulary,
        tensors=tensors,
        places=_places(settings, model),
        software={"transformers": shown(version)} if version else {},
    )


def _settings(content: bytes) -> _Settings:
    try:
        return _Settings.model_validate_json(content)
    except ValidationError as error:
        raise UnreadableModel(f"{CONFIG}: {first_problem(error)}") from None


def _model(settings: _Settings, tokens: int, *, is_tied: bool) -> GPTConfig:
    if settings.n_ctx not in {None, settings.n_positions}:
        raise UnreadableModel(
            f"{CONFIG}: n_ctx is {settings.n_ctx}, and n_positions {settings.n_positions}; "
            "they must be the same"
        )
    width = settings.n_embd
    same_dropout = settings.resid_pdrop == settings.attn_pdrop
    return as_config(
        GPTConfig,
        {
            "vocab_size": tokens,
            "block_size": settings.n_positions,
            "n_layer": settings.n_layer,
            "n_head": settings.n_head,
            "n_embd": width,
            "dropout": settings.resid_pdrop if same_dropout else 0.0,
            "activation": ACTIVATIONS[settings.activation_function],
            "mlp_ratio": (settings.n_inner or 4 * width) / width,
            "qkv_bias": True,
            "head_bias": False,
            "tie_weights": is_tied,
            "init": "gpt2",
        },
        CONFIG,
        CALLED,
    )


def _require_weights(files: Files) -> None:
    """Raises UnreadableModel where they are in another form, with what to do."""
    if WEIGHTS in files.paths:
        return
    if any(name.startswith("model-0") or name == f"{WEIGHTS}.index.json" for name in files.names):
        raise UnreadableModel(f"{files.name}: its weights are in several files; {SAVE_ONE}")
    if any(name.endswith((".bin", ".h5", ".msgpack")) for name in files.names):
        raise UnreadableModel(f"{files.name}: it has no {WEIGHTS}, only other forms; {SAVE_ONE}")
    raise UnreadableModel(f"{files.name}: {WEIGHTS} is missing; {SAVE_ONE}")


def _tensors(path: Path) -> dict[str, Tensor]:
    """Raises UnreadableModel, OSError, MemoryError."""
    try:
        with path.open("rb") as file:
            stored = TensorFile(file).read()
    except UnreadableTensors as error:
        raise UnreadableModel(
            f"{WEIGHTS}: {shown(error)}; copy it anew, or save the weights as float32"
        ) from None
    return by_gpt2_name(stored)


def _is_tied(settings: _Settings, tensors: Mapping[str, Tensor]) -> bool:
    """Raises UnreadableModel where the file and its configuration do not say the same."""
    output, embedding = tensors.get(OUTPUT), tensors.get("wte.weight")
    if not settings.tie_word_embeddings or output is None or embedding is None:
        return settings.tie_word_embeddings
    if output.shape != embedding.shape or not torch.equal(output, embedding):
        raise UnreadableModel(
            f"{WEIGHTS}: {OUTPUT} is not wte.weight, though {CONFIG} has tie_word_embeddings; "
            "set that to false if the output layer is its own"
        )
    return True


def _places(settings: _Settings, model: GPTConfig) -> Places:
    """transformers turns the matrices in the blocks, and may scale scores otherwise than we do.

    Scores are products with queries, so the scale goes into what makes these.
    """
    places = {}
    for ours, place in gpt2_places(model, settings.vocab_size).items():
        scale = _score_scale(settings, model, ours) if ".attn.qkv." in ours else 1.0
        places[ours] = replace(place, turned=is_turned(ours), query_scale=scale)
    return places


def _score_scale(settings: _Settings, model: GPTConfig, ours: str) -> float:
    """What scores have over ours, which are divided by the root of a head's size."""
    layer = int(ours.split(".")[1])
    head_size = model.n_embd // model.n_head
    scale = 1.0 if settings.scale_attn_weights else head_size**0.5
    return scale / (layer + 1) if settings.scale_attn_by_inverse_layer_idx else scale
