"""Requests and replies around attention, with their bounds."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool

from app.attention_wire import Encoding
from app.schemas import LARGEST, MAX_PROMPT_CHARACTERS, ApiRequest, Name, Step, TokenId
from model.ablation import Fill
from model.attention import Kind, Merge, MergeBy
from model.sampling import Stage

Indices = Annotated[list[TokenId], Field(min_length=1, max_length=256)]
Place = Annotated[list[TokenId], Field(min_length=2, max_length=2)]
Grid = list[list[float]]


class RunAt(ApiRequest):
    """A run, or a run as it was at a training step."""

    run: Name = Field(description="Id of a run.", examples=["baseline"])
    step: Step | None = Field(None, description="Take the snapshot of this training step.")


class Reading(ApiRequest):
    """A text to be read."""

    text: str = Field(
        min_length=1,
        max_length=MAX_PROMPT_CHARACTERS,
        description="The text; of a longer one than the context, the end.",
        examples=["To be, or not to be"],
    )
    length: int | None = Field(
        None,
        ge=1,
        le=LARGEST,
        description="See only this many of its last tokens, as a shorter context would.",
    )


class RunReading(RunAt, Reading):
    """A text, and the run that reads it."""


class Window(BaseModel):
    """What was read, and of which run; positions count from the window's first token."""

    run: str
    step: int | None
    tokens: list[str] = Field(description="The T tokens that were seen.")
    text_offset: int = Field(description="Characters of the text that come before the first token.")
    n_layer: int = Field(description="Layers of the model.")
    n_head: int = Field(description="Heads of each layer.")


# Maps


class AttentionRequest(RunReading):
    """A text, and which heads of which run should read it."""

    layers: Indices | None = Field(None, description="Only these layers, from 0; all if left out.")
    heads: Indices | None = Field(None, description="Only these heads, from 0; all if left out.")
    kind: Kind = Field(
        "raw",
        description="`raw`: the softmax as the model uses it. `value_weighted`: times the length "
        "of the value that it takes. `output_weighted`: times the length of what that value adds "
        "to the residual stream. `rollout`: through this head and all layers below it, to the "
        "tokens at the bottom.",
    )
    merge: Merge | None = Field(
        None, description="One map for each layer, or one in all, instead of one for each head."
    )
    merge_by: MergeBy = Field("mean", description="How maps become one.")
    encoding: Encoding = Field(
        "uint8",
        description="A byte of the compact form: round(scale p), or `sqrt8`, "
        "round(255 sqrt(p / largest)), which keeps small weights apart.",
    )


class AttentionReply(Window):
    """The maps of the chosen heads; rows of `raw` and `rollout`, and of their means, sum to 1."""

    kind: Kind
    merge: Merge | None
    merge_by: MergeBy
    layers: list[int] = Field(description="The layers that are here, or are merged.")
    heads: list[int] = Field(description="The heads that are here, or are merged.")
    largest: float = Field(description="The largest number of all.")
    shape: list[int] = Field(description="Layers, heads, T, T; 1 where several are merged.")
    maps: list[list[Grid]] = Field(description="[layer][head][query][key], rounded to 8 decimals.")


# What each head does


class Role(BaseModel):
    """What one score says."""

    name: str = Field(examples=["previous"])
    title: str = Field(examples=["Previous token"])
    definition: str
    source: str
    unit: Literal["share", "bits", "tokens"]
    on: Literal["text", "repeated random tokens"]
    badge_from: float | None = Field(description="The score that earns the badge.")


class HeadScores(BaseModel):
    """One head's scores, by role."""

    layer: int
    head: int
    scores: dict[str, float]
    corrected: dict[str, float] = Field(
        description="Of what is left without the first token, where that makes sense."
    )
    badges: list[str] = Field(description="Roles that the head has, the clearest first.")


class RolesRequest(RunReading):
    """A text on which the heads are scored; induction and duplicates need none."""


class RolesReply(Window):
    roles: list[Role]
    heads: list[HeadScores] = Field(description="By layer, then by head.")
    random_tokens: int = Field(description="Length of the repeated random sequences, both halves.")
    random_sequences: int


# Two runs, or one at two steps


class ComparisonRequest(Reading):
    """Two sides that read the same text."""

    a: RunAt
    b: RunAt
    match: Literal["place", "layer", "anywhere"] = Field(
        "place",
        description="Which head of `b` each of `a` is compared with: the one at its own place, or "
        "the best matching, within its layer or anywhere, each head at most once.",
    )
    without_first: StrictBool = Field(
        False, description="Leave the first token out, and compare what is left of each row."
    )


class HeadPair(BaseModel):
    a: Place
    b: Place | None = Field(description="null where `b` has fewer heads.")
    divergence: float | None = Field(description="Jensen-Shannon, in bits, 0 to 1.")
    similarity: float | None = Field(description="Cosine of the two maps, 0 to 1.")


