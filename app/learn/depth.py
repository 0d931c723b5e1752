"""A text's way through the depth of a run, and the same with dropout, as replies."""

import math
from dataclasses import asdict
from typing import Literal

from pydantic import BaseModel, Field
from torch import Tensor

from app.attention_schemas import RunReading, Window
from app.errors import InvalidRequest
from app.reading import Window as Seen
from model.ablation import token_losses
from model.decoding import next_logits
from model.depth import NormStatistics, Step, ascend, norm_statistics
from model.dropout_spread import dropout_spread

DIGITS = 6

Number = float | None
Likeliest = list[tuple[str, float]]


class DepthRequest(RunReading):
    """A text of two tokens or more, whose way through the run is measured."""

    top: int = Field(5, ge=1, le=200, description="How many of the likeliest next tokens.")


class DepthPlace(BaseModel):
    """What comes out of one step; null for what float32 cannot hold."""

    step: Step = Field(description="`sum_1` and `sum_2` are the stream behind attention and MLP.")
    layer: int | None = Field(description="null for the embeddings, the last norm and the logits.")
    length: Number = Field(description="L2 norm of a token's vector, mean over the tokens.")
    variance: Number = Field(description="Over a vector's channels, mean over the tokens.")
    similarity: Number = Field(description="Cosine between two tokens' vectors, mean of all pairs.")
    gradient: Number = Field(description="L2 norm of the loss's gradient here, all tokens at once.")


class DepthVariant(BaseModel):
    """The run with or without residual connections and normalisation."""

    residual: bool
    norm: bool
    loss: Number = Field(description="Nats per token; null where it is no finite number.")
    next: Likeliest = Field(description="Next tokens and probabilities; empty if not finite.")
    places: list[DepthPlace] = Field(description="From the embeddings up to the logits.")


class NormLayer(BaseModel):
    """One normalisation: numbers over a vector's channels, mean over the tokens.

    `in` is what it reads, `normalised` what it makes of it before gain and bias, `out` the end.
    Means are without their signs; `square` is the mean square, which RMSNorm brings to 1.
    """

    step: Step
    layer: int | None
    mean_in: float
    variance_in: float
    mean_normalised: float
    variance_normalised: float
    square_normalised: float
    variance_out: float


class DepthReply(Window):
    norm: Literal["layernorm", "rmsnorm"] = Field(description="The run's kind of normalisation.")
    variants: list[DepthVariant] = Field(
        description="As the run is, without normalisation, without residual connections, without "
        "both: the same weights, which were trained with both."
    )
    norms: list[NormLayer] = Field(description="Of the run as it is, from below.")


class DropoutRequest(DepthRequest):
    """A text of two tokens or more, to be read many times with parts of the network left out."""

    dropout: float = Field(0.2, ge=0, le=0.9, description="The share of activations left out.")
    draws: int = Field(16, ge=2, le=64, description="So many passes, each with its own masks.")
    seed: int = Field(0, ge=0, lt=2**63, description="The same seed gives the same masks.")


class DropoutToken(BaseModel):
    """A next token's probability: without dropout, and over the passes with it."""

    token: str
    probability: float = Field(description="Without dropout.")
    mean: float
    deviation: float = Field(description="Standard deviation over the passes.")


class DropoutReply(Window):
    trained_with: float = Field(description="The dropout that the run's configuration has.")
    dropout: float
    seed: int
    loss: float = Field(description="Nats per token, without dropout.")
    losses: list[float] = Field(description="Of each pass.")
    mean: float = Field(description="Of `losses`.")
    deviation: float = Field(description="Standard deviation of `losses`.")
    loss_of_mean: float = Field(description="Of the mean of all passes' predictions.")
    next: list[DropoutToken] = Field(description="The likeliest without dropout, likeliest first.")


def measure_depth(window: Seen, body: DepthRequest) -> DepthReply:
    """Raises InvalidRequest for a single token, which has no loss."""
    _require_loss(window)
    return DepthReply(
        **window.facts(),
        norm=window.model.config.norm,
        variants=[
            _variant(window, residual, norm, body.top)
            for residual in (True, False)
            for norm in (True, False)
        ],
        norms=[_norm(each) for each in norm_statistics(window.model, window.ids)],
    )


def measure_dropout(window: Seen, body: DropoutRequest) -> DropoutReply:
    """Raises InvalidRequest for a single token, which has no loss."""
    _require_loss(window)
    spread = dropout_spread(window.model, window.ids, body.dropout, body.draws, body.seed)
    return DropoutReply(
        **window.facts(),
        trained_with=window.model.config.dropout,
        dropout=body.dropout,
        seed=body.seed,
        loss=_digits(token_losses(window.model, window.ids).mean()),
        losses=[_digits(loss) for loss in spread.losses],
        mean=_digits(spread.losses.mean()),
        deviation=_digits(spread.losses.std()),
        loss_of_mean=_digits(spread.loss_of_mean),
        next=_scattered(window, spread.probabilities, body.top),
    )


def _require_loss(window: Seen) -> None:
    if len(window.ids) < 2:
        message = "text: only one token of it is seen, and a loss needs two: use a longer text"
        raise InvalidRequest(message, param="text", code="too_short")


def _variant(window: Seen, residual: bool, norm: bool, top: int) -> DepthVariant:
    way = ascend(window.model, window.ids, residual=residual, norm=norm)
    return DepthVariant(
        residual=residual,
        norm=norm,
        loss=_number(way.loss),
        next=_likeliest(window, way.logits, top),
        places=[
            DepthPlace(
                step=place.step,
                layer=place.layer,
                length=_number(place.length),
                variance=_number(place.variance),
                similarity=_number(place.similarity),
                gradient=_number(place.gradient),
            )
            for place in way.places
        ],
    )


def _likeliest(window: Seen, logits: Tensor, top: int) -> Likeliest:
    probabilities = logits.double().softmax(-1)
    if not bool(probabilities.isfinite().all()):
        return []
    best = probabilities.topk(min(top, len(probabilities)))
    show = window.loaded.tokenizer.token_text
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return [(show(id), _digits(probability)) for id, probability in pairs]


def _norm(statistics: NormStatistics) -> NormLayer:
    fields = asdict(statistics).items()
    rounded = {name: _digits(it) if isinstance(it, float) else it for name, it in fields}
    return NormLayer.model_validate(rounded)


def _scattered(window: Seen, probabilities: Tensor, top: int) -> list[DropoutToken]:
    """The likeliest tokens without dropout, and what passes with it say, (N, vocab_size)."""
    usual = next_logits(window.model, window.ids).double().softmax(-1)
    means, deviations = probabilities.mean(0), probabilities.std(0)
    return [
        DropoutToken(
            token=window.loaded.tokenizer.token_text(id),
            probability=_digits(usual[id]),
            mean=_digits(means[id]),
            deviation=_digits(deviations[id]),
        )
        for id in usual.topk(min(top, len(usual))).indices.tolist()
    ]


def _number(value: float) -> Number:
    return _digits(value) if math.isfinite(value) else None


def _digits(value: float | Tensor) -> float:
    """As many digits as float32 is sure of."""
    return float(f"{float(value):.{DIGITS}g}")
