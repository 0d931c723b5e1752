"""A model part by part, and how different its heads are, as replies."""

from dataclasses import asdict
from typing import Any

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from app.attention_schemas import RunReading
from app.attention_schemas import Window as Read
from app.errors import InvalidRequest
from app.reading import Reader, Window
from app.registry import LoadedRun
from app.schemas import TokenId
from model.activations import activations, statistics
from model.gpt import GPT
from model.head_diversity import divergences, mean_of_pairs
from model.parts import Operation, Part, PartName, dimensions, parts
from model.tokenizer import UnknownCharacters

# So much is sent of the numbers of a part; its statistics are of them all.
MOST_POSITIONS = 64
MOST_CHANNELS = 256
MOST_HEADS = 16
DIGITS = 6  # significant ones

Values = list[list[float | None]] | list[list[list[float | None]]]


class LearnedTensor(BaseModel):
    """Learned numbers of a part."""

    name: str = Field(description="As in the run's file of weights.")
    shape: list[int]
    count: int = Field(description="How many numbers; 0 where it is `shared`.")
    shared: bool = Field(description="Whether it is a tensor of a part before, and counted there.")


class PartReply(BaseModel):
    """A step of the forward pass."""

    name: PartName
    layer: int | None = Field(
        description="From 0; null outside the blocks. Of `counts`, how long the sequences are."
    )
    shape: list[str] = Field(description="Of what it gives, as symbols; see `dimensions`.")
    operations: list[Operation] = Field(description="What it does, one after another.")
    tensors: list[LearnedTensor]
    count: int = Field(description="Learned numbers of its own.")


class PartsReply(BaseModel):
    """All parts of a run's model, in the order of the forward pass."""

    run: str
    kind: str
    dimensions: dict[str, int] = Field(
        description="How many there are of each symbol. B, texts, and T, tokens, are the caller's."
    )
    n_layer: int | None
    block_size: int
    parts: list[PartReply]
    total: int = Field(description="The sum of the parts' counts: the run's `params`.")


class ActivationsRequest(RunReading):
    """A text, and which part of which run is looked at while it reads."""

    part: PartName = Field(description="Name of a part.", examples=["norm_1"])
    layer: TokenId | None = Field(None, description="Its layer, where it is in one.")


class Axis(BaseModel):
    """One dimension of the numbers, and which of it were sent."""

    symbol: str = Field(description="T positions, H heads, C, D, W or 3C channels, V tokens.")
    size: int
    shown: list[int] = Field(description="Indices of those in `values`, in their order.")
    labels: list[str] | None = Field(description="The tokens of those; null for channels, heads.")


class ActivationStatistics(BaseModel):
    """Of all numbers, shown or not, but for those that are masked."""

    count: int
    min: float
    max: float
    mean: float
    std: float = Field(description="Over their count, not one less.")


class ActivationsReply(BaseModel):
    """What a part gives for each token of a text."""

    run: str
    step: int | None
    part: PartName
    layer: int | None
    tokens: list[str] = Field(description="The T tokens that were seen.")
    text_offset: int = Field(description="Characters of the text that come before the first token.")
    shape: list[int] = Field(description="Of all the numbers, for this one text.")
    axes: list[Axis] = Field(description="One for each dimension of `values`.")
    values: Values = Field(description="The numbers shown; null for a masked score.")
    statistics: ActivationStatistics


class HeadDiversityRequest(RunReading):
    """A text, and the run whose heads are compared with one another."""


class HeadDiversityReply(Read):
    """How far the heads of each layer are apart."""

    divergences: list[list[list[float]]] = Field(
        description="[layer][head][head], Jensen-Shannon, in bits from 0 to 1: the mean over the "
        "queries from the second on."
    )
    means: list[float | None] = Field(
        description="Of each layer, over its pairs of heads; null where there is one head."
    )


def take_apart(loaded: LoadedRun) -> PartsReply:
    """The run's parts, their shapes and their parameters."""
    model, found = loaded.model, parts(loaded.model)
    return PartsReply(
        run=loaded.run.id,
        kind=model.config.kind,
        dimensions=dimensions(model.config),
        n_layer=model.config.n_layer if isinstance(model, GPT) else None,
        block_size=model.block_size,
        parts=[_part(part) for part in found],
        total=sum(part.count for part in found),
    )


