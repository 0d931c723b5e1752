"""What a table of runs comes to, in a few sentences."""

from collections import Counter
from collections.abc import Sequence

from app.report.cost import SMALLEST_CHANGE, by_gain
from app.report.schemas import ReportRow
from app.report.words import VERDICTS, duration, figure, loss, percent


def conclusion(rows: Sequence[ReportRow]) -> list[str]:
    """Of a report whose first row is the reference."""
    reference, *others = rows
    compared = sorted(
        (row for row in others if row.change_percent is not None),
        key=lambda row: row.change_percent or 0,
    )
    if not compared:
        return [f"There is no loss here to compare with {reference.title}.", *_verdicts(rows)]
    lower = [row for row in compared if (row.change_percent or 0) <= -SMALLEST_CHANGE]
    higher = [row for row in compared if (row.change_percent or 0) >= SMALLEST_CHANGE]
    told = [_lowest(lower[0], reference) if lower else _none_lower(reference)]
    if len(compared) > 1:
        told += _side("Lower", lower, reference) + _side("Higher", higher, reference)
    if len(lower) > 1:
        told.append(_quickest(min(lower, key=lambda row: by_gain(row.cost))))
    return [*told, *_verdicts(rows)]


def _lowest(row: ReportRow, reference: ReportRow) -> str:
    times = row.cost.times
    place = f" on {row.device}" if row.device and row.device != reference.device else ""
    spent = "" if times is None else f", for {figure(times)} times the minutes{place}"
    below = f"{abs(row.change_percent or 0):.1f} % below {reference.title}"
    return f"Lowest validation loss: {row.title}, {loss(row.val_loss)}, {below}{spent}."


def _none_lower(reference: ReportRow) -> str:
    return (
        f"No validation loss is lower than that of {reference.title}, {loss(reference.val_loss)}."
    )


def _side(word: str, rows: Sequence[ReportRow], reference: ReportRow) -> list[str]:
    each = ", ".join(f"{row.title} ({percent(row.change_percent or 0)})" for row in rows)
    return [f"{word} than {reference.title}: {each}."] if rows else []


def _quickest(row: ReportRow) -> str:
    gained = f"{abs(row.change_percent or 0):.1f} % in {duration(row.wall_time_s)}"
    return f"Most gained for each minute of training: {row.title}, {gained}."


def _verdicts(rows: Sequence[ReportRow]) -> list[str]:
    written = [row for row in rows if row.hypothesis]
    if not written:
        return []
    counts = Counter(row.verdict for row in written)
    words = VERDICTS | {None: "without a verdict"}
    parts = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    noun = "hypothesis" if len(written) == 1 else "hypotheses"
    return [f"Of {len(written)} {noun}: {', '.join(parts)}."]
