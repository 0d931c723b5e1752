"""The runs there are."""

from sidelight.asking import Ask, Call, place
from sidelight.shapes import Run, RunDetail


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
