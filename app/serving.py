"""The app on a socket, until it is told to stop."""

import socket
import sys
from contextlib import suppress
from functools import partial

import uvicorn
from starlette.types import ASGIApp

from app.main import create_app
from app.replicas.cluster import replicas
from app.settings import Settings


class Server(uvicorn.Server):
    """Says where it is once it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"Sidelight is at http://{shown}:{port} (Ctrl-C stops it)\n")
            sys.stdout.flush()


def serve(listener: socket.socket, settings: Settings) -> None:
    """Answer on `listener` until a signal; open streams get `settings.shutdown_seconds` to end.

    Raises NoCluster where there are to be replicas and there is nothing to run them on.
    """
    # Connections inherit it. asyncio sets it itself only where a socket names its protocol, and
    # without it each answer on a connection that is kept open waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with suppress(KeyboardInterrupt):  # uvicorn passes it on once everything is closed
        if not settings.replicas:
            return _run(listener, create_app(settings), settings)
        with replicas(create_app, settings, listener.getsockname()[1]) as handle:
            from app.replicas.front import Front  # imports Ray

            front = partial(Front, replicas=handle, settings=settings)
            _run(listener, create_app(settings, front), settings)


def _run(listener: socket.socket, app: ASGIApp, settings: Settings) -> None:
    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=settings.shutdown_seconds
    )
    Server(config).run(sockets=[listener])
