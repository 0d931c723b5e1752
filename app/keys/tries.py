"""So that nobody finds a key by trying: who was wrong too often has to wait.

Only for the event loop: nothing here is locked.
"""

import math
from collections.abc import Callable
from typing import TypeVar

from app.client_limits import Bucket, client_of
from app.errors import ClientLimit

T = TypeVar("T")


class KeyTries:
    """Lets each client be wrong `per_minute` times a minute."""

    def __init__(self, per_minute: int) -> None:
        self._wrong = Bucket(per_minute)

    def __call__(self, host: str, look: Callable[[], T | None]) -> T | None:
        """What `look` finds for the client at that address; to find nothing counts as wrong.

        Raises ClientLimit, and then has not looked: the right key is not told from a wrong one.
        """
        client = client_of(host)
        if wait_s := self._wrong.wait_s(client):
            retry_after_s = math.ceil(wait_s)
            message = f"too many wrong API keys: try again in {retry_after_s} seconds"
            raise ClientLimit(message, retry_after_s)
        found = look()
        if found is None:
            self._wrong.take(client)
        return found
