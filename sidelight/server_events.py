"""Server-sent events out of bytes, however these are cut (WHATWG HTML, 9.2: Server-sent events)."""

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class ServerEvent:
    name: str  # "message" where the server names none
    data: str
    last_id: str | None  # of this event, or of the last one that had any


class EventParser:
    """Is fed what arrives and gives each event once it is complete."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")("replace")
        self._rest = ""  # of a line that has not ended
        self._name, self._data = "", list[str]()
        self._last_id: str | None = None

    def feed(self, part: bytes) -> Iterator[ServerEvent]:
        """Only carriage returns and line feeds end a line; other separators are text."""
        text = self._rest + self._decoder.decode(part)
        waits = text.endswith("\r")  # it may be one half of a line's end
        lines = (text[:-1] if waits else text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop() + ("\r" if waits else "")
        for line in lines:
            if line:
                self._take(line)
            elif event := self._ended():
                yield event

    def _take(self, line: str) -> None:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
            case "id" if "\0" not in value:
                self._last_id = value

    def _ended(self) -> ServerEvent | None:
        name, data = self._name, self._data
        self._name, self._data = "", []
        return ServerEvent(name or "message", "\n".join(data), self._last_id) if data else None
