"""The server's JSON about attention, as types; see docs/attention.md for what each number is."""

from typing import Any, Literal, TypedDict

from numpy.typing import NDArray

Kind = Literal["raw", "value_weighted", "output_weighted", "rollout"]
Merge = Literal["heads", "all"]
MergeBy = Literal["mean", "max"]
Match = Literal["place", "layer", "anywhere"]
Fill = Literal["zero", "mean"]


class Window(TypedDict):
    """The tokens that were read; positions count from the first of them."""

    run: str
    step: int | None
    tokens: list[str]
    text_offset: int
    n_layer: int
    n_head: int


class LensRow(TypedDict):
    """What the residual stream would say next, if the model ended here."""

    at: Literal["embedding", "attention", "mlp"]
    layer: int | None
    top: list[list[str | float]]
    target_probability: float
    target_rank: int


class Contribution(TypedDict):
    """What one part of the model adds to the logit of a next token."""

    part: Literal["embedding", "head", "attention_bias", "mlp", "norm_bias", "output_bias"]
    layer: int | None
    head: int | None
    logit: float


class Attribution(TypedDict):
    """The logit of a next token, less the average one, as the sum of its parts."""

    target: str
    probability: float
    logit: float
    parts: list[Contribution]


class Inside(Window):
    """One query of one head. `row` holds arrays over the keys, and the `scale` of the scores."""

    layer: int
    head: int
    query: int
    row: dict[str, NDArray[Any]]
    lens: list[LensRow]
    attribution: Attribution


class BeforeAfter(TypedDict):
    """A next token's probabilities."""

    token: str
    before: float
    after: float


class WithoutHeads(Window):
    """Before and after heads were switched off. Losses are nats per token; None for the first."""

    heads: list[list[int]]
    fill: Fill
    loss_before: float | None
    loss_after: float | None
    losses_before: list[float | None]
    losses_after: list[float | None]
    next: list[BeforeAfter]
    text_before: str
    text_after: str


class WritingOn(TypedDict, total=False):
    """How text goes on once heads are switched off."""

    generate: int  # tokens
    temperature: float
    top_k: int
    top_p: float
    seed: int
    top: int  # how many next tokens
    length: int  # see only so many of the text's last tokens


class Drawing(TypedDict, total=False):
    """How the next token is drawn, and how many to tell of."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition_penalty: float
    target: str  # a token to tell of as well
    top: int  # how many of the likeliest
    length: int  # see only so many of the text's last tokens
