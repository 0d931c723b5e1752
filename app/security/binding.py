"""Whether others than this machine can reach a server, and what it takes to let them."""

from ipaddress import IPv6Address, ip_address

NEEDS_A_KEY = (
    "{address} can be reached from other machines, and nobody needs a key: make one with "
    "'sidelight keys add NAME', or set SIDELIGHT_API_KEY, or let everybody in with --open-to-all "
    "(SIDELIGHT_OPEN_TO_ALL=true)"
)


def is_of_this_machine(address: str) -> bool:
    """Whether only this machine reaches an address that is listened on: `127.0.0.1`, `::1`."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped:
        return found.ipv4_mapped.is_loopback
    return found.is_loopback
