"""Which runs a report is about."""

from collections.abc import Sequence

from app.errors import UnknownRun, UnusableRun
from app.registry import Registry, Run


def choose(registry: Registry, ids: Sequence[str], reference: str | None) -> tuple[list[Run], Run]:
    """The runs named, or all that have a loss; and the one that they are compared with.

    That is `reference`, else `baseline`, else the first that was trained here. Raises UnknownRun or
    UnusableRun, with the field at fault.
    """
    named = [_find(registry, id, "runs") for id in dict.fromkeys(ids)]
    against = _find(registry, reference, "reference") if reference else None
    everything = registry.runs()
    runs = named or [run for run in everything if run.kept]
    if not runs:
        raise UnknownRun("no run has a loss yet: train one first", param="runs", code="no_runs")
    return runs, against or _usual_reference(everything, runs)


def _find(registry: Registry, id: str, param: str) -> Run:
    try:
        return registry.run(id)
    except (UnknownRun, UnusableRun) as error:
        raise type(error)(error.message, param=param, code=error.code) from None


def _usual_reference(everything: Sequence[Run], chosen: Sequence[Run]) -> Run:
    baseline = [run for run in everything if run.id == "baseline"]
    trained = [run for run in chosen if run.config.imported is None]
    return next(iter((*baseline, *trained, *chosen)))
