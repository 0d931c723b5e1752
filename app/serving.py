"""The app on a socket, until it is told to stop."""

import asyncio
import logging
import math
import os
import signal
import socket
import sys
import threading
import time
from contextlib import suppress
from functools import partial

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from app.connections import MAX_HEAD_BYTES, allow_files, bounded
from app.exposure import require_protection
from app.main import create_app
from app.replicas.cluster import replicas
from app.settings import Settings
from app.stopping import LAST_WORDS_S, Stopping

KNOWN_S = 0.5  # for whoever asks /readyz to hear that the server stops, before nobody answers
END_S = math.ceil(LAST_WORDS_S) + 1  # from the end of the grace to that of every connection
WORKING_S = 0.5  # for threads to come to their end

log = logging.getLogger("sidelight")


class Server(uvicorn.Server):
    """Says where it is once it answers, and lets the app know that it is to stop."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"Sidelight is at http://{shown}:{port} (Ctrl-C stops it)\n")
            sys.stdout.flush()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping.begin()
        await asyncio.sleep(KNOWN_S)
        await super().shutdown(sockets)


def serve(listener: socket.socket, settings: Settings) -> None:
    """Answer on `listener` until a signal; open streams get `settings.shutdown_seconds` to end.

    Raises CannotStart where others could come in unasked, NoCluster where there are to be replicas
    and there is nothing to run them on.
    """
    require_protection(listener, settings)
    # Connections inherit it. asyncio sets it itself only where a socket names its protocol, and
    # without it each answer on a connection that is kept open waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(KeyboardInterrupt):  # uvicorn passes it on once everything is closed
        if not settings.replicas:
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends like Ctrl-C
            return _run(listener, create_app(settings), settings)
        with replicas(create_app, settings, listener.getsockname()[1]) as handle:
            from app.replicas.front import Front  # imports Ray

            front = partial(Front, replicas=handle, settings=settings)
            _run(listener, create_app(settings, front), settings)


def configuration(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn is to run the app, whatever else is installed that it might prefer."""
    return uvicorn.Config(
        app,
        # uvicorn would believe whoever is on this machine, and most who ask are: they could be
        # anybody, and a new one for each wrong key.
        proxy_headers=bool(os.environ.get("FORWARDED_ALLOW_IPS")),
        http=bounded(settings),
        ws="none",
        log_config=None,  # its lines come out with ours
        access_log=False,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        timeout_keep_alive=settings.keep_alive_seconds,
        # The app ends all answers by itself before that.
        timeout_graceful_shutdown=settings.shutdown_seconds + END_S,
    )


def leave() -> None:
    """End the process even where a thread still works on what nobody waits for any more.

    What it was about to write is in a hidden folder, which the next server removes.
    """
    others = [each for each in threading.enumerate() if each is not threading.current_thread()]
    until = time.monotonic() + WORKING_S
    for thread in others:
        if not thread.daemon:
            thread.join(max(0.0, until - time.monotonic()))
    if any(thread.is_alive() and not thread.daemon for thread in others):
        log.warning("a request was still being worked on; it ends with the server")
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)


def _run(listener: socket.socket, app: FastAPI, settings: Settings) -> None:
    allow_files(settings.max_connections)
    Server(configuration(app, settings), app.state.stopping).run(sockets=[listener])
