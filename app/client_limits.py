"""What one client may have of the server, so that none has all of it.

Only for the event loop: nothing here is locked.
"""

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Literal

from app.errors import ClientLimit, InvalidRequest

Limit = Literal["sequences", "requests"]

MINUTE_S = 60.0
ROUNDING_S = 1e-6
RETRY_AFTER_S = 2  # nobody knows when a text ends; long enough for most
MOST_CLIENTS = 10_000


def client_of(host: str) -> str:
    """Who an address counts as: of IPv6 the /64, out of which one machine may take any address."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return str(address.ipv4_mapped)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((int(address), 64), strict=False))
    return host


class ClientLimits:
    """At most `sequences` texts at once and `requests_per_minute` for each client; 0 for no limit.

    `refused` hears of each request that is turned away.
    """

    def __init__(
        self,
        sequences: int,
        requests_per_minute: int,
        refused: Callable[[Limit], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sequences, self._requests_per_minute = sequences, requests_per_minute
        self._refused = refused
        self._held: Counter[str] = Counter()
        self._bucket = Bucket(requests_per_minute, clock) if requests_per_minute else None

    @property
    def clients(self) -> int:
        """How many have texts."""
        return len(self._held)

    def admit(self, client: str) -> None:
        """Count one request. Raises ClientLimit, and does not count what it refuses."""
        wait_s = self._bucket.take(client) if self._bucket else 0.0
        if wait_s:
            self._refused("requests")
            retry_after_s = math.ceil(wait_s)
            message = (
                f"this client may send {self._requests_per_minute} requests a minute: "
                f"try again in {retry_after_s} seconds"
            )
            raise ClientLimit(message, retry_after_s)

    @contextmanager
    def places(self, client: str, count: int) -> Iterator[None]:
        """Hold `count` of the client's places while the block runs.

        Raises ClientLimit where they are not free, InvalidRequest where they never can be.
        """
        most, held = self._sequences, self._held[client]
        if 0 < most < count:
            message = f"prompt: one client may have {most} texts at once, not {count}: ask for less"
            raise InvalidRequest(message, param="prompt", code="too_large")
        if 0 < most < held + count:
            self._refused("sequences")
            message = (
                f"this client has {held} of {most} texts at once and this request needs {count}: "
                f"let one end, or stop it, and try again in {RETRY_AFTER_S} seconds"
            )
            raise ClientLimit(message, RETRY_AFTER_S)
        self._held[client] += count
        try:
            yield
        finally:
            self._held[client] -= count
            if not self._held[client]:
                del self._held[client]


class Bucket:
    """For each client a bucket of `per_minute` requests that refills evenly: a token bucket.

    All there is to keep of one is when it will be full again. That is the theoretical arrival time
    of the generic cell rate algorithm (ITU-T I.371).
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._refill_s, self._clock = MINUTE_S / per_minute, clock
        self._full_at: OrderedDict[str, float] = OrderedDict()  # by when they were last drawn from

    @property
    def clients(self) -> int:
        """How many are remembered."""
        return len(self._full_at)

    def take(self, client: str) -> float:
        """Take a request out and return 0; or leave it and return in how many seconds to return."""
        now = self._clock()
        full_at = max(self._full_at.get(client, now), now) + self._refill_s
        wait_s = full_at - now - MINUTE_S
        if wait_s > ROUNDING_S:
            return wait_s
        self._full_at[client] = full_at
        self._full_at.move_to_end(client)
        self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Let go of full buckets, and beyond MOST_CLIENTS of those that were not used for longest.

        Every bucket is full a minute after its last use, so what stands before the first that is
        not full is no more than a minute's clients.
        """
        while self._full_at:
            client, full_at = next(iter(self._full_at.items()))
            if full_at > now and len(self._full_at) <= MOST_CLIENTS:
                return
            del self._full_at[client]
