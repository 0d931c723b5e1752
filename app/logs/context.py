"""The request that is being answered, for whatever has something to say while it is.

Threads that work for a request see it too: anyio hands them a copy of the context.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Asked:
    """One request, and what is to stand in its line beside what every line has."""

    id: str
    facts: dict[str, Any] = field(default_factory=dict)


current: ContextVar[Asked | None] = ContextVar("request", default=None)


def note(**facts: Any) -> None:
    """Add to the line of the request that is being answered, if there is one.

    Never what was sent or written: only ids, numbers and fixed words.
    """
    if asked := current.get():
        asked.facts.update(facts)


def fields(**values: Any) -> dict[str, Any]:
    """Named values beside a message: `log.info("job started", extra=fields(job=id))`."""
    return {"fields": values}
