"""The server in front of its replicas: what needs a run goes to them, all else is answered here."""

import asyncio
import logging
from typing import Any

from fastapi.responses import JSONResponse, Response
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import BackPressureError, RayServeException
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.client_limits import ClientLimits, client_of
from app.errors import DeadlinePassed, QueueFull, RequestError
from app.figures.metrics import CONTENT_TYPE
from app.replicas.asgi import get
from app.replicas.asked import Asked, again, needs_a_run, read, refusing, what_is_asked
from app.replicas.figures import together
from app.settings import Settings
from app.sse import event, unless_client_leaves

TRIES = 3  # replicas that may be lost under one request before its answer has begun
RETRY_AFTER_S = 2
LOOK_S = 5.0  # how long the replicas may take to say how they are

# What of a request's scope goes along: the rest means nothing in another process.
SENT = {"type", "asgi", "http_version", "method", "scheme", "path", "raw_path", "query_string"}
SENT |= {"root_path", "headers", "client", "server"}
KEYS = {b"authorization", b"cookie"}  # which have been looked at here, and others may listen

log = logging.getLogger("sidelight")


class NoReplica(RequestError):
    """None of the replicas answers."""

    status = 503
    type = "server_error"


class Front:
    """Stands before the server's own routes, which have the pages, the jobs and the texts."""

    def __init__(self, app: ASGIApp, replicas: Any, settings: Settings) -> None:
        """`replicas`: Ray Serve's handle."""
        self._app, self._settings = app, settings
        self._replicas = replicas

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if scope["method"] == "GET" and scope["path"] in ("/metrics", "/readyz"):
            look = self._figures if scope["path"] == "/metrics" else self._readiness
            return await (await look(scope))(scope, receive, send)
        if needs_a_run(scope):
            try:
                messages = await read(receive, self._settings.max_body_bytes)
            except HTTPException as error:  # the app itself says best what is wrong with a body
                return await self._app(scope, refusing(error), send)
            body = b"".join(message.get("body", b"") for message in messages)
            whole = messages[-1]["type"] == "http.request" and not messages[-1].get("more_body")
            if whole and (asked := what_is_asked(scope["path"], body)):
                return await self._forward(_Answer(scope, body, receive, send), asked)
            receive = again(messages, receive)
        await self._app(scope, receive, send)

    async def _forward(self, answer: "_Answer", asked: Asked) -> None:
        limits: ClientLimits = answer.scope["app"].state.client_limits
        client = client_of((answer.scope.get("client") or ("", 0))[0])
        try:
            limits.admit(client)
            with limits.places(client, asked.texts):
                await self._from_a_replica(answer, asked.run)
        except RequestError as error:
            await answer.fail(error)
        except ClientDisconnect:
            return

    async def _from_a_replica(self, answer: "_Answer", run: str) -> None:
        """Raises RequestError where there is no answer or only a part, ClientDisconnect."""
        ask = self._replicas.options(method_name="answer", stream=True, session_id=run).remote
        most_s = 2 * self._settings.max_seconds  # for a replica with room, and then for the text
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(most_s) as patience:
                    return await answer.pass_on(ask(answer.sent_scope(), answer.body), patience)
            except TimeoutError:
                message = f"no replica has answered in {most_s:g} seconds"
                raise DeadlinePassed(message, RETRY_AFTER_S) from None
            except BackPressureError:
                message = f"all replicas are full: try again in {RETRY_AFTER_S} seconds"
                raise QueueFull(message, RETRY_AFTER_S) from None
            except RayActorError:  # asking again changes nothing, so that somebody else may answer
                if answer.begun:
                    break
            except (RayError, RayServeException):
                log.exception("a replica failed")
                break
        message = f"the replica that answered was lost: try again in {RETRY_AFTER_S} seconds"
        raise NoReplica(message, code="no_replica", retry_after_s=RETRY_AFTER_S)

    async def _figures(self, scope: Scope) -> Response:
        _, own = await get(self._app, "/metrics", scope)
        said = [of for of in await self._ask_all("metrics") if not isinstance(of, BaseException)]
        return Response(together(own, dict(said)), media_type=CONTENT_TYPE)

    async def _readiness(self, scope: Scope) -> Response:
        status, own = await get(self._app, "/readyz", scope)
        if status == 200 and True not in await self._ask_all("is_ready"):
            error = NoReplica("no replica can load a run", code="no_replica")
            return JSONResponse(error.body(), NoReplica.status)
        return Response(own, status, media_type="application/json")

    async def _ask_all(self, method: str) -> list[Any]:
        """What each replica says; an exception for one that says nothing."""
        try:
            answers = self._replicas.broadcast(method)
            said: list[Any] = await answers.results_async(timeout_s=LOOK_S, return_exceptions=True)
        except (TimeoutError, RayError, RayServeException):
            log.exception("the replicas do not say how they are")
            return []
        return said


class _Answer:
    """One request, and as much of its answer as its client has got."""

    def __init__(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        self.scope, self.body = scope, body
        self._receive, self._send = receive, send
        self.begun = self._is_event_stream = False

    def sent_scope(self) -> Scope:
        headers = [(name, value) for name, value in self.scope["headers"] if name not in KEYS]
        sent = {name: value for name, value in self.scope.items() if name in SENT}
        return sent | {"headers": headers}

    async def pass_on(self, response: Any, patience: asyncio.Timeout) -> None:
        """Hand a replica's messages to the client as they come; `patience` ends with the first.

        Raises ClientDisconnect once the client has left, and then hangs up on the replica.
        """

        async def work() -> None:
            async for messages in response:
                patience.reschedule(None)
                for message in messages:
                    await self._pass(message)

        finished = False
        try:
            await unless_client_leaves(self._receive, work())
            finished = True
        finally:
            if not finished:
                response.cancel()

    async def _pass(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            kinds = [value for name, value in message["headers"] if name.lower() == b"content-type"]
            self._is_event_stream = any(kind.startswith(b"text/event-stream") for kind in kinds)
        await self._send(message)

    async def fail(self, error: RequestError) -> None:
        """Tell the client as far as that is still possible; raises `error` where it is not."""
        if not self.begun:
            # The only requests that are wrong in themselves are OpenAI's.
            answer: ASGIApp = JSONResponse(error.body(), error.status or 400, error.headers)
            await answer(self.scope, self._receive, self._send)
        elif self._is_event_stream:
            await self._send({"type": "http.response.body", "body": event(error.body())})
        else:
            raise error  # the connection breaks, so that nobody takes a part for the whole
