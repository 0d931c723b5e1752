"""Streams without any I/O: what to ask for, and what becomes of each event."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import httpx

from sidelight.asking import Ask
from sidelight.errors import SidelightError
from sidelight.server_events import ServerEvent

T_co = TypeVar("T_co", covariant=True)


class Listener(ABC, Generic[T_co]):
    """A stream as its reader sees it, from its first request to its end."""

    over = False

    @abstractmethod
    def ask(self) -> Ask:
        """What to send, at first and after each connection that was lost."""

    @abstractmethod
    def hear(self, event: ServerEvent) -> Iterator[T_co]:
        """What an event brings; the last one sets `over`. Raises SidelightError."""

    def hear_all(self, events: Iterable[ServerEvent]) -> Iterator[T_co]:
        """What they bring, up to the end."""
        for event in events:
            yield from self.hear(event)
            if self.over:
                return

    def pause_after(self, error: httpx.TransportError | SidelightError) -> float:
        """Seconds until to ask again. Raises the error where there is nothing to go on from."""
        raise error


def ended_early() -> httpx.TransportError:
    """For a stream that just stops, as all do when a server is stopped."""
    return httpx.RemoteProtocolError("the server ended the stream before its last event")
