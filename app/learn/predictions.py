"""What a run expects next, and how well the orders of an n-gram run predict, as replies."""

import math
import threading
from collections.abc import Sequence as Ids
from weakref import WeakKeyDictionary

from pydantic import BaseModel, Field

from app.attention_schemas import RunAt
from app.corpora import Corpora
from app.errors import InvalidRequest
from app.learn.texts import split_ids, text_of
from app.prompting import start_ids
from app.registry import LoadedRun
from app.schemas import LARGEST
from model.decoding import next_logits
from model.language_model import LanguageModel
from model.ngram import NGram
from model.ngram_orders import OrderSum, of_order, order_losses, sums_after
from model.scoring import score, work
from model.tokenizer import TextDecoder, UnknownCharacters

MOST_CHARACTERS = 10_000
MOST_SURPRISES = 300  # tokens of the text's end
MOST_WORK = 4e10  # multiplications: some seconds of a core
DIGITS = 8  # significant ones, of a probability


class NextTokenRequest(RunAt):
    """A text, and the run that says how it goes on."""

    text: str = Field(
        "",
        max_length=MOST_CHARACTERS,
        description="What came before; of a longer one than the context, the end. An empty one "
        "stands for the run's `start`.",
        examples=["To be, or not to b"],
    )
    order: int | None = Field(
        None,
        ge=1,
        le=LARGEST,
        description="Of an n-gram run: count no longer sequences than this.",
    )
    top: int = Field(10, ge=1, le=200, description="How many of the likeliest tokens.")


class Likely(BaseModel):
    """A token that may come next."""

    token: str
    id: int
    probability: float


class Surprise(BaseModel):
    """A token of the text, and how unexpected it was where it stands."""

    token: str
    bits: float | None = Field(description="-log2 of its probability; null for the first.")


class OrderCounts(BaseModel):
    """One order of an n-gram run: what followed the last `order` - 1 tokens where it learned.

    p(w) = (count(w) + kinds p'(w)) / (total + kinds), p' being the order below, and below the
    first one every token equally likely. Where `total` is 0, p is p'.
    """

    order: int
    context: list[str] = Field(description="The `order` - 1 tokens before.")
    total: int = Field(description="How often they were followed by anything.")
    kinds: int = Field(description="How many different tokens followed them.")
    counts: list[int] = Field(description="How often each of `candidates` did.")
    probabilities: list[float] = Field(description="p of each of `candidates` up to this order.")


class NextTokenReply(BaseModel):
    run: str
    step: int | None
    kind: str
    unit: str = Field(description="What a count of the run's tokens counts.")
    vocab_size: int
    order: int | None = Field(description="null for all but n-gram runs.")
    tokens: list[str] = Field(description="What was looked at: the end of the text, in order.")
    left_out: int = Field(description="Characters of the text before them, which change nothing.")
    started: bool = Field(description="Whether the text was empty, and the run's `start` read.")
    candidates: list[Likely] = Field(description="The likeliest, best first.")
    rest: float = Field(description="Probability of all the other tokens together.")
    entropy: float = Field(description="Of the whole distribution, in bits.")
    surprises: list[Surprise] | None = Field(
        description=f"Of the text's tokens, the last {MOST_SURPRISES} of a longer one; null for an "
        "empty text, and where a large context would have to be read anew for each."
    )
    bits_per_character: float | None = Field(
        description="Of those with a surprise: their bits over their characters."
    )
    sums: list[OrderCounts] | None = Field(
        description="Of an n-gram run, from order 1 up; fewer where the text is too short."
    )


class OrderQuality(BaseModel):
    """How well one order predicts the validation text."""

    order: int = Field(description="0: every token is equally likely.")
    size: int = Field(description="How many counts it keeps, those of the lower orders among them.")
    loss: float = Field(description="Nats per token.")
    bits_per_character: float
    perplexity: float = Field(description="Per token: e to the loss.")


class OrdersReply(BaseModel):
    run: str
    corpus: str = Field(description="Id of the text that it counted.")
    unit: str = Field(description="What a count of the run's tokens counts.")
    characters: int = Field(description="Of the validation text.")
    tokens: int = Field(description="Of the validation text.")
    window: int = Field(description="Tokens that are predicted one after another, as in training.")
    orders: list[OrderQuality]


class OrderLosses:
    """The losses of each order of an n-gram model, worked out once; any thread may ask."""

    def __init__(self) -> None:
        self._working = threading.Lock()
        self._found: WeakKeyDictionary[NGram, list[float]] = WeakKeyDictionary()

    def quality(self, loaded: LoadedRun, corpora: Corpora) -> OrdersReply:
        """On the validation split of the text that the run counted. Raises InvalidRequest."""
        run, model = loaded.run, loaded.model
        if not isinstance(model, NGram):
            message = f"run: {run.id!r} is a {model.config.kind} model, which counts no orders"
            raise InvalidRequest(message, param="run", code="no_orders")
        corpus, about = text_of(run, corpora)
        _, val_ids = split_ids(run, corpus)
        characters = len(corpus.split()[1])
        window = (run.config.train.window if run.config.train else None) or model.block_size
        with self._working:  # whoever comes second waits, rather than do the same
            losses = self._found.get(model) or order_losses(model, val_ids, window)
            self._found[model] = losses
        per_character = len(val_ids) / characters / math.log(2)
        return OrdersReply(
            run=run.id,
            corpus=about.id,
            unit=run.tokenizer.unit,
            characters=characters,
            tokens=len(val_ids),
            window=window,
            orders=[
                OrderQuality(
                    order=order,
                    size=of_order(model, order).size if order else 0,
                    loss=loss,
                    bits_per_character=loss * per_character,
                    perplexity=math.exp(loss),
                )
                for order, loss in enumerate([math.log(model.vocab_size), *losses])
            ],
        )


