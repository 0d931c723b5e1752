"""What each run cost, in minutes of training, against what it brought, in validation loss.

The arithmetic is that of the page of runs, in static/js/runs/cost_gain.js; a test holds the two
together.
"""

from math import inf, isfinite

from app.report.schemas import ReportCost
from app.report.words import figure
from app.run_listing import RunSummary

ABOUT_THE_SAME = 0.05  # a ratio this close to 1 is no difference worth a number
SMALLEST_CHANGE = 0.05  # per cent; less rounds to 0.0 %


def finite(value: float | None) -> float | None:
    """None for a loss that became infinite or no number."""
    return value if value is not None and isfinite(value) else None


def same_text(run: RunSummary, other: RunSummary) -> bool:
    """Whether both are known to be trained and validated on the same text."""
    return bool(run.corpus and other.corpus and run.corpus.sha256 == other.corpus.sha256)


def is_measured(run: RunSummary) -> bool:
    """Whether its losses were measured here, or are going to be."""
    return run.imported is None or finite(run.val_loss) is not None


def change_percent(run: RunSummary, reference: RunSummary) -> float | None:
    """By how much its loss per character lies above the reference's; None if incomparable."""
    mine = finite(run.val_bits_per_character)
    theirs = finite(reference.val_bits_per_character)
    if mine is None or not theirs or not same_text(run, reference):
        return None
    return 100 * (mine / theirs - 1)


def cost(run: RunSummary, reference: RunSummary) -> ReportCost:
    minutes, whole = _minutes(run), _minutes(reference)
    change = change_percent(run, reference)
    times = minutes / whole if minutes is not None and whole else None
    rate = -change / minutes if change is not None and minutes else None
    return ReportCost(
        minutes=minutes,
        times=times,
        percent_per_minute=rate,
        incomparable=_incomparable(run, reference) if change is None else "",
        sentence=_sentence(run, reference, minutes, times, change, rate),
    )


def by_gain(cost: ReportCost) -> float:
    """To sort by: the largest gain for each minute first, last what does not compare."""
    return inf if cost.percent_per_minute is None else -cost.percent_per_minute


def _sentence(
    run: RunSummary,
    reference: RunSummary,
    minutes: float | None,
    times: float | None,
    change: float | None,
    rate: float | None,
) -> str:
    """Twice the iterations: 1.9 times baseline's minutes, validation loss 4.3 % lower."""
    title = f"{run.title}, so far" if run.training else run.title
    if run.id == reference.id:
        loss = finite(run.val_loss)
        measured = "" if loss is None else f", validation loss {loss:.4f}"
        return f"{title}: {_spent(minutes)}{measured}. The others are measured against it."
    if minutes is None and not is_measured(run):
        return f"{title}: brought in, so neither its time nor its loss was measured here."
    spent = _spent(minutes) if times is None else _times_words(times, reference)
    place = f" on {run.device}" if run.device and run.device != reference.device else ""
    gains = rate is not None and (change or 0) <= -SMALLEST_CHANGE
    gain = f" ({figure(rate)} % for each minute)" if gains and rate is not None else ""
    return f"{title}: {spent}{place}, {_change_words(run, reference, change)}{gain}."


def _minutes(run: RunSummary) -> float | None:
    return None if run.wall_time_s is None else run.wall_time_s / 60


def _spent(minutes: float | None) -> str:
    return "time not measured" if minutes is None else f"{figure(minutes)} minutes"


def _times_words(times: float, reference: RunSummary) -> str:
    name = "baseline" if reference.id == "baseline" else reference.title
    if abs(times - 1) < ABOUT_THE_SAME:
        return f"about as many minutes as {name}"
    return f"{figure(times)} times {name}'s minutes"


def _change_words(run: RunSummary, reference: RunSummary, change: float | None) -> str:
    if change is None:
        why = _incomparable(run, reference)
        return f"{why}, so its loss does not compare" if "text" in why else why
    per_character = run.tokenizer == reference.tokenizer == "character"
    measure = "validation loss" if per_character else "bits per character"
    if abs(change) < SMALLEST_CHANGE:
        return f"{measure} the same"
    return f"{measure} {abs(change):.1f} % {'lower' if change < 0 else 'higher'}"


def _incomparable(run: RunSummary, reference: RunSummary) -> str:
    if finite(run.val_loss) is None:
        return "no validation loss yet"
    if run.corpus is None or reference.corpus is None:
        return "a text nobody knows"
    return "nothing to compare it with" if same_text(run, reference) else "another text"
