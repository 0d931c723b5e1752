"""Runs by name: `baseline`, or `baseline@388` as it was at a training step."""

from typing import TypedDict

from sidelight.errors import SidelightError


class RunAt(TypedDict):
    """A run, and one of its steps; None for its final weights."""

    run: str
    step: int | None


def run_at(name: str) -> RunAt:
    """Raises SidelightError."""
    run, _, step = name.partition("@")
    if step and not step.isdecimal():
        raise SidelightError(f"{name}: what follows @ must be a step, as in baseline@388", "run")
    return {"run": run, "step": int(step) if step else None}
