"""What the machine has run out of, as answers that say so: no fault of the request or the code."""

import errno
import logging
import sqlite3

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from app.errors import NoRoom, RequestError, Shortage

RETRY_AFTER_S = 10

# Of torch on the CPU, which has no error of its own for it; and of Python's threads.
MEMORY_WORDS = ("can't allocate memory", "Cannot allocate memory", "can't start new thread")
DISK_NUMBERS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}

# What the store of jobs says: its file cannot grow, or somebody else has it for too long.
DISK_WORDS = ("disk is full", "disk I/O error")
LOCKED = "locked"

log = logging.getLogger("sidelight")


def shortage_of(error: BaseException) -> RequestError | None:
    """The answer for an error that a lack of memory, disk or descriptors made; None for others."""
    if _is_of_memory(error):
        message = "out of memory: ask for less at once, or try again when the server has less to do"
        return Shortage(message, code="out_of_memory", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        message = "the server has too many files open: try again when it has less to do"
        return Shortage(message, code="too_many_files", retry_after_s=RETRY_AFTER_S)
    if _is_of_disk(error):
        return NoRoom("the server's disk is full: make room and try again", code="disk_full")
    if isinstance(error, sqlite3.OperationalError) and LOCKED in str(error):
        message = "the list of jobs is in use by another process: try again"
        return Shortage(message, code="store_busy", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, sqlite3.DatabaseError):
        message = f"the list of jobs cannot be read ({error}); a restart puts its file aside"
        return Shortage(message, code="store_broken")
    return None


def add_shortage_handlers(app: FastAPI) -> None:
    """Answer shortages as what they are; every other error goes on its way."""

    def on_error(request: Request, error: Exception) -> Response:
        shortage = shortage_of(error)
        if shortage is None:
            raise error
        log.error("%s %s: %s", request.method, request.url.path, error)
        return JSONResponse(shortage.body(), shortage.status or 503, shortage.headers)

    for kind in (MemoryError, RuntimeError, OSError, sqlite3.Error):
        app.add_exception_handler(kind, on_error)


def _is_of_memory(error: BaseException) -> bool:
    # torch has OutOfMemoryError for a GPU, and this is no place to import torch.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    return isinstance(error, RuntimeError) and any(words in str(error) for words in MEMORY_WORDS)


def _is_of_disk(error: BaseException) -> bool:
    if isinstance(error, OSError):
        return error.errno in DISK_NUMBERS
    return isinstance(error, sqlite3.Error) and any(words in str(error) for words in DISK_WORDS)