def predict(loaded: LoadedRun, body: NextTokenRequest) -> NextTokenReply:
    """Raises InvalidRequest for characters the run does not know, and for an order it has not."""
    tokenizer, model = loaded.tokenizer, _chosen(loaded, body.order)
    reach = model.config.order - 1 if isinstance(model, NGram) else model.reach
    ids, before = _end(loaded, body.text, max(reach, 1) + MOST_SURPRISES)
    seen = ids[max(0, len(ids) - reach) :]
    p = next_logits(model, ids).double().softmax(-1)
    best = p.topk(min(body.top, len(p)))
    chosen = best.indices.tolist()
    sums = sums_after(model, seen) if isinstance(model, NGram) else None
    surprises, mean = None, None
    if work(model, len(ids)) <= MOST_WORK and body.text:
        surprises, mean = _surprises(loaded, model, ids)
    return NextTokenReply(
        run=loaded.run.id,
        step=loaded.step,
        kind=model.config.kind,
        unit=tokenizer.unit,
        vocab_size=model.vocab_size,
        order=model.config.order if isinstance(model, NGram) else None,
        tokens=[tokenizer.token_text(id) for id in seen],
        left_out=_characters(loaded, ids[: len(ids) - len(seen)]) + before if body.text else 0,
        started=not body.text,
        candidates=[
            Likely(token=tokenizer.token_text(id), id=id, probability=_rounded(probability))
            for id, probability in zip(chosen, best.values.tolist(), strict=True)
        ],
        rest=_rounded(max(0.0, 1 - float(best.values.sum()))),
        entropy=float(-p.xlogy(p).sum()) / math.log(2),
        surprises=surprises,
        bits_per_character=mean,
        sums=None if sums is None else [_counts(loaded, line, chosen) for line in sums],
    )


def _chosen(loaded: LoadedRun, order: int | None) -> LanguageModel:
    """The run's model, or with an order only what it counts up to there."""
    model = loaded.model
    if order is None:
        return model
    if not isinstance(model, NGram):
        message = f"order: run {loaded.run.id!r} is a {model.config.kind} model; leave it out"
        raise InvalidRequest(message, param="order", code="invalid_value")
    if order > model.config.order:
        message = f"order: run {loaded.run.id!r} counts up to order {model.config.order}"
        raise InvalidRequest(message, param="order", code="invalid_value")
    return of_order(model, order)


def _end(loaded: LoadedRun, text: str, count: int) -> tuple[list[int], int]:
    """The last `count` ids of the text, at least one, and how many characters are before them."""
    if not text:
        return start_ids(loaded.tokenizer), 0
    try:
        return loaded.tokenizer.encode_end(text, count)
    except UnknownCharacters as error:
        message = f"text: run {loaded.run.id!r} cannot read it: {error}"
        raise InvalidRequest(message, param="text", code="unknown_characters") from None


def _characters(loaded: LoadedRun, ids: Ids[int]) -> int:
    """How many lie wholly in these."""
    return len(TextDecoder(loaded.tokenizer).feed(*ids))


def _surprises(
    loaded: LoadedRun, model: LanguageModel, ids: Ids[int]
) -> tuple[list[Surprise], float | None]:
    """Of the last MOST_SURPRISES ids; and their mean, in bits per character.

    `ids` are the whole text, or begin so early that each has all before it that the run can see.
    """
    last = ids[-MOST_SURPRISES:]
    tokens = score(model, ids)[-len(last) :]
    bits = [None if token is None else max(0.0, -token.logprob / math.log(2)) for token in tokens]
    surprises = [
        Surprise(
            token=loaded.tokenizer.token_text(id),
            bits=None if surprise is None else _rounded(surprise),
        )
        for id, surprise in zip(last, bits, strict=True)
    ]
    known = [surprise for surprise in bits if surprise is not None]
    characters = _characters(loaded, last[len(last) - len(known) :])
    return surprises, _rounded(sum(known) / characters) if characters else None


def _counts(loaded: LoadedRun, line: OrderSum, chosen: Ids[int]) -> OrderCounts:
    return OrderCounts(
        order=line.order,
        context=[loaded.tokenizer.token_text(id) for id in line.context],
        total=line.total,
        kinds=line.kinds,
        counts=line.counts[chosen].tolist(),
        probabilities=[_rounded(probability) for probability in line.p[chosen].tolist()],
    )


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
