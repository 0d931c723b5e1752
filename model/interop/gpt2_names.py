"""What GPT-2's code calls our weights; nanoGPT and transformers do as well."""

import re
from collections.abc import Mapping
from typing import TypeVar

from model.config import GPTConfig
from model.interop.weights import Place, shapes_of, without_prefix

NAMES = {
    "norm": "ln_f",
    "norm_1": "ln_1",
    "norm_2": "ln_2",
    "qkv": "c_attn",
    "proj": "c_proj",
    "fc": "c_fc",
    "blocks": "h",
}
OUTPUT = "lm_head.weight"
PREFIXES = ("transformer.",)
MASKS = (".attn.bias", ".attn.masked_bias")  # of versions for old PyTorch
MATRIX_IN_BLOCK = re.compile(r"blocks\.\d+\.(attn|mlp)\.\w+\.weight")

Tensors = TypeVar("Tensors")


def gpt2_name(ours: str) -> str:
    """`blocks.0.attn.qkv.weight` is `h.0.attn.c_attn.weight`: the same parts, called otherwise."""
    return ".".join(NAMES.get(part, part) for part in ours.split("."))


def by_gpt2_name(tensors: Mapping[str, Tensors]) -> dict[str, Tensors]:
    """The tensors of a model by names as `gpt2_name` gives them, without its masks."""
    inner = {n: t for n, t in tensors.items() if n != OUTPUT and not n.endswith(MASKS)}
    return without_prefix(inner, PREFIXES) | {n: tensors[n] for n in [OUTPUT] if n in tensors}


def is_turned(ours: str) -> bool:
    """Whether transformers keeps it as (in, out), where we and nanoGPT have (out, in)."""
    return MATRIX_IN_BLOCK.fullmatch(ours) is not None


def gpt2_places(model: GPTConfig, rows: int) -> dict[str, Place]:
    """Where our weights are in a model with GPT-2's names, `rows` long in its vocabulary.

    Its matrices are as ours, (out, in), and its norms have a bias if its layers do.
    """
    places = {}
    for ours in shapes_of(model):
        has_it = model.bias or not ours.endswith(".bias")
        parts = (gpt2_name(ours),) if has_it else ()
        is_by_token = ours in {"wte.weight", OUTPUT}
        places[ours] = Place(parts, rows=rows if is_by_token else None)
    return places
