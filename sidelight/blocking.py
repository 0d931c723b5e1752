"""Calls as methods that block, and streams as iterators."""

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Concatenate, Generic, ParamSpec, Self, TypeVar

import httpx

from sidelight.asking import Ask, Call
from sidelight.connection import Connection
from sidelight.errors import SidelightError, refusal
from sidelight.listening import Listener, ended_early
from sidelight.methods import as_method
from sidelight.server_events import EventParser

P = ParamSpec("P")
T = TypeVar("T")


class Stream(Generic[T]):
    """What arrives, as it arrives. Leaving its `for` or `with`, or `close`, stops the server."""

    def __init__(self, pieces: Generator[T, None, None]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        return next(self._pieces)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._pieces.close()


class BlockingClient(Connection[httpx.Client]):
    """Sends what calls ask for. Any thread may use it; a stream belongs to one."""

    _http_class = httpx.Client

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all connections."""
        self._http.close()

    def _result(self, call: Call[T]) -> T:
        try:
            ask = next(call)
            while True:
                ask = call.send(self._answer(ask))
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            call.close()

    def _answer(self, ask: Ask) -> httpx.Response:
        with self._opened(ask) as response:
            if ask.save is None:
                response.read()
            else:
                for part in response.iter_bytes():
                    ask.save(part)
            return response

    def _pieces(self, listener: Listener[T]) -> Generator[T, None, None]:
        while True:
            try:
                with self._opened(listener.ask()) as response:
                    parser = EventParser()
                    for part in response.iter_bytes():
                        yield from listener.hear_all(parser.feed(part))
                        if listener.over:
                            return
                raise ended_early()
            except (httpx.TransportError, SidelightError) as error:
                pause_s = listener.pause_after(error)
            time.sleep(pause_s)

    @contextmanager
    def _opened(self, ask: Ask) -> Iterator[httpx.Response]:
        with self._http.stream(**self._fields(ask), content=ask.body) as response:
            if not response.is_success:
                response.read()
                raise refusal(response)
            yield response


def blocking(call: Callable[P, Call[T]]) -> Callable[Concatenate[BlockingClient, P], T]:
    """A method that returns what `call` comes to."""

    def method(self: BlockingClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._result(call(*args, **kwargs))

    return as_method(method, call)


def iterating(
    listen: Callable[P, Listener[T]],
) -> Callable[Concatenate[BlockingClient, P], Stream[T]]:
    """A method that asks when the first piece is wanted, and gives each as it arrives."""

    def method(self: BlockingClient, /, *args: P.args, **kwargs: P.kwargs) -> Stream[T]:
        return Stream(self._pieces(listen(*args, **kwargs)))

    return as_method(method, listen, Stream)
