"""One head's attention step by step, attention of three kinds, and attention by hand."""

from typing import Annotated, Any

import torch
from pydantic import BaseModel, Field, StrictBool
from torch import Tensor

from app.attention_schemas import Grid, RunReading, Window
from app.errors import InvalidRequest
from app.reading import Reader
from app.reading import Window as Read
from app.registry import LoadedRun
from app.schemas import MAX_PROMPT_CHARACTERS, ApiRequest, TokenId
from model.attention_steps import Steps, attend, causal, entropy, head_steps, three_kinds
from model.gpt import Block, CausalSelfAttention

MAX_TOKENS = 24  # more rows and columns are no longer read as numbers
MAX_CHANNELS = 64
MAX_BY_HAND = 12
DECIMALS = 7

Number = Annotated[float, Field(strict=True, ge=-100, le=100, allow_inf_nan=False)]
Row = Annotated[list[Number], Field(min_length=1, max_length=MAX_BY_HAND)]
Matrix = Annotated[list[Row], Field(min_length=1, max_length=MAX_BY_HAND)]


# The steps


class Sharpness(BaseModel):
    """How much of each query's attention goes to one key."""

    largest: list[float] = Field(description="The largest weight of each row.")
    entropy: list[float] = Field(description="Of each row, in bits: 0 where one key has it all.")


class AttentionSteps(BaseModel):
    """From T_q queries, T_k keys and their values to what becomes of them, rounded to 7 decimals.

    Of vectors with more than 64 channels the first 64 are here; scores are of all.
    """

    size: int = Field(description="D, the channels of a query and of a key.")
    scale: float = Field(description="1 / sqrt(D).")
    q: Grid = Field(description="[query][channel].")
    k: Grid = Field(description="[key][channel].")
    v: Grid = Field(description="[key][channel].")
    scores: Grid = Field(description="[query][key], q·k of every pair, masked or not.")
    scaled: Grid = Field(description="[query][key], scores times scale.")
    masked: list[list[bool]] = Field(description="[query][key], whether the pair may not meet.")
    row_largest: list[float] = Field(
        description="The largest scaled score of each row that is not masked."
    )
    exponentials: Grid = Field(
        description="[query][key], e^(scaled less the row's largest); 0 where masked."
    )
    row_sums: list[float] = Field(description="The sum of each row's exponentials.")
    weights: Grid = Field(description="[query][key], exponentials over their row's sum.")
    output: Grid = Field(description="[query][channel], the weights times the values.")
    unscaled_weights: Grid = Field(
        description="[query][key], the softmax of scores that were not scaled."
    )
    sharpness: Sharpness
    unscaled_sharpness: Sharpness


def _steps(steps: Steps) -> AttentionSteps:
    masked = steps.masked
    return AttentionSteps(
        size=steps.q.shape[1],
        scale=steps.scale,
        q=_vectors(steps.q),
        k=_vectors(steps.k),
        v=_vectors(steps.v),
        scores=_rounded(steps.scores),
        scaled=_rounded(steps.scaled),
        masked=masked.tolist(),
        row_largest=_rounded(steps.scaled.masked_fill(masked, -torch.inf).amax(dim=1)),
        exponentials=_rounded(steps.exponentials),
        row_sums=_rounded(steps.exponentials.sum(dim=1)),
        weights=_rounded(steps.weights),
        output=_vectors(steps.output),
        unscaled_weights=_rounded(steps.unscaled_weights),
        sharpness=_sharpness(steps.weights),
        unscaled_sharpness=_sharpness(steps.unscaled_weights),
    )


def _sharpness(weights: Tensor) -> Sharpness:
    return Sharpness(largest=_rounded(weights.amax(dim=1)), entropy=_rounded(entropy(weights)))


def _vectors(rows: Tensor) -> list[list[float]]:
    return _rounded(rows[:, :MAX_CHANNELS])


def _rounded(numbers: Tensor) -> list[Any]:
    exact = numbers.cpu().double()
    return exact.round(decimals=DECIMALS).add(0.0).tolist()  # so that no zero has a minus


