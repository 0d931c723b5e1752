"""The API keys of a server: a file of their hashes, which only its owner can read.

A key has 256 random bits, so that a plain hash of it cannot be reversed. A browser gets a cookie
that is derived from the key by a one-way function and kept as a hash as well: neither the cookie
nor the file gives the key away, and a file that is read by others lets nobody in.
"""

import hashlib
import hmac
import logging
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from app.errors import Conflict
from app.security.rights import RIGHTS, Right
from model.atomic_file import write_atomically
from model.plain_file import read_plain

FILE = "keys.json"
PREFIX = "sk-sidelight-"
SECRET_BYTES = 32
MOST_BYTES = 1 << 20
OWNER_ONLY = 0o600

log = logging.getLogger("sidelight")


class UnreadableKeys(Exception):
    """The file of keys is there and cannot be used; the message says why."""


class Key(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[\w.@ -]{1,64}$")
    rights: frozenset[Right]
    key_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    cookie_sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    created: datetime

    @classmethod
    def of(cls, secret: str, name: str, rights: Collection[Right]) -> "Key":
        return cls(
            name=name,
            rights=frozenset(rights),
            key_sha256=_sha256(secret),
            cookie_sha256=_sha256(cookie_of(secret)),
            created=datetime.now(UTC),
        )


class _Kept(BaseModel):
    model_config = ConfigDict(extra="forbid")

    keys: list[Key]


class KeyRing:
    """The keys in `folder`, read anew whenever their file has changed, and the server's own.

    All methods may be called from any thread.
    """

    def __init__(self, folder: Path, own: SecretStr | None = None) -> None:
        """`own` may do everything."""
        self._path = folder / FILE
        self._own = [Key.of(own.get_secret_value(), "SIDELIGHT_API_KEY", RIGHTS)] if own else []
        self._stamp: tuple[int, ...] = ()
        self._read: list[Key] = []
        self._required = False

    def required(self) -> bool:
        """Whether a request needs a key: from the first one on, until the server is restarted."""
        known = self._known()  # which may find that one is required
        self._required = self._required or bool(known)
        return self._required

    def of_bearer(self, secret: str) -> Key | None:
        """Whose key that is."""
        return self._find("key_sha256", secret)

    def of_cookie(self, secret: str) -> Key | None:
        """Whose browser has that cookie."""
        return self._find("cookie_sha256", secret)

    def listed(self) -> list[Key]:
        """Those in the file, the oldest first. Raises UnreadableKeys."""
        try:
            kept = read_plain(self._path.parent.resolve(), FILE, MOST_BYTES)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnreadableKeys(f"{self._path}: {error.strerror}") from None
        try:
            return _Kept.model_validate_json(kept).keys
        except ValidationError:
            message = "is not a file of keys; delete it, or put a copy of it back"
            raise UnreadableKeys(f"{self._path} {message}") from None

    def add(self, name: str, rights: Collection[Right]) -> str:
        """A new key, which is told here and never again.

        Raises Conflict for a name that is taken, UnreadableKeys, OSError, ValidationError.
        """
        secret = PREFIX + secrets.token_urlsafe(SECRET_BYTES)
        key = Key.of(secret, name, rights)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked():
            keys = self.listed()
            if name in {other.name for other in keys}:
                raise Conflict(f"name: there is a key {name!r} already", param="name")
            self._write([*keys, key])
        return secret

    def remove(self, name: str) -> None:
        """Nobody gets in with it from now on. Raises LookupError, UnreadableKeys, OSError."""
        with self._locked():
            keys = self.listed()
            left = [key for key in keys if key.name != name]
            if len(left) == len(keys):
                raise LookupError(f"there is no key {name!r}")
            self._write(left)

    def _locked(self) -> FileLock:
        return FileLock(self._path.with_suffix(".lock"))

    def _write(self, keys: list[Key]) -> None:
        text = _Kept(keys=keys).model_dump_json(indent=2)
        write_atomically(self._path, text.encode(), OWNER_ONLY)

    def _known(self) -> list[Key]:
        stamp = self._now()
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._read = self.listed()
            except UnreadableKeys as error:
                log.warning("nobody gets in with a key of the file: %s", error)
                self._read, self._required = [], True
        return self._own + self._read

    def _now(self) -> tuple[int, ...]:
        """Another one whenever the file is."""
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return ()
        except OSError:
            return (-1,)  # which `listed` will say more about
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    def _find(self, field: str, secret: str) -> Key | None:
        """All are compared, each in constant time, so that how long it takes says nothing."""
        digest = _sha256(secret)
        found = None
        for key in self._known():
            if hmac.compare_digest(getattr(key, field), digest):
                found = key
        return found


def cookie_of(secret: str) -> str:
    """What the browser of whoever has the key keeps in its place."""
    return hmac.new(secret.encode(), b"sidelight browser", "sha256").hexdigest()


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
