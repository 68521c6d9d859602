"""Which address a request comes from, where proxies stand in between.

A proxy tells in `X-Forwarded-For` who asked it, behind what it was told itself. So the list is read from its end, and
only as far as each that wrote is trusted; what a client writes into it itself is never reached. Uvicorn has done the
same for proxies on loopback before a request comes here. (HAProxy as Ray Serve sets it up writes no such header by
itself: `serve_app.fast_lane` makes it.)
"""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
"""For all whose address cannot be told."""

MOST_PROXIES = 20
"""How far back a list is read."""

_HOME_BITS = 64
"""Of an IPv6 address: whoever has one has at least all that begin with these."""


class ClientAddresses:
    """Tells them by the proxies that are trusted."""

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted: tuple[_Network, ...] = tuple(ip_network(each) for each in trusted)
        self._read = lru_cache(maxsize=4_096)(self._uncached)

    def of(self, scope: Scope) -> str:
        """The client's address; of IPv6, its /64 network."""
        client = scope.get("client")
        forwarded = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        return self._read(client[0] if client else "", b",".join(forwarded)[-1_000:])

    def _uncached(self, peer: str, forwarded: bytes) -> str:
        address = _parsed(peer)
        for told in reversed(forwarded.decode("latin-1").split(",")[-MOST_PROXIES:]):
            if address is None or not self._is_trusted(address):
                break
            before = _parsed(told)
            if before is None:
                break
            address = before
        return UNKNOWN if address is None else _grouped(address)

    def _is_trusted(self, address: _Address) -> bool:
        return any(address in network for network in self._trusted)


def _parsed(text: str) -> _Address | None:
    """An address, with or without a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def _grouped(address: _Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> _HOME_BITS << _HOME_BITS, _HOME_BITS)))