def look_at_part(loaded: LoadedRun, body: ActivationsRequest, reader: Reader) -> ActivationsReply:
    """Raises InvalidRequest for a part that is not there, and for a text that cannot be read."""
    part = _found(loaded, body)
    ids, text_offset = _read(loaded, body, reader)
    values = activations(loaded.model, ids, part)
    axes = _axes(loaded, ids, part, values)
    sent = values
    for dimension, axis in enumerate(axes):
        sent = sent.index_select(dimension, torch.tensor(axis.shown))
    return ActivationsReply(
        run=loaded.run.id,
        step=loaded.step,
        part=part.name,
        layer=part.layer,
        tokens=[loaded.tokenizer.token_text(id) for id in ids],
        text_offset=text_offset,
        shape=list(values.shape),
        axes=axes,
        values=_rounded(sent.tolist()),
        statistics=ActivationStatistics(**asdict(statistics(values))),
    )


def tell_heads_apart(window: Window) -> HeadDiversityReply:
    """Raises InvalidRequest for a single token."""
    if len(window.ids) < 2:
        message = "text: only one token of it is seen, and every head looks at it: use a longer one"
        raise InvalidRequest(message, param="text", code="too_short")
    apart = [divergences(maps) for maps in window.maps()]
    means = [mean_of_pairs(layer) for layer in apart]
    return HeadDiversityReply(
        **window.facts(),
        divergences=[_rounded(layer.tolist()) for layer in apart],
        means=[None if mean is None else _rounded(mean) for mean in means],
    )


def _part(part: Part) -> PartReply:
    return PartReply(
        name=part.name,
        layer=part.layer,
        shape=list(part.shape),
        operations=list(part.operations),
        tensors=[
            LearnedTensor(name=it.name, shape=list(it.shape), count=it.count, shared=it.shared)
            for it in part.learned
        ],
        count=part.count,
    )


def _found(loaded: LoadedRun, body: ActivationsRequest) -> Part:
    of_name = [part for part in parts(loaded.model) if part.name == body.part]
    if not of_name:
        names = ", ".join(dict.fromkeys(part.name for part in parts(loaded.model)))
        message = f"part: run {loaded.run.id!r} has no part {body.part!r}; it has {names}"
        raise InvalidRequest(message, param="part", code="invalid_value")
    for part in of_name:
        if part.layer == body.layer:
            return part
    first, last = of_name[0].layer, of_name[-1].layer
    use = "is in no layer: leave it out" if first is None else f"is in {first} to {last}: name one"
    message = f"layer: the part {body.part!r} {use}"
    raise InvalidRequest(message, param="layer", code="invalid_value")


def _read(loaded: LoadedRun, body: RunReading, reader: Reader) -> tuple[list[int], int]:
    """The ids that are read and how many characters come before them.

    A table or counts have no more to say of a long text than of its end.
    """
    if isinstance(loaded.model, GPT):
        window = reader.read(loaded, body.text, body.length)
        return window.ids, window.text_offset
    count = min(body.length or MOST_POSITIONS, MOST_POSITIONS)
    try:
        return loaded.tokenizer.encode_end(body.text, count)
    except UnknownCharacters as error:
        raise InvalidRequest(f"text: {error}", param="text", code="unknown_characters") from None


def _axes(loaded: LoadedRun, ids: list[int], part: Part, values: Tensor) -> list[Axis]:
    symbols = [symbol for symbol in part.shape if symbol != "B"]
    likeliest = values[-1] if symbols[-1] == "V" and symbols[0] == "T" else None
    axes = []
    for symbol, size in zip(symbols, values.shape, strict=True):
        shown = _shown(symbol, size, likeliest)
        labels = None
        if symbol == "T":
            labels = [loaded.tokenizer.token_text(ids[i]) for i in shown]
        elif symbol == "V":
            labels = [loaded.tokenizer.token_text(i) for i in shown]
        axes.append(Axis(symbol=symbol, size=size, shown=shown, labels=labels))
    return axes


def _shown(symbol: str, size: int, likeliest: Tensor | None) -> list[int]:
    """The last positions, the first heads and channels, the likeliest tokens behind the text."""
    if symbol == "T":
        return list(range(max(0, size - MOST_POSITIONS), size))
    most = MOST_HEADS if symbol == "H" else MOST_CHANNELS
    if symbol == "V" and likeliest is not None and size > most:
        return sorted(likeliest.topk(most).indices.tolist())
    return list(range(min(size, most)))


def _rounded(numbers: Any) -> Any:
    """Nested lists with so many significant digits; None for minus infinity."""
    if isinstance(numbers, list):
        return [_rounded(each) for each in numbers]
    return None if numbers == float("-inf") else float(f"{numbers:.{DIGITS}g}")
