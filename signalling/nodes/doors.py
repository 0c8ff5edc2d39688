"""How the nodes of a deployment reach each other without anybody between them.

Each listens on a socket of its machine (of Linux, without a file that a killed node would leave
behind) and, if it is told a host, on a port of that. Where it listens, and a key, go to the others
by Redis; who connects proves by the key that it has read that, and so does who listens. Nothing is
encrypted here: hosts are those of a private network.
"""

from __future__ import annotations

import asyncio
import hmac
import socket
import sys
from collections.abc import Callable
from ipaddress import ip_address
from secrets import token_bytes, token_hex

import msgspec

from signalling.nodes.bus import Misconfigured
from signalling.nodes.cable import GREET, PROOF, WELCOME, Cable

NONCE_BYTES = 16
PROOF_BYTES = 32
CONNECT_S = 1.0
STRANGERS_MAX = 64


class Hello(msgspec.Struct, frozen=True, array_like=True):
    """Where a node listens: a socket of its machine, or nothing, and a port of a host, or 0."""

    path: str
    host: str
    port: int
    key: bytes


class Doors:
    """`admits(node)` says whether that node is one of ours; `opened(node, cable, name)` is told of
    each connection when both sides have proved who they are. `name` is the same on both sides."""

    def __init__(self, address: str, host: str = "", port: int = 0) -> None:
        self.admits: Callable[[str], bool]
        self.opened: Callable[[str, Cable, bytes], None]
        self._address = address
        self._host = host
        self._port = port
        self._key = token_bytes(PROOF_BYTES)
        self._servers: list[asyncio.Server] = []
        self._strangers: set[Cable] = set()

    async def open(self) -> Hello:
        """
        Raises:
            Misconfigured: nobody can listen on that host and port.
        """
        loop = asyncio.get_running_loop()
        host, port = await self._open_port() if self._host else ("", 0)
        path = ""
        if sys.platform == "linux":
            path = f"\0talktime-{token_hex(NONCE_BYTES)}"
            self._servers.append(await loop.create_unix_server(self._stranger, path))
        return Hello(path, host, port, self._key)

    async def _open_port(self) -> tuple[str, int]:
        """The address that others connect to."""
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(self._stranger, self._host, self._port)
        except OSError as error:
            raise Misconfigured(
                f"this node cannot listen for others at {self._host}:{self._port} ({error}): "
                "check TALKTIME_LINK_HOST and TALKTIME_LINK_PORT"
            ) from error
        self._servers.append(server)
        host, port = server.sockets[0].getsockname()[:2]
        if ip_address(host).is_unspecified:
            raise Misconfigured(
                f"TALKTIME_LINK_HOST={self._host} is no address by which others reach this node: "
                "name one of its private network"
            )
        return host, port

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        self._servers = []
        for cable in list(self._strangers):
            self._turn_away(cable)

    async def reach(self, node: str, hello: Hello) -> None:
        """Connect to that node; `opened` has been told when this returns.

        Raises:
            OSError, TimeoutError: it cannot be reached.
            ValueError: who answers there is somebody else.
        """
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(CONNECT_S):
            try:
                near = _connect(hello.path)
            except OSError:  # It is on another machine.
                if not hello.host:
                    raise
                _, cable = await loop.create_connection(Cable, hello.host, hello.port)
            else:
                _, cable = await loop.create_unix_connection(Cable, sock=near)
            done: asyncio.Future[None] = loop.create_future()
            self._introduce(cable, node, hello.key, done)
            try:
                await done
            except BaseException:
                cable.abort()
                raise

    # -- who connects

    def _introduce(self, cable: Cable, node: str, key: bytes, done: asyncio.Future[None]) -> None:
        mine = token_bytes(NONCE_BYTES)
        theirs = b""

        def frame(kind: int, _: int, data: bytes) -> None:
            nonlocal theirs
            if kind == GREET and not theirs and len(data) == NONCE_BYTES:
                theirs = data
                me = self._address.encode()
                cable.write(PROOF, 0, _proof(key, b"connects", theirs, mine, me) + mine + me)
            elif kind == WELCOME and hmac.compare_digest(
                data, _proof(key, b"listens", theirs, mine, node.encode())
            ):
                cable.hold()
                done.set_result(None)
                self.opened(node, cable, theirs)
            else:
                end(ValueError(f"at the address of {node} answers somebody else"))

        def end(error: Exception) -> None:
            if not done.done():
                done.set_exception(error)

        cable.on_frame = frame
        cable.on_lost = lambda: end(ConnectionError("the connection was closed"))

    # -- who listens

    def _stranger(self) -> Cable:
        return Cable(self._greet)

    def _greet(self, cable: Cable) -> None:
        nonce = token_bytes(NONCE_BYTES)

        def frame(kind: int, _: int, data: bytes) -> None:
            proof, theirs = data[:PROOF_BYTES], data[PROOF_BYTES : PROOF_BYTES + NONCE_BYTES]
            name = data[PROOF_BYTES + NONCE_BYTES :]
            right = _proof(self._key, b"connects", nonce, theirs, name)
            node = name.decode("ascii", "replace")
            if kind != PROOF or not hmac.compare_digest(proof, right) or not self.admits(node):
                self._turn_away(cable)
                return
            self._strangers.discard(cable)
            me = self._address.encode()
            cable.write(WELCOME, 0, _proof(self._key, b"listens", nonce, theirs, me))
            cable.hold()
            self.opened(node, cable, nonce)

        def turn_away() -> None:
            if cable in self._strangers:
                self._turn_away(cable)

        cable.on_frame = frame
        cable.on_lost = lambda: self._strangers.discard(cable)
        self._strangers.add(cable)
        if len(self._strangers) > STRANGERS_MAX:
            self._turn_away(cable)
            return
        cable.write(GREET, 0, nonce)
        asyncio.get_running_loop().call_later(CONNECT_S, turn_away)

    def _turn_away(self, cable: Cable) -> None:
        self._strangers.discard(cable)
        cable.abort()


def _connect(path: str) -> socket.socket:
    """At once or not at all. (The loop's own way knows no sockets without a file.)

    Raises:
        OSError: nobody listens there.
    """
    near = socket.socket(socket.AF_UNIX)
    near.setblocking(False)
    try:
        near.connect(path)
    except BaseException:
        near.close()
        raise
    return near


def _proof(key: bytes, role: bytes, listener: bytes, connector: bytes, name: bytes) -> bytes:
    return hmac.digest(key, b"|".join((role, listener, connector, name)), "sha256")
