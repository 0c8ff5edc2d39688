"""Where webhooks may be sent: anywhere in development, in production to the public net by TLS."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

# The last label of a name has a letter, so that no spelling of a number is taken for one.
_name = re.compile(r"([a-z0-9_-]+\.)*[a-z0-9_-]*[a-z_-][a-z0-9_-]*\.?", re.ASCII)
# Addresses that carry an IPv4 address to which a translator passes them on.
_TRANSLATED = IPv6Network("64:ff9b::/96")


def fault_of(url: str, *, strict: bool) -> str | None:
    """Why nothing can be sent there, or None; `strict` is production.

    Where a name leads is seen when something is sent: whoever sends asks `is_public`.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "is no URL"
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        return "holds signs that no URL holds"
    if parts.scheme not in ("https", "http") or not parts.hostname or port == 0:
        return "must look like https://host/path"
    if parts.username is not None or parts.password is not None:
        return "must not hold a name or a password"
    if "#" in url:
        return "must not have a fragment"
    if not strict:
        return None
    if parts.scheme != "https":
        return "must begin with https://"
    try:
        address = ip_address(parts.hostname)
    except ValueError:
        # Numbers with other spellings than ours, and names that are written in code.
        return None if _name.fullmatch(parts.hostname) else "must have a plain name as host"
    return None if is_public(address) else "must be a public address"


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Not of this host, of a private network, or of any other special use."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address.teredo is not None:
            inner = address.teredo[1]
        if inner is None and address in _TRANSLATED:
            inner = IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
        if address.is_site_local:
            return False
    return address.is_global and not address.is_multicast