class ComparisonReply(BaseModel):
    a: Window
    b: Window
    match: Literal["place", "layer", "anywhere"]
    pairs: list[HeadPair] = Field(description="One for each head of `a`, by layer and head.")


# Inside one head, for one query


class InsideRequest(RunReading):
    layer: TokenId
    head: TokenId
    query: TokenId | None = Field(None, description="Position that looks; the last if left out.")
    target: Name | None = Field(
        None,
        description="The next token to explain. If left out, the text's own, or behind its end the "
        "likeliest.",
    )
    top: int = Field(5, ge=1, le=50, description="How many likely next tokens of each layer.")


class HeadRow(BaseModel):
    """One query against every key of the window; those that it does not see are masked."""

    scale: float = Field(description="What scores are multiplied with: 1 / sqrt(head size).")
    score: list[float] = Field(description="q·k.")
    scaled: list[float] = Field(description="The score times `scale`.")
    masked: list[bool] = Field(
        description="Whether the key comes later than the query, or before its attention window."
    )
    weight: list[float] = Field(description="Softmax of those not masked.")
    value: list[float] = Field(description="Length of each key's value vector.")
    weighted: list[float] = Field(description="Length of weight times value.")


class LensRow(BaseModel):
    """What the residual stream would say next, if the model ended here."""

    at: Literal["embedding", "attention", "mlp"]
    layer: int | None
    top: list[tuple[str, float]] = Field(description="Likeliest next tokens with probabilities.")
    target_probability: float
    target_rank: int = Field(description="1 is the likeliest.")


class Contribution(BaseModel):
    part: Literal["embedding", "head", "attention_bias", "mlp", "norm_bias", "output_bias"]
    layer: int | None
    head: int | None
    logit: float


class Attribution(BaseModel):
    """The target's logit, less the average one, as a sum of what each part wrote."""

    target: str
    probability: float
    logit: float = Field(description="Its logit less the mean of all; the sum of `parts`.")
    parts: list[Contribution]


class InsideReply(Window):
    layer: int
    head: int
    query: int
    row: HeadRow
    lens: list[LensRow]
    attribution: Attribution


# The distribution that the next token is drawn from


class DistributionRequest(RunReading):
    """A text, and how its next token is drawn; the defaults change nothing."""

    temperature: float = Field(1.0, ge=0, le=10)
    top_k: int | None = Field(None, ge=1, le=LARGEST)
    top_p: float = Field(1.0, gt=0, le=1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float = Field(1.0, ge=0.1, le=10)
    target: Name | None = Field(None, description="A token that must be among the candidates.")
    top: int = Field(10, ge=1, le=200, description="How many of the likeliest.")


class Candidate(BaseModel):
    token: str
    id: int
    logit: float
    probabilities: list[float] = Field(description="After each stage; 0 once it is left out.")


class DistributionReply(Window):
    stages: list[Stage] = Field(
        description="Those that change something, in their order; `model` is the first."
    )
    left: list[int] = Field(description="How many tokens each stage leaves.")
    candidates: list[Candidate] = Field(description="The likeliest by the model, best first.")


# Heads switched off


class AblationRequest(RunReading):
    """Heads to switch off, and how to write on before and after."""

    heads: Annotated[list[Place], Field(min_length=1, max_length=1024)] = Field(
        description="[layer, head] of each.", examples=[[[0, 1], [3, 2]]]
    )
    fill: Fill = Field(
        "zero",
        description="What each puts out instead: nothing, or the `mean` of what it puts out over "
        "the positions of this text.",
    )
    generate: int = Field(0, ge=0, le=500, description="How many tokens to write on.")
    temperature: float = Field(1.0, ge=0, le=10)
    top_k: int | None = Field(None, ge=1, le=LARGEST)
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63, description="The same for both.")
    top: int = Field(10, ge=1, le=200)


class NextToken(BaseModel):
    token: str
    before: float
    after: float


class AblationReply(Window):
    heads: list[Place]
    fill: Fill
    loss_before: float | None = Field(description="Nats per token; null for a single token.")
    loss_after: float | None
    losses_before: list[float | None] = Field(description="Of each token; null for the first.")
    losses_after: list[float | None]
    next: list[NextToken] = Field(description="Likeliest in either, by the larger of the two.")
    text_before: str
    text_after: str


class ImportanceRequest(RunReading):
    """A text of at least two tokens on which each head is missed."""

    fill: Fill = Field("zero", description="What a head puts out instead, as in an ablation.")


class ImportanceReply(Window):
    fill: Fill
    loss: float = Field(description="With all heads, in nats per token.")
    changes: Grid = Field(description="[layer][head]: the loss without it, less `loss`.")
