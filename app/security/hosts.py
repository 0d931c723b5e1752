"""Only requests that are meant for this server: the defence against DNS rebinding.

A page of another site may have its own name point to this machine and then counts as the same site
to its browser. What it cannot do is send another name than its own. An address in place of a name
cannot be pointed elsewhere, so addresses are always right.
"""

import re
from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import UnknownHost
from app.security.refusal import refuse

# What a browser sends, and nothing that only begins like it.
HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^\[\]:@/]+))(?::[0-9]*)?", re.IGNORECASE)


class KnownHosts:
    """Refuses a `Host` that is neither an address, nor `localhost`, nor one of `names`.

    Among the names `*` stands for all.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self.app = app
        self._names = {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            name = host_name(Headers(scope=scope).get("host", ""))
            if not self._knows(name):
                message = (
                    f"this server does not answer to the name {name!r}: use its address, or add "
                    "the name to SIDELIGHT_ALLOWED_HOSTS"
                )
                error = UnknownHost(message, param="Host", code="unknown_host")
                return await refuse(error, scope, receive, send)
        await self.app(scope, receive, send)

    def _knows(self, name: str) -> bool:
        if not self._names.isdisjoint({name, "*"}):
            return True
        return name == "localhost" or name.endswith(".localhost") or _is_address(name)


def host_name(host: str) -> str:
    """The name or address in a `Host` header, without its port: `[::1]:8000` -> `::1`.

    What is not written as it should be comes back as it is, which is neither.
    """
    found = HOST.fullmatch(host)
    return (found["v6"] or found["name"].lower().rstrip(".")) if found else host


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
