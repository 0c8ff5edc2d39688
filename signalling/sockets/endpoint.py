"""`GET /ws`: who may upgrade, and the life of a socket from there."""

from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs, web

from signalling.limits import SocketLimits
from signalling.sockets.connection import Connection
from signalling.sockets.desk import Desk
from signalling.sockets.fast_reader import make_response
from signalling.sockets.handshake import shake_hands
from signalling.sockets.hub import Hub, address_key
from signalling.sockets.send_queue import Flusher

SUBPROTOCOL = "talktime.v1"
QUERY_TOKENS = frozenset({"token", "access_token", "jwt", "auth"})
RETRY_S = 2


class SocketEndpoint:
    """`fast=False` reads through aiohttp's public `receive()` only.

    `origins` are the pages, besides those of our own host, whose scripts may connect
    (`https://app.example`); native apps send no Origin. The address that sockets are counted by
    is `request.remote`: whatever trusts a proxy has put the client's there.
    """

    def __init__(
        self,
        hub: Hub,
        desk: Desk,
        limits: SocketLimits,
        clock: Callable[[], int],
        *,
        origins: frozenset[str] = frozenset(),
        draining: Callable[[], bool] = lambda: False,
        fast: bool = True,
    ) -> None:
        self._hub = hub
        self._desk = desk
        self._limits = limits
        self._clock = clock
        self._origins = frozenset(origin.rstrip("/").lower() for origin in origins)
        self._draining = draining
        self._fast = fast
        self._flusher = Flusher()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        address = address_key(request.remote)
        refusal = self._refusal(request, address)
        if refusal is not None:
            return refusal
        ws = make_response(
            fast=self._fast,
            protocols=(SUBPROTOCOL,),
            compress=False,
            autoping=False,
            autoclose=False,
            # aiohttp refuses a message of exactly its limit.
            max_msg_size=self._limits.frame_bytes_max + 1,
        )
        transport = request.transport
        if transport is None or not ws.can_prepare(request).ok:
            return refuse(426, "UPGRADE_REQUIRED", "Connect with a WebSocket client.")
        connection = Connection(
            transport, self._hub, self._desk, self._limits, self._clock, self._flusher
        )
        self._hub.opened(connection, address)
        try:
            await ws.prepare(request)
            token = bearer(request)
            await shake_hands(
                ws, connection, self._hub, self._desk, self._limits, self._clock, token=token
            )
            await connection.read(ws)
        finally:
            connection.finish()
            self._hub.ended(connection, address)
        return ws

    def _refusal(self, request: web.Request, address: str) -> web.Response | None:
        headers = request.headers
        if hdrs.TRANSFER_ENCODING in headers or headers.get(hdrs.CONTENT_LENGTH, "0") != "0":
            return refuse(400, "BAD_REQUEST", "An upgrade carries no body.")
        if any(name.lower() in QUERY_TOKENS for name in request.query):
            why = "A token in the URL ends up in logs. Send it in hello or as Authorization."
            return refuse(400, "TOKEN_IN_URL", why)
        if not self._from_here(request):
            return refuse(403, "FORBIDDEN", "Pages of this origin may not connect.")
        offered = headers.get(hdrs.SEC_WEBSOCKET_PROTOCOL)
        if offered is not None and SUBPROTOCOL not in [one.strip() for one in offered.split(",")]:
            return refuse(400, "BAD_REQUEST", f"The subprotocol is {SUBPROTOCOL}.")
        if self._draining():
            return refuse(503, "UNAVAILABLE", "This node is going away.", retry=True)
        full = self._hub.full(address)
        if full == "address":
            return refuse(429, "RATE_LIMITED", "Too many sockets from this address.", retry=True)
        if full is not None:
            return refuse(503, "UNAVAILABLE", "Too many sockets.", retry=True)
        return None

    def _from_here(self, request: web.Request) -> bool:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return True
        origin = origin.rstrip("/").lower()
        if origin in self._origins:
            return True
        try:
            return urlsplit(origin).netloc == request.host.lower()
        except ValueError:  # Brackets with no address in them.
            return False


def bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None


def refuse(status: int, error: str, message: str, *, retry: bool = False) -> web.Response:
    """A refused upgrade; the connection ends with it, so nothing behind it is read as a request."""
    body = msgspec.json.encode({"success": False, "error": error, "message": message})
    response = web.Response(status=status, body=body, content_type="application/json")
    if retry:
        response.headers[hdrs.RETRY_AFTER] = str(RETRY_S)
    response.force_close()
    return response
