"""A TCP proxy between clients and nodes that loses, delays, cuts and forgets on demand."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

Address = tuple[str, int]
CHUNK_BYTES = 65_536
CONNECT_S = 3.0


@dataclass
class Weather:
    """Of every link, from now on. `bytes_per_s` 0: as fast as it goes."""

    delay_ms: int = 0
    jitter_ms: int = 0
    bytes_per_s: int = 0


class Link:
    """One client's connection and the one to the node."""

    def __init__(self, client: asyncio.StreamWriter, node: asyncio.StreamWriter) -> None:
        self.client = client
        self.node = node
        self.hung = False
        self.half_then_cut = False

    def abort(self) -> None:
        for writer in (self.client, self.node):
            writer.transport.abort()

    def abort_unless_hung(self) -> None:
        """A half-open link keeps both its ends, whatever each of them does."""
        if not self.hung:
            self.abort()


class Proxy:
    """Listens on a port that stays; `pick` names the node for each new connection, or none."""

    def __init__(self, pick: Callable[[], Address | None], dice: Random) -> None:
        self.weather = Weather()
        self.links: set[Link] = set()
        self.port = 0
        self.closed = False
        self._pick = pick
        self._dice = dice
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=1_024)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        self.closed = True
        for link in list(self.links):
            link.abort()
        if self._server is not None:
            self._server.close()
        if self._serving:
            await asyncio.wait(self._serving)

    # -- faults

    def cut(self, share: float = 1.0) -> int:
        """Reset some of the links; how many."""
        return self._each(share, Link.abort)

    def cut_in_frame(self, share: float = 1.0) -> int:
        """Links that will pass half of their next piece, and then be reset."""

        def soon(link: Link) -> None:
            link.half_then_cut = True

        return self._each(share, soon)

    def hang(self, share: float = 1.0) -> int:
        """Half-open: nothing passes any more, and nobody is told."""

        def hang(link: Link) -> None:
            link.hung = True

        return self._each(share, hang)

    def heal(self) -> None:
        """Links that hang are lost for good, as those of a phone that has moved on."""
        self.weather = Weather()
        for link in list(self.links):
            if link.hung:
                link.abort()

    def _each(self, share: float, do: Callable[[Link], None]) -> int:
        hit = [link for link in list(self.links) if self._dice.random() < share]
        for link in hit:
            do(link)
        return len(hit)

    # -- passing on

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        try:
            await self._serve(reader, writer)
        finally:
            self._serving.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = self._pick()
        if address is None or self.closed:
            writer.transport.abort()
            return
        try:
            async with asyncio.timeout(CONNECT_S):
                back, forth = await asyncio.open_connection(*address)
        except (OSError, TimeoutError):
            writer.transport.abort()
            return
        link = Link(writer, forth)
        self.links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, reader, forth))
                group.create_task(self._pump(link, back, writer))
        except* OSError:
            pass
        finally:
            link.abort()
            self.links.discard(link)

    async def _pump(
        self, link: Link, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        while not writer.is_closing() or link.hung:
            piece = await reader.read(CHUNK_BYTES)
            if link.hung:
                if piece:
                    continue
                await self._forget(link)
            if not piece:
                link.abort_unless_hung()
                return
            await self._travel(len(piece))
            if link.half_then_cut:
                writer.write(piece[: len(piece) // 2])
                with contextlib.suppress(OSError):
                    await writer.drain()
                link.abort()
                return
            if not (link.hung or writer.is_closing()):  # uvloop refuses to write to what is closed.
                writer.write(piece)
                await writer.drain()

    async def _forget(self, link: Link) -> None:
        """One end of a hung link has gone; the other is not told until the proxy heals."""
        while True:
            if self.closed or (link.client.is_closing() and link.node.is_closing()):
                return
            await asyncio.sleep(0.2)

    async def _travel(self, size: int) -> None:
        weather = self.weather
        wait_s = (weather.delay_ms + self._dice.uniform(0, weather.jitter_ms)) / 1_000
        if weather.bytes_per_s:
            wait_s += size / weather.bytes_per_s
        if wait_s:
            await asyncio.sleep(wait_s)
