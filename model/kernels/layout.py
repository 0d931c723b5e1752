"""A network's weights laid out for the kernels, and the room that they work in."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from model.config import GPTConfig
from model.gpt import GPT, Block
from model.kernels.block import ROWS, Packed, pack, padded
from model.kernels.compiling import PANEL
from model.kernels.network import ACTIVATIONS, ROWS_AT_ONCE, Cache, Room, Weights
from model.kernels.writing import Rows

Floats = NDArray[np.float32]


def lay_out(model: GPT, *, halves: bool = False) -> Weights:
    """A copy of the weights of `model`, as `network.read` takes them.

    With `halves`, the matrices are in half precision.
    """
    config = model.config
    C, is_rotary = config.n_embd, config.position == "rotary"
    blocks = _blocks(model)
    attentions, mlps = [block.attn for block in blocks], [block.mlp for block in blocks]
    norms = [norm for block in blocks for norm in (block.norm_1, block.norm_2)] + [model.norm]
    return Weights(
        n_head=config.n_head,
        qk_norm=config.qk_norm,
        activation=ACTIVATIONS.index(config.activation),
        ring=model.endless,
        wte=_array(model.wte.weight),
        wpe=np.zeros((0, C), np.float32) if is_rotary else _array(model.wpe.weight),
        frequencies=_frequencies(config) if is_rotary else np.zeros(0),
        norms=_norms(norms, C),
        qkv=_packed((attention.qkv for attention in attentions), halves),
        qkv_bias=_biases(attention.qkv for attention in attentions),
        conv=_stacked((it.conv.weight if it.conv else None for it in attentions), 0, 3 * C),
        gain=_stacked((it.gain for it in attentions), 0).reshape(len(blocks), -1),
        proj=_packed((attention.proj for attention in attentions), halves),
        proj_bias=_biases(attention.proj for attention in attentions),
        fc=_packed((mlp.fc for mlp in mlps), halves),
        fc_bias=_biases(mlp.fc for mlp in mlps),
        mlp_proj=_packed((mlp.proj for mlp in mlps), halves),
        mlp_proj_bias=_biases(mlp.proj for mlp in mlps),
        head=_packed([model.lm_head], halves)[0],
        head_bias=_biases([model.lm_head])[0],
    )


def make_room(model: GPT) -> Room:
    """Room for `ROWS_AT_ONCE` rows of any text that `model` reads."""
    config = model.config
    C, D = config.n_embd, config.n_embd // config.n_head
    width = max(block.mlp.fc.out_features for block in _blocks(model))

    def rows(columns: int, count: int = ROWS_AT_ONCE) -> Floats:
        return np.zeros((count, padded(columns)), np.float32)

    return Room(
        x=rows(C),
        normed=rows(C),
        qkv=rows(3 * C),
        mixed=rows(C),
        hidden=rows(width),
        logits=rows(config.vocab_size),
        scores=rows(cached_positions(model), ROWS),
        one_head=rows(D, ROWS),
        rotations=np.zeros((ROWS_AT_ONCE, D if config.position == "rotary" else 0), np.float32),
        seen=np.zeros(ROWS, np.int64),
    )


def make_rows() -> Rows:
    return Rows(*(np.zeros(ROWS_AT_ONCE, np.int64) for _ in range(3)))


def make_cache(model: GPT, places: int) -> Cache:
    """Zeros, as what lies behind the last position is multiplied by zero and must be a number."""
    config = model.config
    C, H, S = config.n_embd, config.n_head, cached_positions(model)
    return Cache(
        keys=_zeros(places, config.n_layer, H, padded(S) // PANEL, C // H, PANEL),
        values=_zeros(places, config.n_layer, H, S, C // H),
        earlier=_zeros(places, config.n_layer, config.qkv_conv, 3 * C),
    )


def cached_positions(model: GPT) -> int:
    """How many positions' keys and values a text needs."""
    return model.config.attention_window or model.block_size


def _blocks(model: GPT) -> list[Block]:
    return [block for block in model.blocks if isinstance(block, Block)]


def _zeros(*shape: int) -> Floats:
    """With a panel behind the end, which a block of a product may reach over."""
    size = int(np.prod(shape))
    return np.zeros(size + PANEL, np.float32)[:size].reshape(shape)


def _packed(layers: Iterable[nn.Linear], halves: bool) -> Packed:
    packed: list[Any] = [pack(_array(layer.weight), halves=halves) for layer in layers]
    return np.stack(packed)


def _biases(layers: Iterable[nn.Linear]) -> Floats:
    """(layers, padded out), zeros where there is none."""
    found = list(layers)
    biases = np.zeros((len(found), padded(found[0].out_features)), np.float32)
    for row, layer in zip(biases, found, strict=True):
        if layer.bias is not None:
            row[: layer.out_features] = _array(layer.bias)
    return biases


def _norms(norms: Iterable[nn.Module], C: int) -> Floats:
    """(norms, 2, C), or none where nothing is learned."""
    learned = [norm for norm in norms if isinstance(norm, nn.LayerNorm)]
    found = [np.stack([_array(norm.weight), _array(norm.bias)]) for norm in learned]
    return np.stack(found) if found else np.zeros((0, 2, C), np.float32)


def _frequencies(config: GPTConfig) -> NDArray[np.float64]:
    """Of rotary positions, in radians per token."""
    D = config.n_embd // config.n_head
    frequencies: NDArray[np.float64] = config.rope_base ** (-np.arange(0, D, 2) / D)
    return frequencies


def _stacked(tensors: Iterable[Tensor | None], *empty: int) -> Floats:
    """One below the other; where there is none, an array of that shape."""
    return np.stack([np.zeros(empty, np.float32) if it is None else _array(it) for it in tensors])


def _array(tensor: Tensor) -> Floats:
    array: Floats = tensor.detach().float().cpu().contiguous().numpy()
    return array
