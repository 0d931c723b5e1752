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

from app.errors import ClientLimit, InvalidRequest, ServerLimit

Limit = Literal["sequences", "requests", "streams"]

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

    The same with `streams` of events, of which all clients together have at most `all_streams`.
    `refused` hears of each request that is turned away.
    """

    def __init__(
        self,
        sequences: int,
        requests_per_minute: int,
        refused: Callable[[Limit], None],
        clock: Callable[[], float] = time.monotonic,
        *,
        streams: int = 0,
        all_streams: int = 0,
    ) -> None:
        self._sequences, self._requests_per_minute = sequences, requests_per_minute
        self._refused = refused
        self._held: Counter[str] = Counter()
        self._streams, self._all_streams = streams, all_streams
        self._watching: Counter[str] = Counter()
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
        with _counted(self._held, client, count):
            yield

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """Hold one stream of events while the block runs. Raises ClientLimit, ServerLimit."""
        if 0 < self._streams <= self._watching[client]:
            self._refused("streams")
            message = (
                f"this client has {self._streams} streams of events, which is all it may: "
                f"close one, or try again in {RETRY_AFTER_S} seconds"
            )
            raise ClientLimit(message, RETRY_AFTER_S)
        if 0 < self._all_streams <= self._watching.total():
            has = f"{self._all_streams} streams of events, which is all it may"
            raise ServerLimit(has, "too_many_streams", RETRY_AFTER_S)
        with _counted(self._watching, client, 1):
            yield


@contextmanager
def _counted(held: Counter[str], client: str, count: int) -> Iterator[None]:
    held[client] += count
    try:
        yield
    finally:
        held[client] -= count
        if not held[client]:
            del held[client]


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

    def wait_s(self, client: str) -> float:
        """In how many seconds there is a request to take; 0 if there is one."""
        now = self._clock()
        wait_s = self._full_after(client, now) - now - MINUTE_S
        return wait_s if wait_s > ROUNDING_S else 0.0

    def take(self, client: str) -> float:
        """Take a request out and return 0; or leave it and return in how many seconds to return."""
        if wait_s := self.wait_s(client):
            return wait_s
        now = self._clock()
        self._full_at[client] = self._full_after(client, now)
        self._full_at.move_to_end(client)
        self._forget(now)
        return 0.0

    def _full_after(self, client: str, now: float) -> float:
        """When the bucket is full again if a request is taken now."""
        return max(self._full_at.get(client, now), now) + self._refill_s

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
