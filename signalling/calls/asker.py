"""One call request on its way to a call."""

from uuid import UUID

import msgspec

from signalling.commands import CallRequest
from signalling.nodes.fanout import NOWHERE
from storage.terms import Terms


class Asker(msgspec.Struct, frozen=True):
    """`device` is `rest` for a request without a socket. The last two are the other nodes on which
    the two users have sockets."""

    caller: UUID
    device: str
    request_id: str | None
    connect_on: str
    wish: CallRequest
    terms: Terms
    caller_nodes: frozenset[str] = NOWHERE
    callee_nodes: frozenset[str] = NOWHERE
