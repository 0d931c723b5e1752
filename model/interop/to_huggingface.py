"""A run as a GPT-2 folder of transformers, where GPT-2 can do what the run does."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from model.config import GPTConfig, ModelConfig, RunConfig
from model.interop.gpt2_names import gpt2_name, is_turned
from model.interop.head_bias import without_head_bias
from model.interop.huggingface_tokenizer import write_tokenizer_json
from model.interop.read_me import huggingface_read_me
from model.interop.weights_file import write_weights_file
from model.parameter_count import feed_forward_width
from model.tokenizer import Tokenizer

# What GPT-2 does not have: how a person calls it, and where a configuration has it.
MISSING: dict[str, Callable[[GPTConfig], object]] = {
    "rotary positions": lambda config: config.position == "rotary",
    "an attention window": lambda config: config.attention_window is not None,
    "RMSNorm": lambda config: config.norm == "rmsnorm",
    "normalised queries and keys (qk_norm)": lambda config: config.qk_norm,
    "a gain per head (qk_gain)": lambda config: config.qk_gain,
    "a convolution of queries, keys and values (qkv_conv)": lambda config: config.qkv_conv,
    "SwiGLU": lambda config: config.activation == "swiglu",
}
ACTIVATIONS = {"relu": "relu", "gelu": "gelu_new", "gelu_erf": "gelu", "relu2": "relu2"}
PIPELINE_TOKENS = 256  # what a pipeline writes where nobody says how many
DOUBLED = (
    "GPT-2's output layer has no bias, and this run's has one: the residual stream is doubled to "
    "make room for it, so n_embd is twice the run's. Logits and attention are the same."
)


def missing_in_gpt2(config: ModelConfig) -> list[str]:
    """What such a model needs and GPT-2 does not have; nothing where it can be one."""
    if not isinstance(config, GPTConfig):
        return [f"the tables of {'an n-gram' if config.kind == 'ngram' else 'a bigram'} model"]
    return [name for name, has_it in MISSING.items() if has_it(config)]


def write_huggingface(
    run: RunConfig, step: int | None, tensors: dict[str, Tensor], tokenizer: Tokenizer, into: Path
) -> list[str]:
    """Write the folder's files and return their names; `missing_in_gpt2` must be empty.

    `tensors` are float32 and named as in a run folder; `step` is the snapshot that they are, None
    for the final weights. Raises OSError.
    """
    config, note = run.model, ""
    assert isinstance(config, GPTConfig)
    if config.head_bias:
        config, tensors = without_head_bias(config, tensors)
        note = DOUBLED
    weights = "model.safetensors"
    write_weights_file(_as_gpt2(tensors), into / weights)
    write_tokenizer_json(tokenizer, into / "tokenizer.json")
    about = {"run": run.id, "step": step, "note": note}
    documents = {
        "config.json": _config(config, tokenizer.end_id) | {"sidelight": about},
        "generation_config.json": _generation_config(config, tokenizer.end_id),
        "tokenizer_config.json": _tokenizer_config(config, tokenizer),
    }
    for name, document in documents.items():
        (into / name).write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    read_me = huggingface_read_me(run, step, tokenizer, note)
    (into / "README.md").write_text(read_me, "utf-8")
    return ["README.md", *documents, "tokenizer.json", weights]


def _as_gpt2(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under GPT-2's names, with zeros for the biases that we do without."""
    named = {}
    for name, tensor in tensors.items():
        prefix = "" if name.startswith("lm_head.") else "transformer."
        turned = tensor.T if is_turned(name) else tensor
        named[prefix + gpt2_name(name)] = turned.contiguous()
        bias = name.removesuffix("weight") + "bias"
        if is_turned(name) and bias not in tensors:
            named[prefix + gpt2_name(bias)] = torch.zeros(len(tensor))
    return named


def _config(config: GPTConfig, end: int | None) -> dict[str, Any]:
    return {
        "architectures": ["GPT2LMHeadModel"],
        "model_type": "gpt2",
        "vocab_size": config.vocab_size,
        "n_positions": config.block_size,
        "n_embd": config.n_embd,
        "n_layer": config.n_layer,
        "n_head": config.n_head,
        "n_inner": feed_forward_width(config),
        "activation_function": ACTIVATIONS[config.activation],
        "attn_pdrop": config.dropout,
        "embd_pdrop": 0.0,
        "resid_pdrop": config.dropout,
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": config.tie_weights,
        "bos_token_id": end,
        "eos_token_id": end,
        "dtype": "float32",
    }


def _generation_config(config: GPTConfig, end: int | None) -> dict[str, Any]:
    """A short context is an end to every text: there are no positions beyond it."""
    is_short = config.block_size <= 2 * PIPELINE_TOKENS
    most = {"max_length": config.block_size} if is_short else {}
    return {"bos_token_id": end, "eos_token_id": end} | most


def _tokenizer_config(config: GPTConfig, tokenizer: Tokenizer) -> dict[str, Any]:
    end = None if tokenizer.end_id is None else tokenizer.token_text(tokenizer.end_id)
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": config.block_size,
        "clean_up_tokenization_spaces": False,
        "bos_token": end,
        "eos_token": end,
    }
