"""What a part of a model gives while the model reads a text: the numbers of one forward pass."""

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.bigram import Bigram
from model.gpt import GPT
from model.language_model import LanguageModel
from model.ngram import NGram
from model.parts import Part, PartName
from model.trace import AttentionTrace, Trace

# Where in a block a part's numbers pass by; others are in the trace.
MODULES: dict[PartName, str] = {
    "norm_1": "norm_1",
    "qkv": "attn.qkv",
    "conv": "attn.conv",
    "attention": "attn",
    "norm_2": "norm_2",
    "hidden": "mlp.fc",
    "activated": "mlp.proj",  # what goes in
    "mlp": "mlp",
}


@dataclass(frozen=True)
class Statistics:
    """Of all the numbers that are not masked; `std` is over their count, not one less."""

    count: int
    min: float
    max: float
    mean: float
    std: float


@torch.inference_mode()
def activations(model: LanguageModel, ids: list[int], part: Part) -> Tensor:
    """What `part`, one of `parts(model)`, gives for one text: float32 of its shape without B.

    Masked scores are minus infinity. The table of a bigram model is all of it, whatever the text.
    Raises ValueError for no ids, or more than the context unless the model is endless.
    """
    if not ids:
        raise ValueError("there must be at least one token to read")
    batch = torch.tensor([ids], device=next(iter(model.state_dict().values())).device)
    match model:
        case GPT():
            found = _of_transformer(model, batch, part)
        case Bigram():
            is_table = part.name == "table"
            found = model.table.weight if is_table else _predicted(model(batch)[0], part.name)
        case NGram():
            found = model(batch, order=part.layer)[0].exp()
        case _:
            raise ValueError(f"a {model.config.kind} model has no part {part.name}")
    return found.float().cpu()


def statistics(values: Tensor) -> Statistics:
    """Of `values`, minus infinity standing for what is masked. Raises ValueError for none."""
    seen = values[values > -math.inf].double()
    if not len(seen):
        raise ValueError("there must be at least one number")
    return Statistics(
        count=len(seen),
        min=float(seen.min()),
        max=float(seen.max()),
        mean=float(seen.mean()),
        std=float(seen.std(correction=0)),
    )


def _of_transformer(model: GPT, ids: Tensor, part: Part) -> Tensor:
    trace = Trace()
    logits = model(ids, trace)[0]
    if part.layer is not None:
        return _of_block(model, trace, part.name, part.layer)
    match part.name:
        case "token_embedding":
            tokens: Tensor = model.wte(ids)[0]
            return tokens
        case "position_embedding":
            return model.wpe.weight[: ids.shape[1]]
        case "embedded":
            return trace.stream[0][0]
        case "norm":
            normed: Tensor = model.norm(trace.stream[-1])[0]
            return normed
        case name:
            return _predicted(logits, name)


def _of_block(model: GPT, trace: Trace, name: PartName, layer: int) -> Tensor:
    entering, after_attention, after_mlp = trace.stream[2 * layer : 2 * layer + 3]
    match name:
        case "after_attention":
            return after_attention[0]
        case "after_mlp":
            return after_mlp[0]
        case name if name in MODULES:
            rotation = model.rotation(0, entering.shape[1])
            return _passing(model.blocks[layer], MODULES[name], name, entering, rotation)
        case _:
            return _of_heads(trace.attention[layer], name)


def _of_heads(attention: AttentionTrace, name: PartName) -> Tensor:
    """(H, T, D) or, of scores and weights, (H, T, T)."""
    match name:
        case "q":
            return attention.q[0]
        case "k":
            return attention.k[0]
        case "v":
            return attention.v[0]
        case "scores":
            scores = attention.q[0] @ attention.k[0].mT / math.sqrt(attention.q.shape[-1])
            return scores.masked_fill(_masked(attention), -torch.inf)
        case "weights":
            return attention.weights[0]
        case "mixed":
            return attention.mixed[0]
        case unknown:
            raise ValueError(f"heads have no part {unknown}")


def _masked(attention: AttentionTrace) -> Tensor:
    """(T, T), whether the key comes later than the query, or before its window."""
    places = torch.arange(attention.q.shape[2], device=attention.q.device)
    back = places[:, None] - places
    masked = back < 0
    return masked if attention.window is None else masked | (back >= attention.window)


def _predicted(logits: Tensor, name: PartName) -> Tensor:
    return logits if name == "logits" else logits.softmax(-1)


def _passing(
    block: nn.Module, path: str, name: PartName, x: Tensor, rotation: Tensor | None
) -> Tensor:
    """What goes through the module at `path` of a block that x (1, T, C) comes into.

    It is listened to in a second block on the same weights: others may use the first one meanwhile,
    and what passes there is theirs.
    """
    twin = copy.deepcopy(block, {id(parameter): parameter for parameter in block.parameters()})
    passed: list[Tensor] = []

    def note(_: nn.Module, entered: tuple[Tensor, ...], left: Tensor) -> None:
        passed.append(entered[0] if name == "activated" else left)

    twin.get_submodule(path).register_forward_hook(note)
    twin(x, rotation, Trace(), None)
    return passed[0][0]
