"""Whether a server may be reached: by other machines only where it knows whom to let in."""

import errno
import socket

from app.keys.ring import KeyRing, UnreadableKeys
from app.security.binding import NEEDS_A_KEY, is_of_this_machine
from app.settings import Settings
from app.starting import CannotStart


def listen(host: str, port: int) -> socket.socket:
    """Raises CannotStart. `::` and `::ffff:127.0.0.1` take addresses of IPv4."""
    try:
        return _listener(host, port)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        other = "--port" if error.errno in (errno.EADDRINUSE, errno.EACCES) else "--host"
        line = f"cannot listen on {host}:{port}: {reason}; try another {other}"
        raise CannotStart(line) from None


def require_protection(listener: socket.socket, settings: Settings) -> None:
    """Raises CannotStart for one that others can reach unasked, or whose keys cannot be read."""
    keys = KeyRing(settings.data, settings.api_key)
    try:
        keys.listed()
    except UnreadableKeys as error:
        raise CannotStart(str(error)) from None
    address = listener.getsockname()[0]
    if not (is_of_this_machine(address) or settings.open_to_all or keys.required()):
        raise CannotStart(NEEDS_A_KEY.format(address=address))


def _listener(host: str, port: int) -> socket.socket:
    if ":" not in host:
        return socket.create_server((host, port))
    both = host.startswith("::") and host != "::1" and socket.has_dualstack_ipv6()
    return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=both)