# A head on a text


class OneHead(RunReading):
    """A short text, and the head that reads it."""

    layer: TokenId = Field(0, description="From 0.")
    head: TokenId = Field(0, description="From 0.")
    length: int | None = Field(
        None,
        ge=1,
        le=MAX_TOKENS,
        description=f"See only this many of its last tokens; {MAX_TOKENS} if left out.",
    )


class HeadDesign(BaseModel):
    """What happens to queries, keys and values between the projection and the scores."""

    qkv_bias: bool = Field(description="A bias is added to all three.")
    qkv_conv: int = Field(description="How many earlier positions each channel of them mixes in.")
    qk_norm: bool = Field(description="Queries and keys are scaled to root mean square 1.")
    gain: float | None = Field(description="What this head multiplies its queries with, if so.")
    rotary: bool = Field(description="Queries and keys are turned by their positions.")
    window: int | None = Field(description="How many positions a query sees; all if null.")


class Variances(BaseModel):
    """Of the numbers of this head on this text, each about their own mean."""

    q: float
    k: float
    independent: float = Field(
        description="D var(q) var(k): what the scores' would be, were all of the numbers in q and "
        "k independent with mean 0."
    )
    scores: float | None = Field(description="Of those not masked; null for a single one.")
    scaled: float | None


class SelfAttentionReply(Window):
    layer: int
    head: int
    n_embd: int = Field(description="C, the channels of the residual stream.")
    design: HeadDesign
    x: Grid = Field(description="[position][channel], what the head reads: the normalised stream.")
    steps: AttentionSteps
    variances: Variances
    written: Grid = Field(description="[position][channel], what it adds to the residual stream.")


def self_attention(loaded: LoadedRun, body: OneHead, reader: Reader) -> SelfAttentionReply:
    """Every step of a head's forward pass. Raises InvalidRequest."""
    window = reader.read(loaded, body.text, body.length or MAX_TOKENS)
    layer, head = _place(window, body)
    found = head_steps(window.model, window.ids, layer, head)
    return SelfAttentionReply(
        **window.facts(),
        layer=layer,
        head=head,
        n_embd=window.model.config.n_embd,
        design=_design(window, layer, head),
        x=_vectors(found.x),
        steps=_steps(found.steps),
        variances=_variances(found.steps),
        written=_vectors(found.written),
    )


def _place(window: Read, body: OneHead) -> tuple[int, int]:
    layer, _ = window.place(body.layer, 0, "layer")
    _, head = window.place(0, body.head, "head")
    return layer, head


def _design(window: Read, layer: int, head: int) -> HeadDesign:
    config, block = window.model.config, window.model.blocks[layer]
    assert isinstance(block, Block)
    return HeadDesign(
        qkv_bias=config.qkv_bias,
        qkv_conv=config.qkv_conv,
        qk_norm=config.qk_norm,
        gain=_gain(block.attn, head),
        rotary=config.position == "rotary",
        window=config.attention_window,
    )


def _gain(attention: CausalSelfAttention, head: int) -> float | None:
    return None if attention.gain is None else round(float(attention.gain[head]), DECIMALS)


def _variances(steps: Steps) -> Variances:
    def variance(numbers: Tensor) -> float:
        return round(float(numbers.cpu().double().var(correction=0)), DECIMALS)

    met = ~steps.masked
    several = int(met.sum()) > 1
    q, k = variance(steps.q), variance(steps.k)
    return Variances(
        q=q,
        k=k,
        independent=round(steps.q.shape[1] * q * k, DECIMALS),
        scores=variance(steps.scores[met]) if several else None,
        scaled=variance(steps.scaled[met]) if several else None,
    )


# Attention of three kinds


class TwoTexts(OneHead):
    """A text that looks, and a text that is looked at."""

    source: str = Field(
        min_length=1,
        max_length=MAX_PROMPT_CHARACTERS,
        description=f"The text that keys and values come from; its last {MAX_TOKENS} tokens.",
        examples=["Whether 'tis nobler"],
    )
    query: TokenId | None = Field(
        None, description="Position in the text that looks alone; the last if left out."
    )


