"""Calls as methods to be awaited, and streams as asynchronous iterators, both for asyncio."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

import httpx

from sidelight.asking import Ask, Call
from sidelight.connection import Connection
from sidelight.errors import SidelightError, refusal
from sidelight.listening import Listener, ended_early
from sidelight.methods import as_method
from sidelight.server_events import EventParser

P = ParamSpec("P")
T = TypeVar("T")


class AsyncStream(Generic[T]):
    """What arrives, as it arrives. Leaving its `async with`, or `close`, stops the server.

    So does leaving its `async for`, as soon as the event loop comes round to it.
    """

    def __init__(self, pieces: AsyncGenerator[T, None]) -> None:
        self._pieces = pieces

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        return await anext(self._pieces)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._pieces.aclose()


class AwaitedClient(Connection[httpx.AsyncClient]):
    """Sends what calls ask for. Its tasks may use it together; a stream belongs to one."""

    _http_class = httpx.AsyncClient

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    async def _result(self, call: Call[T]) -> T:
        try:
            ask = next(call)
            while True:
                ask = call.send(await self._answer(ask))
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            call.close()

    async def _answer(self, ask: Ask) -> httpx.Response:
        async with self._opened(ask) as response:
            if ask.save is None:
                await response.aread()
            else:
                async for part in response.aiter_bytes():
                    await asyncio.to_thread(ask.save, part)
            return response

    async def _pieces(self, listener: Listener[T]) -> AsyncGenerator[T, None]:
        while True:
            try:
                async with self._opened(listener.ask()) as response:
                    parser = EventParser()
                    async for part in response.aiter_bytes():
                        for piece in listener.hear_all(parser.feed(part)):
                            yield piece
                        if listener.over:
                            return
                raise ended_early()
            except (httpx.TransportError, SidelightError) as error:
                pause_s = listener.pause_after(error)
            await asyncio.sleep(pause_s)

    @asynccontextmanager
    async def _opened(self, ask: Ask) -> AsyncIterator[httpx.Response]:
        body = _in_a_thread(ask.body) if ask.body else None
        async with self._http.stream(**self._fields(ask), content=body) as response:
            if not response.is_success:
                await response.aread()
                raise refusal(response)
            yield response


async def _in_a_thread(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """The same parts, each made while the event loop does other things."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        yield part


def awaited(
    call: Callable[P, Call[T]],
) -> Callable[Concatenate[AwaitedClient, P], Coroutine[Any, Any, T]]:
    """A method to be awaited for what `call` comes to."""

    async def method(self: AwaitedClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._result(call(*args, **kwargs))

    return as_method(method, call)


def iterating(
    listen: Callable[P, Listener[T]],
) -> Callable[Concatenate[AwaitedClient, P], AsyncStream[T]]:
    """A method that asks when the first piece is wanted, and gives each as it arrives."""

    def method(self: AwaitedClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncStream[T]:
        return AsyncStream(self._pieces(listen(*args, **kwargs)))

    return as_method(method, listen, AsyncStream)
