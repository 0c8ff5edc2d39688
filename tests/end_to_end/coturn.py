"""A real coturn on the loopback address, run with the configuration shipped in `deploy/`."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import secrets
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aioice import stun
from aioice.turn import TurnTransport, create_turn_endpoint

from server.parent import die_with_parent
from signalling.turn import TurnTerms
from tests.end_to_end.driver import ROOT, Json
from tests.signalling.client.waiting import until

SHIPPED = ROOT / "deploy" / "coturn.conf"
HOST = "127.0.0.1"
START_S = 30.0
STEP_S = 10.0
MISSING = "these tests need coturn's turnserver: apt install coturn"


class Coturn:
    def __init__(self, port: int, console_port: int, log: Path) -> None:
        self.secret = secrets.token_urlsafe(36)
        self.password = secrets.token_urlsafe(36)
        self.port = port
        self.console = f"{HOST}:{console_port}"
        self.log = log
        self.url = f"turn:{HOST}:{port}?transport=udp"
        self._held: list[Allocation] = []

    @property
    def terms(self) -> TurnTerms:
        return TurnTerms(turn_urls=(self.url,), secret=self.secret)

    def settings(self) -> dict[str, Any]:
        """What a Talktime needs to know of this server."""
        return {
            "turn_urls": self.url,
            "turn_secret": self.secret,
            "turn_console": self.console,
            "turn_console_password": self.password,
        }

    def said(self, pattern: str) -> list[str]:
        """The lines of its log in which `pattern` is found."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if re.search(pattern, line)]

    async def says(self, pattern: str, times: int = 1) -> list[str]:
        await until(lambda: len(self.said(pattern)) >= times)
        return self.said(pattern)

    async def allocate(self, server: Json) -> Allocation:
        """A relay made with one entry of `iceServers`, refreshed for as long as the server lets it.

        Raises:
            aioice.stun.TransactionFailed: the server refuses; its `response` says why.
        """
        assert server["urls"] == [self.url]
        transport, made = await create_turn_endpoint(
            Allocation, (HOST, self.port), server["username"], server["credential"]
        )
        made.transport = transport
        self._held.append(made)
        return made

    async def refusal(self, server: Json) -> int:
        """The code with which the server refuses these credentials; 0 if it takes them."""
        try:
            made = await self.allocate(server)
        except stun.TransactionFailed as failed:
            return failed.response.error_code or -1
        await made.close()
        return 0

    async def until_over(self, server: Json) -> None:
        """The time in these credentials has come."""
        async with asyncio.timeout(STEP_S):
            while await self.refusal(server) != 401:  # noqa: ASYNC110 (it has no event for that)
                await asyncio.sleep(0.1)

    async def let_go(self) -> None:
        for each in self._held:
            await each.close()


class Allocation(asyncio.DatagramProtocol):
    """A relay held and refreshed by a client that does what it likes. `lost` is set at its end."""

    def __init__(self) -> None:
        self.lost = asyncio.Event()
        self.transport: TurnTransport | None = None

    def error_received(self, fault: Exception) -> None:
        """A channel that is refused; the tests look at what the server says."""

    @property
    def turn(self) -> Any:
        """aioice's client of this allocation."""
        return self.transport._TurnTransport__inner_protocol  # type: ignore[union-attr]

    async def until_lost(self) -> None:
        """The server has refused to refresh it."""
        async with asyncio.timeout(STEP_S):
            await self.lost.wait()

    async def close(self) -> None:
        assert self.transport is not None
        self.transport.close()
        await self.until_lost()

    def connection_lost(self, _: Exception | None) -> None:
        self.lost.set()


@asynccontextmanager
async def coturn(directory: Path, **changes: object) -> AsyncIterator[Coturn]:
    """`changes` to the shipped configuration, with `_` for `-`.

    Peers on the loopback address are allowed, as the legs of a test meet there.
    """
    binary = shutil.which("turnserver")
    assert binary is not None, MISSING
    there = Coturn(_free_port(socket.SOCK_DGRAM), _free_port(socket.SOCK_STREAM), directory / "log")
    lines = {
        "listening-ip": HOST,
        "relay-ip": HOST,
        "allowed-peer-ip": HOST,
        "static-auth-secret": there.secret,
        "cli-password": there.password,
        "userdb": directory / "users",
        "pidfile": directory / "pid",
        **{name.replace("_", "-"): value for name, value in changes.items()},
        "listening-port": there.port,
        "cli-port": there.console.rpartition(":")[2],
    }
    flags = ("allow-loopback-peers", "verbose", "simple-log")
    config = directory / "coturn.conf"
    kept = [line for line in SHIPPED.read_text().splitlines() if line.split("=")[0] not in lines]
    config.write_text(
        "\n".join([*kept, *flags, *(f"{name}={value}" for name, value in lines.items())]) + "\n"
    )
    with there.log.open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(binary, "-c", str(config)),
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C in our terminal is for us.
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
    try:
        await _answers(there, process)
        yield there
    finally:
        await there.let_go()
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _answers(there: Coturn, process: asyncio.subprocess.Process) -> None:
    """Until it answers a binding request, asked anew each tenth of a second."""
    loop = asyncio.get_running_loop()
    request = bytes(
        stun.Message(message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST)
    )
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.setblocking(False)
        asking.connect((HOST, there.port))
        async with asyncio.timeout(START_S):
            while True:
                assert process.returncode is None, there.log.read_text(errors="replace")
                try:
                    async with asyncio.timeout(0.1):
                        await loop.sock_sendall(asking, request)
                        answer = await loop.sock_recv(asking, 1_024)
                except TimeoutError:
                    continue
                except ConnectionRefusedError:
                    await asyncio.sleep(0.05)
                    continue
                if stun.parse_message(answer).message_class is stun.Class.RESPONSE:
                    return


def _free_port(kind: socket.SocketKind) -> int:
    """One that the kernel gives nobody by itself, who could have it before coturn has."""
    while True:
        port = random.randrange(10_000, 30_000)
        with socket.socket(socket.AF_INET, kind) as held, contextlib.suppress(OSError):
            held.bind((HOST, port))
            return port
