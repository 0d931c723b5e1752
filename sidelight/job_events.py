"""What happens to a job, as its watcher is told."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import httpx

from sidelight.asking import Ask
from sidelight.errors import SidelightError
from sidelight.listening import Listener
from sidelight.server_events import ServerEvent
from sidelight.shapes import Job, Metric, Progress, Sample, Snapshot

Kind = TypeVar("Kind")
Data = TypeVar("Data")

KINDS = {"state", "progress", "metric", "sample", "snapshot"}
END = "end"
SILENCE_S = 60  # the server says every quarter of a minute that it is still there
PAUSES_S = (0.5, 1, 2, 4, 8, 15, 30, 30, 30)  # two minutes, as a restart may take
DOWN = {502, 503, 504}  # what a proxy answers for a server that is away


@dataclass(frozen=True)
class Event(Generic[Kind, Data]):
    """`kind` tells what `data` is."""

    kind: Kind
    data: Data


JobEvent = (
    Event[Literal["state"], Job]
    | Event[Literal["progress"], Progress]
    | Event[Literal["metric"], Metric]
    | Event[Literal["sample"], Sample]
    | Event[Literal["snapshot"], Snapshot]
)


class Watching(Listener[JobEvent]):
    """A job to its end: a connection that is lost is made again, from the last event on."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last_id: str | None = None
        self._lost = 0  # connections, since the last event

    def ask(self) -> Ask:
        headers = {"Last-Event-ID": self._last_id} if self._last_id else {}
        return Ask("GET", self._path, headers=headers, wait_s=SILENCE_S)

    def hear(self, event: ServerEvent) -> Iterator[JobEvent]:
        self._last_id, self._lost = event.last_id, 0
        if event.name == END:
            self.over = True
        elif event.name in KINDS:
            told: Any = Event(event.name, json.loads(event.data))
            yield told

    def pause_after(self, error: httpx.TransportError | SidelightError) -> float:
        is_refusal = isinstance(error, SidelightError) and error.status not in DOWN
        if is_refusal or self._last_id is None or self._lost == len(PAUSES_S):
            raise error
        self._lost += 1
        return PAUSES_S[self._lost - 1]
