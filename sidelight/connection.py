"""What the blocking and the async client have in common: a server's address, and how to ask it."""

import os
from typing import Any, Generic, TypeVar

import httpx

from sidelight.asking import Ask

CONNECT_S = 10
API_KEY = "SIDELIGHT_API_KEY"

Http = TypeVar("Http", httpx.Client, httpx.AsyncClient)


class Connection(Generic[Http]):
    """A server, reached over one pool of connections."""

    _http_class: type[Http]

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        client: Http | None = None,
        *,
        api_key: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """A `client` of your own knows the server's address, and has its own timeouts.

        `api_key` is sent as a bearer token; the environment's SIDELIGHT_API_KEY if that is left out
        and a `client` does not send one of its own. After `timeout` seconds without a byte the
        server is given up; each call has its own time if that is left out.
        """
        self._http: Http = client or self._http_class(base_url=url)
        if api_key is None and "authorization" not in self._http.headers:
            api_key = os.environ.get(API_KEY) or None
        self._api_key, self._timeout = api_key, timeout
        self._is_own = client is None

    def _fields(self, ask: Ask) -> dict[str, Any]:
        """All of a request but its body, as httpx takes it."""
        headers = dict(ask.headers)
        if self._api_key is not None:
            headers["Authorization"] = f"Bearer {self._api_key}"
        fields: dict[str, Any] = {
            "method": ask.method,
            "url": ask.path,
            "json": ask.json,
            "params": {name: value for name, value in ask.query.items() if value is not None},
            "headers": headers,
        }
        if self._is_own or self._timeout is not None:
            fields["timeout"] = httpx.Timeout(self._timeout or ask.wait_s, connect=CONNECT_S)
        return fields
