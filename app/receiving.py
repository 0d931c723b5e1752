"""A request's body as it comes, for what is too large to be held."""

from collections.abc import Callable

from fastapi import Request
from fastapi.concurrency import run_in_threadpool


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
