"""The client: a server's runs and jobs from Python, blocking or with asyncio.

    from sidelight.client import Sidelight

    sidelight = Sidelight("http://127.0.0.1:8000")
    sidelight.generate("baseline", "ROMEO:", seed=1)
    seen = sidelight.attention("baseline", "To be, or not to be")
    seen.maps[2, 1]                                  # layer 2, head 1: (query, key)
    sidelight.attention("baseline@388", "To be")     # the same run at step 388

Every method is there twice: `await` it of an AsyncSidelight. docs/client.md shows them all.
"""

from sidelight.attention_shapes import Inside, WithoutHeads
from sidelight.awaiting import AsyncStream, AwaitedClient, awaited
from sidelight.awaiting import iterating as async_iterating
from sidelight.blocking import BlockingClient, Stream, blocking, iterating
from sidelight.calls import heads, insides, listing, models, texts, training, writing
from sidelight.calls.heads import Array, Attention, Comparison, Roles
from sidelight.calls.insides import NextToken
from sidelight.calls.writing import Score
from sidelight.completion import Choice, Completion, Piece, Sampling, Token, Usage
from sidelight.errors import SidelightError
from sidelight.job_events import Event, JobEvent
from sidelight.report_shapes import Report
from sidelight.shapes import (
    Corpus,
    Job,
    Metric,
    Notes,
    Progress,
    Run,
    RunDetail,
    Sample,
    Snapshot,
)

__all__ = [
    "Array",
    "AsyncSidelight",
    "AsyncStream",
    "Attention",
    "Choice",
    "Comparison",
    "Completion",
    "Corpus",
    "Event",
    "Inside",
    "Job",
    "JobEvent",
    "Metric",
    "NextToken",
    "Notes",
    "Piece",
    "Progress",
    "Report",
    "Roles",
    "Run",
    "RunDetail",
    "Sample",
    "Sampling",
    "Score",
    "Sidelight",
    "SidelightError",
    "Snapshot",
    "Stream",
    "Token",
    "Usage",
    "WithoutHeads",
]


class Sidelight(BlockingClient):
    """A server. A run is named as `baseline`, or as `baseline@388` at a step.

    All raise SidelightError when the server refuses, and httpx's errors when there is none.
    """

    runs = blocking(listing.runs)
    run = blocking(listing.run)
    report = blocking(listing.report)
    annotate = blocking(listing.annotate)

    complete = blocking(writing.complete)
    generate = blocking(writing.generate)
    stream = iterating(writing.stream)
    score = blocking(writing.score)

    attention = blocking(heads.attention)
    roles = blocking(heads.roles)
    compare = blocking(heads.compare)
    inside = blocking(insides.inside)
    importance = blocking(insides.importance)
    without_heads = blocking(insides.without_heads)
    next_token = blocking(insides.next_token)

    train = blocking(training.train)
    jobs = blocking(training.jobs)
    job = blocking(training.job)
    cancel = blocking(training.cancel)
    resume = blocking(training.resume)
    watch = iterating(training.watch)

    import_model = blocking(models.import_model)
    export = blocking(models.export)
    corpora = blocking(texts.corpora)
    upload_corpus = blocking(texts.upload_corpus)


class AsyncSidelight(AwaitedClient):
    """A server, for asyncio: the same calls, to be awaited; what streams is for `async for`."""

    runs = awaited(listing.runs)
    run = awaited(listing.run)
    report = awaited(listing.report)
    annotate = awaited(listing.annotate)

    complete = awaited(writing.complete)
    generate = awaited(writing.generate)
    stream = async_iterating(writing.stream)
    score = awaited(writing.score)

    attention = awaited(heads.attention)
    roles = awaited(heads.roles)
    compare = awaited(heads.compare)
    inside = awaited(insides.inside)
    importance = awaited(insides.importance)
    without_heads = awaited(insides.without_heads)
    next_token = awaited(insides.next_token)

    train = awaited(training.train)
    jobs = awaited(training.jobs)
    job = awaited(training.job)
    cancel = awaited(training.cancel)
    resume = awaited(training.resume)
    watch = async_iterating(training.watch)

    import_model = awaited(models.import_model)
    export = awaited(models.export)
    corpora = awaited(texts.corpora)
    upload_corpus = awaited(texts.upload_corpus)
