"""The runs there are."""

from collections.abc import Sequence
from types import EllipsisType

from sidelight.asking import Ask, Call, place
from sidelight.report_shapes import Report
from sidelight.shapes import Notes, Run, RunDetail, Verdict


def runs() -> Call[list[Run]]:
    """Every run with its configuration, losses and the steps of its snapshots."""
    answer = yield Ask("GET", "/api/runs")
    found: list[Run] = answer.json()["runs"]
    return found


def run(id: str) -> Call[RunDetail]:
    """One run, with every evaluation, every sample and its vocabulary besides."""
    answer = yield Ask("GET", place("api", "runs", id))
    found: RunDetail = answer.json()
    return found


def report(runs: Sequence[str] = (), *, reference: str | None = None) -> Call[Report]:
    """What each change cost and brought, against `reference`: `baseline`, or else the first.

    Of all runs that have a loss, if none are named. Each has a row, with its curve and a sample.
    """
    query = {"runs": ",".join(runs) or None, "reference": reference}
    answer = yield Ask("GET", "/api/report", query=query)
    found: Report = answer.json()
    return found


def annotate(
    run: str,
    *,
    hypothesis: str | None = None,
    outcome: str | None = None,
    verdict: Verdict | EllipsisType | None = ...,
    if_unchanged: Notes | None = None,
) -> Call[Run]:
    """Note what was expected of a run, what came of it, and the verdict: None for none so far.

    What is left out stays as it is. `if_unchanged` has notes as they were read: where one of them
    differs by now, the server refuses, so that nobody's newer words are lost.
    """
    wanted = {"hypothesis": hypothesis, "outcome": outcome, "if_unchanged": if_unchanged}
    body: dict[str, object] = {name: value for name, value in wanted.items() if value is not None}
    if verdict is not ...:
        body["verdict"] = verdict
    answer = yield Ask("PATCH", place("api", "runs", run), json=body)
    noted: Run = answer.json()
    return noted
