"""The exercise's own layout, a module for each head, as its lecture has it; and its bigram model.

Its design is told by names and shapes alone. That leaves two things open: the nonlinearity is taken
to be a ReLU, and scores to be divided by the root of a head's size (in the lecture's first versions
it was the root of the whole width).
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from model.config import BigramConfig, GPTConfig
from model.interop.errors import UnreadableModel
from model.interop.foreign_model import ForeignModel, as_config
from model.interop.vocabulary import no_vocabulary, require_fit
from model.interop.weights import Place, Places, shapes_of, without_prefix
from model.tokenizer import Tokenizer

PREFIXES = ("_orig_mod.", "module.", "model.")
MASK = ".tril"
TOKENS, POSITIONS = "token_embedding_table.weight", "position_embedding_table.weight"
OUTPUT, FIRST_BLOCK = "lm_head", "blocks.0."
BLOCK = re.compile(r"blocks\.[0-9]+\.")
HEAD = re.compile(r"blocks\.0\.sa\.heads\.[0-9]+\.")

# How others spell it, and how the lecture does.
SPELLINGS = (
    (re.compile(r"^(token|position)_embedding\."), r"\1_embedding_table."),
    (re.compile(r"^(blocks\.[0-9]+)\.attention\."), r"\1.sa."),
    (re.compile(r"^(blocks\.[0-9]+)\.(?:ffwd|feed_forward)\.(?:net\.)?"), r"\1.ffwd.net."),
)
# What we call it, and what the lecture does.
NAMES = (
    ("wte.", "token_embedding_table."),
    ("wpe.", "position_embedding_table."),
    ("norm_1.", "ln1."),
    ("norm_2.", "ln2."),
    ("norm.", "ln_f."),
    ("attn.proj.", "sa.proj."),
    ("mlp.fc.", "ffwd.net.0."),
    ("mlp.proj.", "ffwd.net.2."),
)


def is_exercise(state_dict: Mapping[str, Any]) -> bool:
    """By the name of its token embedding."""
    return TOKENS in _spelled(state_dict)


def read_exercise(
    state_dict: Mapping[str, Any], file: str, vocabulary: Tokenizer | None
) -> ForeignModel:
    """What a state dict is; `vocabulary` is what is known of its tokens. Raises UnreadableModel."""
    tensors = _spelled(state_dict)
    rows = _size(tensors, TOKENS, 0, file)
    if vocabulary is None:
        raise no_vocabulary(file, rows)
    require_fit(vocabulary, rows, file)
    model: GPTConfig | BigramConfig
    if tensors.keys() == {TOKENS}:
        model = as_config(BigramConfig, {"vocab_size": rows}, file)
        places: Places = {"table.weight": Place((TOKENS,))}
    else:
        model = as_config(GPTConfig, _design(tensors, file), file)
        places = _places(model)
    return ForeignModel("exercise", file, model, vocabulary, tensors, places)


def _spelled(state_dict: Mapping[str, Any]) -> dict[str, Any]:
    """Tensors by the names that they have in the lecture, without masks."""
    found = {}
    for name, tensor in without_prefix(state_dict, PREFIXES).items():
        spelled = name
        for spelling, lectures in SPELLINGS:
            spelled = spelling.sub(lectures, spelled)
        if not name.endswith(MASK):
            found[name if spelled in found else spelled] = tensor
    return found


def _design(tensors: Mapping[str, Any], file: str) -> dict[str, object]:
    """What names and shapes say; `converted` finds whatever does not fit it."""
    width = _size(tensors, TOKENS, 1, file)
    heads = {found[0] for name in tensors if (found := HEAD.match(name))}
    blocks = {found[0] for name in tensors if (found := BLOCK.match(name))}
    if not heads:
        raise UnreadableModel(
            f"{file}: there is no blocks.0.sa.heads.0 in it, and the exercise's model has a module "
            "for each head"
        )
    return {
        "vocab_size": _size(tensors, TOKENS, 0, file),
        "block_size": _size(tensors, POSITIONS, 0, file),
        "n_layer": len(blocks),
        "n_head": len(heads),
        "n_embd": width,
        "activation": "relu",
        "mlp_ratio": _size(tensors, f"{FIRST_BLOCK}ffwd.net.0.weight", 0, file) / width,
        "bias": f"{FIRST_BLOCK}sa.proj.bias" in tensors,
        "qkv_bias": f"{FIRST_BLOCK}sa.heads.0.key.bias" in tensors,
        "head_bias": "lm_head.bias" in tensors,
    }


def _size(tensors: Mapping[str, Any], name: str, dimension: int, file: str) -> int:
    """Raises UnreadableModel unless there is such a tensor."""
    tensor = tensors.get(name)
    if not isinstance(tensor, Tensor) or tensor.dim() != 2 or not tensor.numel():
        raise UnreadableModel(f"{file}: {name} is missing, or no matrix")
    return tensor.shape[dimension]


def _places(model: GPTConfig) -> Places:
    """Ours has the queries, keys and values of all heads in one matrix."""
    return {ours: Place(_theirs(ours, model.n_head)) for ours in shapes_of(model)}


def _theirs(ours: str, n_head: int) -> tuple[str, ...]:
    if ".attn.qkv." in ours:
        block, kind = ours.split("attn.qkv")
        return tuple(
            f"{block}sa.heads.{head}.{part}{kind}"
            for part in ("query", "key", "value")
            for head in range(n_head)
        )
    for our_part, part in NAMES:
        ours = re.sub(rf"(^|\.){re.escape(our_part)}", rf"\1{part}", ours)
    return (ours,)
