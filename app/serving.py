"""The app on a socket, until it is told to stop."""

import socket
import sys
from contextlib import suppress

import uvicorn


class Server(uvicorn.Server):
    """Says where it is once it answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or []:
            host, port = listener.getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            sys.stdout.write(f"Sidelight is at http://{shown}:{port} (Ctrl-C stops it)\n")
            sys.stdout.flush()


def serve(listener: socket.socket, shutdown_seconds: int) -> None:
    """Answer on `listener` until a signal; open streams get `shutdown_seconds` to end.

    The app reads its settings from the environment.
    """
    # Connections inherit it. asyncio sets it itself only where a socket names its protocol, and
    # without it each answer on a connection that is kept open waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    config = uvicorn.Config(
        "app.main:create_app",
        factory=True,
        log_level="warning",
        timeout_graceful_shutdown=shutdown_seconds,
    )
    with suppress(KeyboardInterrupt):  # uvicorn passes it on once everything is closed
        Server(config).run(sockets=[listener])
