"""What sets a run apart from another one, as the page of runs tells it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from app.report.schemas import ReportChange
from app.report.words import UNKNOWN, plain
from app.run_listing import RunSummary

Group = Mapping[str, Any] | None  # None: nobody knows them

# Settings that say how a run is watched or stored, not what it learns.
ASIDE = {
    "eval_interval",
    "eval_iters",
    "eval_batch",
    "snapshots",
    "compile",
    "device",
    "grad_accum",
}


def differences(run: RunSummary, other: RunSummary) -> list[ReportChange]:
    """The settings that are known to differ, the model's before the training's.

    Only the kind where the kinds differ, since nothing else can then be compared.
    """
    if run.kind != other.kind:
        return [ReportChange(name="kind", value=run.kind, reference=other.kind)]
    return [
        change
        for mine, theirs in zip(_settings(run), _settings(other), strict=True)
        for change in _apart(mine, theirs)
    ]


def _settings(run: RunSummary) -> tuple[Group, Group, Group]:
    """All that a run was made from: model, training, origin."""
    train = run.config.train
    return (
        run.config.model.model_dump(mode="json"),
        None if train is None else train.model_dump(mode="json"),
        {
            "text": run.corpus.name if run.corpus else UNKNOWN,
            "tokenizer": run.tokenizer,
            "init_from": _origin(run),
        },
    )


def _apart(mine: Group, theirs: Group) -> Iterator[ReportChange]:
    for name in dict.fromkeys([*(mine or ()), *(theirs or ())]):
        value, other = _setting(mine, name), _setting(theirs, name)
        if name not in ASIDE and value != other and UNKNOWN not in (value, other):
            yield ReportChange(name=name, value=value, reference=other)


def _setting(group: Group, name: str) -> str:
    if group is None:
        return UNKNOWN
    return _shown(group[name]) if name in group else "–"


def _shown(value: Any) -> str:
    match value:
        case None:
            return "none"
        case str():
            return value
        case float():
            return plain(value)
    return json.dumps(value, separators=(",", ":"))


def _origin(run: RunSummary) -> str | None:
    if run.init_from is None:
        return None
    step = run.init_from.step
    return run.init_from.run if step is None else f"{run.init_from.run} at {step}"
