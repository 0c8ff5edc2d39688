"""ICE servers for one leg: STUN as configured, TURN with credentials that end by themselves.

The scheme is coturn's `use-auth-secret`: the user name is `<expiry>:<user>:<call>`, the password
the base64 of HMAC-SHA-1 over it (draft-uberti-behave-turn-rest-00).
"""

import base64
import hashlib
import hmac
from uuid import UUID

import msgspec

from signalling.events import IceServer


class TurnTerms(msgspec.Struct, frozen=True, kw_only=True):
    """`secret` is shared with the TURN server; without it only STUN servers are named."""

    stun_urls: tuple[str, ...] = ()
    turn_urls: tuple[str, ...] = ()
    secret: str = ""
    ttl_ms: int = 600_000


def ice_servers(terms: TurnTerms, user_id: UUID, call_id: UUID, now_ms: int) -> list[IceServer]:
    servers = [IceServer(urls=list(terms.stun_urls))] if terms.stun_urls else []
    if terms.turn_urls and terms.secret:
        username = f"{(now_ms + terms.ttl_ms) // 1000}:{user_id}:{call_id}"
        digest = hmac.new(terms.secret.encode(), username.encode(), hashlib.sha1).digest()
        servers.append(
            IceServer(
                urls=list(terms.turn_urls),
                username=username,
                credential=base64.b64encode(digest).decode(),
            )
        )
    return servers
