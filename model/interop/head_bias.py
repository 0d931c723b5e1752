r"""A transformer whose output layer has a bias, as one without: GPT-2 has no place for that bias.

The residual stream is doubled. Each token's and position's vector is written twice, [x, x], and
so is what every layer adds, so that it stays two equal halves. Their mean and variance are those
of x, so LayerNorm gives [LayerNorm(x), LayerNorm(x)], and what reads from it leaves out the second
half. Heads are twice as wide, the rest of them being zeros; a score is then divided by the root of
twice the size, for which queries are multiplied by the root of 2. Before the output layer the
second half is scaled by 0 and shifted by (1, 0, 0, ...): a constant 1, and the column of the
output layer that meets it is the bias.

Logits and attention are the same but for rounding. Width is doubled, and with it the memory for
what is kept of a text; weights take two to four times as much.
"""

import math

import torch
from torch import Tensor

from model.config import GPTConfig


def without_head_bias(
    config: GPTConfig, tensors: dict[str, Tensor]
) -> tuple[GPTConfig, dict[str, Tensor]]:
    """The same function of ids, with `head_bias` off and `n_embd` doubled.

    For LayerNorm and nothing between the projections and the attention: no gain, norm of queries,
    convolution or rotation.
    """
    doubled = config.model_copy(
        update={
            "n_embd": 2 * config.n_embd,
            "mlp_ratio": config.mlp_ratio / 2,  # the width of the hidden layer stays
            "head_bias": False,
        }
    )
    bias = tensors["lm_head.bias"]
    rest = {name: tensor for name, tensor in tensors.items() if name != "lm_head.bias"}
    made = {name: _doubled(name, tensor, config.n_head) for name, tensor in rest.items()}
    made["norm.weight"][config.n_embd :] = 0
    made["norm.bias"][config.n_embd :] = 0
    made["norm.bias"][config.n_embd] = 1
    made["lm_head.weight"][:, config.n_embd] = bias
    return doubled, made


def _doubled(name: str, tensor: Tensor, heads: int) -> Tensor:
    """`tensor`, one of our weights, for a stream of two equal halves."""
    layer = name.rpartition(".")[0].rpartition(".")[2]  # of blocks.0.attn.qkv.weight it is qkv
    is_matrix = tensor.ndim == 2
    match layer:
        case "wte" | "wpe":
            return torch.cat((tensor, tensor), dim=1)
        case "norm_1" | "norm_2" | "norm":
            return torch.cat((tensor, tensor))
        case "qkv":
            return (
                _reading(_wider_heads(tensor, heads)) if is_matrix else _wider_heads(tensor, heads)
            )
        case "proj" if ".attn." in name and is_matrix:
            by_head = tensor.unflatten(1, (heads, -1))  # (C, H, D)
            return _twice(torch.cat((by_head, torch.zeros_like(by_head)), dim=2).flatten(1))
        case "proj":
            return _twice(tensor)
        case "fc":
            return _reading(tensor) if is_matrix else tensor
        case "lm_head":
            return _reading(tensor)
        case _:
            raise ValueError(f"{name} cannot be doubled")


def _twice(tensor: Tensor) -> Tensor:
    """Writes to both halves: (C, ...) -> (2C, ...)."""
    return torch.cat((tensor, tensor))


def _reading(matrix: Tensor) -> Tensor:
    """Reads from the first half: (out, C) -> (out, 2C)."""
    return torch.cat((matrix, torch.zeros_like(matrix)), dim=1)


def _wider_heads(tensor: Tensor, heads: int) -> Tensor:
    """Rows of queries, keys and values (3C, ...) -> (6C, ...), each head's D and then D zeros."""
    parts = tensor.unflatten(0, (3, heads, -1))  # (3, H, D, ...)
    scale = torch.tensor([math.sqrt(2), 1, 1], dtype=tensor.dtype)
    parts = parts * scale.view(3, *[1] * (parts.ndim - 1))
    return torch.cat((parts, torch.zeros_like(parts)), dim=2).flatten(0, 2)
