"""Which names of this machine a server answers to, as protection from DNS rebinding."""

from __future__ import annotations

import ipaddress
import re
import socket

EVERY_ADDRESS = ("0.0.0.0", "[::]")  # noqa: S104 - hosts of servers that the whole network can reach
_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]]+)(:\d*)?")
_LOCAL = frozenset({"localhost", "127.0.0.1", "[::1]"})


def answers_to(bound: str, hosts: list[str]) -> bool:
    """Return whether a request names this machine; a website that rebinds its name to it does not.

    Addresses cannot be rebound. A server for the whole network is asked by address or by host name.

    Args:
        bound: host of the server, in lower case; an IPv6 address in brackets.
        hosts: all Host headers of the request.

    Example:
        >>> answers_to("127.0.0.1", ["localhost:8000"]), answers_to("127.0.0.1", ["evil.example"])
        (True, False)
        >>> answers_to("0.0.0.0", ["192.168.1.7:8000"]), answers_to("0.0.0.0", ["evil.example"])
        (True, False)
    """
    found = _HOST.fullmatch(hosts[0].lower()) if len(hosts) == 1 else None
    if found is None:
        return False
    if bound in EVERY_ADDRESS and (found[1] in _own_names() or _is_address(found[1])):
        return True
    return found[1] in _LOCAL | {bound}


def _own_names() -> tuple[str, str]:
    """Return the names of this machine, also as mDNS has it."""
    name = socket.gethostname().lower()
    return name, f"{name.removesuffix('.local')}.local"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
