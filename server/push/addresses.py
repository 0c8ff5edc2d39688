"""Which addresses the server may be sent to by strangers: public ones, checked when connecting.

Names are not judged: a name may lead to one address now and to another one later.
"""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

# Global unicast; what is outside of it is ours, reserved, or something that carries IPv4.
UNICAST = ip_network("2000::/3")
# An address of IPv4 behind a translator stands in the last 32 bits.
NAT64 = ip_network("64:ff9b::/96")
LOW_32 = (1 << 32) - 1


def is_public(text: str) -> bool:
    """`text` is an IP address; one that cannot be read is not public."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif address in NAT64:
            address = IPv4Address(int(address) & LOW_32)
        elif address not in UNICAST or address.sixtofour is not None or address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


def public_socket(address: tuple[Any, ...]) -> socket.socket:
    """A socket for what `getaddrinfo` has found; for aiohttp, which asks just before connecting.

    Raises:
        PermissionError: the address is not a public one.
    """
    family, kind, protocol, _, place = address
    if not is_public(str(place[0])):
        raise PermissionError("not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)
