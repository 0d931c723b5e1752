"""What a connection may take: a client that is slow, or has many of them, holds up nobody else.

uvicorn waits for a request's head, and for a reader, as long as they like. Here both have their
time. Where too many connections are open, one that has asked for nothing makes room for a new one.
"""

import asyncio
import fcntl
import json
import resource
import sys
import termios
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from app.client_limits import client_of
from app.errors import BadHttp, ClientLimit, LateHead, RequestError, ServerLimit
from app.settings import Settings

MAX_HEAD_BYTES = 64 * 1024
RETRY_AFTER_S = 5
LINGER_S = 1.0  # for a client to read why it is refused; one that is hung up on may lose it
OTHER_FILES = 1000  # that may be open besides the connections


@dataclass(frozen=True)
class Bounds:
    """See the settings of the same names."""

    head_seconds: float
    send_seconds: float
    bytes_per_second: int
    max_connections: int
    client_connections: int

    @classmethod
    def of(cls, settings: Settings) -> "Bounds":
        return cls(**{name: getattr(settings, name) for name in cls.__dataclass_fields__})


def bounded(settings: Settings) -> type[H11Protocol]:
    """uvicorn's protocol for one server, within the settings' bounds."""

    class Bounded(Connection):
        bounds = Bounds.of(settings)
        crowd = Crowd(settings.max_connections, settings.client_connections)

    return Bounded


def allow_files(connections: int) -> None:
    """Let this process have as many files open as so many connections need, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Crowd:
    """The open connections, and who has them; 0 is any number. Only for the event loop."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._open: dict[Connection, str] = {}
        self._count: Counter[str] = Counter()
        self._idle: dict[Connection, None] = {}  # the longest idle first

    def __len__(self) -> int:
        return len(self._open)

    def enter(self, connection: "Connection", client: str) -> None:
        """Raises ClientLimit or ServerLimit where all the others are busy."""
        if 0 < self._most_of_one <= self._count[client] and not self._make_room(client):
            message = (
                f"this client has {self._most_of_one} connections open, which is all it may: "
                f"close some, or try again in {RETRY_AFTER_S} seconds"
            )
            raise ClientLimit(message, RETRY_AFTER_S)
        if 0 < self._most <= len(self._open) and not self._make_room():
            has = f"{self._most} connections open, which is all it may"
            raise ServerLimit(has, "too_many_connections", RETRY_AFTER_S)
        self._open[connection] = client
        self._count[client] += 1
        self._idle[connection] = None

    def leave(self, connection: "Connection") -> None:
        """As often as one likes."""
        client = self._open.pop(connection, None)
        self._idle.pop(connection, None)
        if client is not None:
            self._count[client] -= 1
            if not self._count[client]:
                del self._count[client]

    def note(self, connection: "Connection", *, idle: bool) -> None:
        """Whether it is waiting for a request."""
        if not idle:
            self._idle.pop(connection, None)
        elif connection in self._open:
            self._idle.setdefault(connection)

    def _make_room(self, client: str | None = None) -> bool:
        """Hang up on the longest idle one, of the client's if one is named."""
        for connection in self._idle:
            if client in (None, self._open[connection]):
                self.leave(connection)
                connection.transport.abort()
                return True
        return False


class Connection(H11Protocol):
    """One connection. Every time runs from what the client did last, so that it can be met."""

    bounds: Bounds
    crowd: Crowd

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._refused = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._reader_timer: asyncio.TimerHandle | None = None
        self._unread = 0  # bytes that the reader was behind when its time began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        try:
            self.crowd.enter(self, client_of(self.client[0] if self.client else ""))
        except RequestError as error:
            self._refused = True
            transport.write(_answer(error))
            transport.write_eof()
            self._head_timer = self.loop.call_later(LINGER_S, transport.abort)
        else:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self.crowd.leave(self)
        _cancel(self._head_timer)
        _cancel(self._reader_timer)
        super().connection_lost(exc)

    # Requests

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        self._note()
        if self._idle and self._head_timer is None:  # the first byte on a connection kept open
            self._await_head()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._note()
        if self._idle:
            self._await_reader()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - ours says what to do
        """In the shape of all errors, and never into the middle of an answer."""
        begun = False
        if not self._idle:
            begun = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if not begun:
            self.transport.write(_answer(BadHttp()))
        self._close()

    @property
    def _idle(self) -> bool:
        """Whether it is the client's turn to ask."""
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is None or cycle.response_complete

    def _note(self) -> None:
        self.crowd.note(self, idle=self._idle)
        if not self._idle:
            _cancel(self._head_timer)
            self._head_timer = None

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.bounds.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        """Also for the rest of a body whose request has been answered already."""
        in_the_middle = self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]
        if in_the_middle and not self.transport.is_closing():
            self.transport.write(_answer(LateHead(self.bounds.head_seconds)))
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._await_reader()

    # Readers

    def pause_writing(self) -> None:
        super().pause_writing()
        self._await_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        _cancel(self._reader_timer)
        if self._idle:
            self._await_reader()

    def _await_reader(self) -> None:
        _cancel(self._reader_timer)
        if self.transport.get_write_buffer_size():
            self._unread = _unread(self.transport)
            seconds = self.bounds.send_seconds
            self._reader_timer = self.loop.call_later(seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        """Hang up on one that took less than it must; there is nothing it could be told."""
        if not (self.flow.write_paused or self._idle):
            return
        taken = self._unread - _unread(self.transport)
        if taken < min(self._unread, self.bounds.send_seconds * self.bounds.bytes_per_second):
            self.transport.abort()
        else:
            self._await_reader()


def _unread(transport: asyncio.Transport) -> int:
    """Bytes that the client has not taken, with those that the kernel holds for it.

    There may be megabytes of them, and nothing more is passed on before a third is taken.
    """
    count = transport.get_write_buffer_size()
    with suppress(OSError):
        socket = transport.get_extra_info("socket")
        held = fcntl.ioctl(socket.fileno(), termios.TIOCOUTQ, bytes(4))
        count += int.from_bytes(held, sys.byteorder)
    return count


def _answer(error: RequestError) -> bytes:
    """The whole of it, for a connection that is closed behind it."""
    status = HTTPStatus(error.status or HTTPStatus.BAD_REQUEST)
    body = json.dumps(error.body()).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **error.headers,
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
