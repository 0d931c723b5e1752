"""Log lines: one JSON object each for programs, a short sentence for a person at a terminal.

Whatever is logged, one event is one line, or in text a line and indented ones: what somebody sent
cannot pass for a line of ours, move the cursor or colour the screen.
"""

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from app.logs.context import current
from app.settings import Settings

OURS = ("sidelight", "model", "uvicorn")
NEVER_QUIETER = logging.WARNING  # of libraries

# Looks like a key or its cookie. None is logged on purpose; a library's error may hold one.
SECRET = re.compile(r"sk-sidelight-[\w-]+|\b[Bb]earer\s+[^\s'\",]+|\bsidelight=[^\s;'\",]+")
HIDDEN = "[hidden]"

SAID = {"method", "route", "path", "waited_ms"}  # in a request's message, or too much for a person


@contextmanager
def told_on_stderr(settings: Settings) -> Iterator[None]:
    """Everything that this process logs in the block comes out on stderr, in one form."""
    root, ours = logging.getLogger(), [logging.getLogger(name) for name in OURS]
    levels = {logger: logger.level for logger in (root, *ours)}
    handlers, excepthook = root.handlers, threading.excepthook
    as_json = _is_json(settings)
    level = settings.log_level.upper()
    if settings.log_level == "auto":
        level = "INFO" if as_json else "WARNING"
    try:
        root.handlers = [_handler(settings, as_json=as_json)]
        root.setLevel(NEVER_QUIETER)
        for logger in ours:
            logger.setLevel(level)
        logging.captureWarnings(capture=True)
        threading.excepthook = _thread_failed
        yield
    finally:
        root.handlers, threading.excepthook = handlers, excepthook
        logging.captureWarnings(capture=False)
        for logger, before in levels.items():
            logger.setLevel(before)


class _Stderr(logging.StreamHandler[TextIO]):
    """Whatever stderr is at the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


class JsonLines(logging.Formatter):
    """An object a line: `time`, `level`, `logger`, `message`, and what else is known."""

    def __init__(self, own_key: str | None = None) -> None:
        super().__init__()
        self._own_key = own_key

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if asked := current.get():
            told["request_id"] = asked.id
        told |= getattr(record, "fields", {})
        if trace := _trace(self, record):
            told["trace"] = trace
        told = {name: value for name, value in told.items() if value is not None}
        # ASCII alone: U+2028 and the like end a line for some.
        line = json.dumps(_without_secrets(told, self._own_key), default=str)
        return line.replace("\x7f", "\\u007f")


class TextLines(logging.Formatter):
    """Time, level, message, then `name=value` of what it does not say; a trace indented below."""

    def __init__(self, own_key: str | None = None) -> None:
        super().__init__()
        self._own_key = own_key

    def format(self, record: logging.LogRecord) -> str:
        asked = current.get()
        told = getattr(record, "fields", {}) | ({"request_id": asked.id} if asked else {})
        words = [
            _moment(record).astimezone().strftime("%H:%M:%S"),
            record.levelname.lower(),
            record.getMessage(),
            *(f"{name}={it}" for name, it in told.items() if it is not None and name not in SAID),
        ]
        lines = [" ".join(words), *(f"    {line}" for line in _trace(self, record).splitlines())]
        return "\n".join(_printable(_hidden(line, self._own_key)) for line in lines)


def _is_json(settings: Settings) -> bool:
    if settings.log_format == "auto":
        return not sys.stderr.isatty()
    return settings.log_format == "json"


def _handler(settings: Settings, *, as_json: bool) -> logging.Handler:
    own_key = settings.api_key.get_secret_value() if settings.api_key else None
    handler = _Stderr()
    handler.setFormatter(JsonLines(own_key) if as_json else TextLines(own_key))
    return handler


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _trace(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """What failed and where, if the record is about that."""
    trace = formatter.formatException(record.exc_info) if record.exc_info else ""
    return "\n".join(part for part in (trace, record.stack_info or "") if part)


def _without_secrets(value: Any, own_key: str | None) -> Any:
    if isinstance(value, dict):
        return {name: _without_secrets(inner, own_key) for name, inner in value.items()}
    return _hidden(value, own_key) if isinstance(value, str) else value


def _hidden(text: str, own_key: str | None) -> str:
    text = text.replace(own_key, HIDDEN) if own_key else text
    return SECRET.sub(HIDDEN, text)


def _printable(line: str) -> str:
    r"""`line` with what moves a cursor or ends a line spelled out: `\n`, `\x1b`."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)


def _thread_failed(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "a thread"
    error = failure.exc_value or failure.exc_type()
    logging.getLogger("sidelight").error("the thread %s has ended", name, exc_info=error)
