"""Servers that want a key, for the tests of who gets in."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from app.keys.ring import KeyRing
from app.main import create_app
from app.security.rights import RIGHTS, Right
from app.settings import Settings

KINDS: dict[str, Sequence[Right]] = {
    "reader": ["read"],
    "writer": ["read", "generate"],
    "trainer": RIGHTS,
}


def make_keys(data: Path) -> dict[str, str]:
    """One for each of KINDS."""
    ring = KeyRing(data)
    return {name: ring.add(name, rights) for name, rights in KINDS.items()}


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


@contextmanager
def keyed_client(checkpoints: Path, data: Path, **settings: Any) -> Iterator[TestClient]:
    app = create_app(Settings(checkpoints=checkpoints, data=data, **settings))
    with TestClient(app, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


def another(app: FastAPI, address: str = "203.0.113.9") -> TestClient:
    """The same app as it is asked from another address; it is running already."""
    return TestClient(
        app, raise_server_exceptions=False, follow_redirects=False, client=(address, 5000)
    )