class CrossAttentionReply(Window):
    """The three differ in where queries, keys and values come from, and in the mask."""

    layer: int
    head: int
    query: int
    source_tokens: list[str]
    source_offset: int = Field(description="Characters of the source before its first token here.")
    rotary: bool = Field(description="Whether rotary positions were left out between the texts.")
    general: AttentionSteps = Field(description="The query alone, with the source's keys, values.")
    own: AttentionSteps = Field(description="The text with itself, causally: as in the run.")
    cross: AttentionSteps = Field(description="The text's queries, the source's keys and values.")


def cross_attention(loaded: LoadedRun, body: TwoTexts, reader: Reader) -> CrossAttentionReply:
    """One head's matrices used in three ways. Raises InvalidRequest."""
    length = body.length or MAX_TOKENS
    window = reader.read(loaded, body.text, length)
    layer, head = _place(window, body)
    source = _source(loaded, body.source, reader)
    last = len(window.ids) - 1
    query = last if body.query is None else body.query
    if query > last:
        message = f"query: the positions of what is seen go from 0 to {last}, not {query}"
        raise InvalidRequest(message, param="query", code="invalid_value")
    kinds = three_kinds(window.model, window.ids, source.ids, layer, head, query)
    return CrossAttentionReply(
        **window.facts(),
        layer=layer,
        head=head,
        query=query,
        source_tokens=source.tokens,
        source_offset=source.text_offset,
        rotary=window.model.config.position == "rotary",
        general=_steps(kinds.general),
        own=_steps(kinds.own),
        cross=_steps(kinds.cross),
    )


def _source(loaded: LoadedRun, text: str, reader: Reader) -> Read:
    try:
        return reader.read(loaded, text, MAX_TOKENS)
    except InvalidRequest as error:
        if error.param != "text":
            raise
        message = error.message.replace("text:", "source:", 1)
        raise InvalidRequest(message, param="source", code=error.code) from None


# By hand


class ByHand(ApiRequest):
    """Small matrices; any numbers from -100 to 100."""

    q: Matrix = Field(description="[query][channel].", examples=[[[1, 0], [0, 2]]])
    k: Matrix = Field(description="[key][channel].", examples=[[[1, 1], [0, 1], [-1, 0]]])
    v: Matrix = Field(description="[key][channel].", examples=[[[1, 0], [0, 1], [2, 2]]])
    causal: StrictBool = Field(
        False, description="Whether a query sees no key behind its own position."
    )


def by_hand(body: ByHand) -> AttentionSteps:
    """Every step in double precision. Raises InvalidRequest for matrices that do not fit."""
    size = len(body.q[0])
    for name, rows, columns in (("q", body.q, size), ("k", body.k, size), ("v", body.v, None)):
        _check_columns(name, rows, columns)
    if len(body.v) != len(body.k):
        message = f"v: there must be a value for each of the {len(body.k)} keys, not {len(body.v)}"
        raise InvalidRequest(message, param="v", code="invalid_value")
    if body.causal and len(body.q) != len(body.k):
        message = (
            f"causal: {len(body.q)} queries and {len(body.k)} keys have no positions in common: "
            "use as many of both, or false"
        )
        raise InvalidRequest(message, param="causal", code="invalid_value")
    q, k, v = (torch.tensor(rows, dtype=torch.float64) for rows in (body.q, body.k, body.v))
    masked = causal(len(q)) if body.causal else torch.zeros(len(q), len(k), dtype=torch.bool)
    return _steps(attend(q, k, v, masked))


def _check_columns(name: str, rows: list[list[float]], count: int | None) -> None:
    wanted = count or len(rows[0])
    for i, row in enumerate(rows):
        if len(row) != wanted:
            why = "as the first query has" if count else "as its first row has"
            message = f"{name}: row {i} needs {wanted} numbers, {why}, not {len(row)}"
            raise InvalidRequest(message, param=name, code="invalid_value")
