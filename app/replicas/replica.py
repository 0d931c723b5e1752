"""The app inside a process of the cluster: requests come in as calls, answers leave as messages."""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from ray import serve
from starlette.types import Message, Scope

from app.replicas.asgi import get
from app.settings import Settings

HEADER = b"x-sidelight-replica"  # on every answer, the id of the replica that gave it
LEAVE_S = 5.0  # how long the app may take to notice that its client has left
PIECE = 4_000_000  # bytes; Ray is slow with much larger values, which crowd its object store

CreateApp = Callable[[Settings], FastAPI]


class Replica:
    """What Ray Serve makes as many of as there are to be."""

    async def __init__(self, create_app: CreateApp, settings: Settings) -> None:  # type: ignore[misc]
        """Ray Serve awaits it: the replica counts once its app has started."""
        self._id: str = serve.get_replica_context().replica_tag
        self._open = AsyncExitStack()
        data = self._open.enter_context(tempfile.TemporaryDirectory(prefix="sidelight-replica-"))
        self._app = create_app(_of_a_reader(settings, Path(data)))
        await self._open.enter_async_context(self._app.router.lifespan_context(self._app))

    async def __del__(self) -> None:
        """Ray Serve awaits it as well, once the replica has answered all that it was asked."""
        await self._open.aclose()

    async def answer(self, scope: Scope, body: bytes) -> AsyncGenerator[list[Message], None]:
        """The ASGI messages of the app's answer, as many at once as there are by then.

        To close or to cancel it is to hang up: the app is told that its client has left.
        """
        sent: asyncio.Queue[Message | None] = asyncio.Queue()
        request: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        left = asyncio.Event()

        async def receive() -> Message:
            if request:
                return request.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message["headers"], (HEADER, self._id.encode())]
                sent.put_nowait({**message, "headers": headers})
                return
            for piece in _pieces(message):
                sent.put_nowait(piece)

        working = asyncio.ensure_future(self._app(scope, receive, send))
        working.add_done_callback(lambda _: sent.put_nowait(None))
        try:
            while messages := await _what_there_is(sent):
                yield messages
        finally:
            left.set()
            await asyncio.wait([working], timeout=LEAVE_S)
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)  # the app has logged its own

    async def metrics(self) -> tuple[str, bytes]:
        """The replica's id, and what its app answers at /metrics."""
        return self._id, (await get(self._app, "/metrics"))[1]

    async def is_ready(self) -> bool:
        """Whether its app can load a run, and so sees the run folders."""
        return (await get(self._app, "/readyz"))[0] == 200


async def _what_there_is(sent: asyncio.Queue[Message | None]) -> list[Message]:
    """What has been sent since, at least one message and no more than a few pieces; [] at the end.

    A model may write faster than one message at a time is passed on.
    """
    messages: list[Message] = []
    size = 0
    while size < PIECE and not (messages and sent.empty()):
        message = await sent.get()
        if message is None:
            if messages:
                sent.put_nowait(None)  # for the next time
            break
        messages.append(message)
        size += len(message.get("body", b""))
    return messages


def _pieces(message: Message) -> Iterator[Message]:
    """A message with a long body as several."""
    body: bytes = message.get("body", b"")
    for start in range(0, max(len(body), 1), PIECE):
        more = message.get("more_body", False) or start + PIECE < len(body)
        yield {**message, "body": body[start : start + PIECE], "more_body": more}


def _of_a_reader(settings: Settings, data: Path) -> Settings:
    """For an app that only reads runs.

    Jobs and texts are the server's: this one has an empty folder for them and is asked for none.
    What one client may have is counted where all clients arrive, which is the server as well, and
    there they have shown their keys.
    """
    own: dict[str, Any] = {"data": data, "ray_address": None, "replicas": 0, "api_key": None}
    own |= {"client_sequences": 0, "client_requests_per_minute": 0}
    return settings.model_copy(update=own)
