"""A request's body as it comes, for what is too large to be held."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from app.errors import ServerLimit

RETRY_AFTER_S = 10  # most are through by then


class Uploads:
    """At most `most` that come in at once, as each takes its size on the disk; 0 for any number.

    Only for the event loop.
    """

    def __init__(self, most: int) -> None:
        self._most, self._count = most, 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """While the block runs. Raises ServerLimit."""
        if 0 < self._most <= self._count:
            has = f"{self._most} uploads coming in, which is all it may"
            raise ServerLimit(has, "too_many_uploads", RETRY_AFTER_S)
        self._count += 1
        try:
            yield
        finally:
            self._count -= 1


async def receive(request: Request, write: Callable[[bytes], object]) -> None:
    """Hand each part to `write`, in a thread.

    What that raises is raised once all has been read: many clients listen only then. Raises
    ClientDisconnect.
    """
    problem: Exception | None = None
    async for chunk in request.stream():
        if problem is None:
            try:
                await run_in_threadpool(write, chunk)
            except Exception as error:  # noqa: BLE001 - raised below
                problem = error
    if problem:
        raise problem
