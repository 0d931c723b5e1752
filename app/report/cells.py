"""What stands in the cells of a report's tables, the same in the page and in every file."""

from app.report.schemas import Report, ReportRow
from app.report.words import UNKNOWN, figure, percent

MOST_CHANGES = 6  # the JSON has all of them


def name(row: ReportRow) -> str:
    return f"{row.title}, so far" if row.training else row.title


def changes(row: ReportRow) -> list[str]:
    """The first settings that are not as in the reference."""
    return [f"{change.name} {change.value}" for change in row.changes[:MOST_CHANGES]]


def more_changes(row: ReportRow) -> str:
    """How many there are besides; empty for none."""
    rest = len(row.changes) - MOST_CHANGES
    return f"{rest} more" if rest > 0 else ""


def change(report: Report, row: ReportRow) -> str:
    """Its loss against the reference's, or why that cannot be said."""
    if row.id == report.reference:
        return "reference"
    return row.cost.incomparable or percent(row.change_percent or 0)


def minutes(row: ReportRow) -> str:
    return UNKNOWN if row.cost.minutes is None else figure(row.cost.minutes)


def times(report: Report, row: ReportRow) -> str:
    """The reference's minutes so many times, and where, if it was elsewhere."""
    if row.cost.times is None:
        return UNKNOWN
    elsewhere = row.device and row.device != report.runs[0].device
    return f"{figure(row.cost.times)} on {row.device}" if elsewhere else figure(row.cost.times)


def gained(report: Report, row: ReportRow) -> str:
    """Of the reference's loss in each minute; negative where the loss is higher."""
    rate = row.cost.percent_per_minute
    if rate is None or row.id == report.reference:
        return "–"
    return f"{'−' if rate < 0 else ''}{figure(abs(rate))} %"
