"""Requests as plain values, so that each call is written once for blocking and for async use.

A call is a generator: it yields what to ask, is sent each answer and returns what its caller gets.
Who sends the requests, and whether that blocks, is not its business.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

ANSWER_S = 120  # a model may have to be loaded, and a long text read
WRITING_S = 660  # a server ends a text after ten minutes, unless it is set otherwise
FILES_S = 1800  # a model of a gigabyte is checked before the answer

T = TypeVar("T")


@dataclass(frozen=True)
class Ask:
    """One request, and how its answer is taken."""

    method: str
    path: str
    json: Mapping[str, Any] | None = None
    query: Mapping[str, str | int | None] = field(default_factory=dict)  # None: left out
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Iterator[bytes] | None = None  # may block
    save: Callable[[bytes], object] | None = None  # takes the answer, part by part; may block
    wait_s: float = ANSWER_S  # without a byte


Call = Generator[Ask, httpx.Response, T]


def place(*parts: str) -> str:
    """The path of what has that name."""
    return "".join(f"/{quote(part, safe='')}" for part in parts)
