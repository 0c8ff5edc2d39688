"""Who may come in, and by which door."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from signalling.nodes import doors as module
from signalling.nodes.bus import Misconfigured
from signalling.nodes.cable import GREET, HEAD, PARCEL, PROOF, WELCOME, Cable
from signalling.nodes.doors import NONCE_BYTES, STRANGERS_MAX, Doors, Hello
from tests.signalling.nodes.twins import becomes


class House:
    """A node's doors, and who has come through them."""

    def __init__(self, address: str, *, host: str = "", admits: bool = True) -> None:
        self.doors = Doors(address, host)
        self.came: list[tuple[str, bytes]] = []
        self.cables: list[Cable] = []
        self.heard: list[bytes] = []
        self.hello: Hello
        self.doors.admits = lambda _: admits
        self.doors.opened = self._opened

    def _opened(self, node: str, cable: Cable, name: bytes) -> None:
        self.came.append((node, name))
        self.cables.append(cable)
        cable.on_frame = lambda _kind, _n, data: self.heard.append(data)
        cable.on_lost = lambda: None
        cable.go()

    async def open(self) -> House:
        self.hello = await self.doors.open()
        return self

    async def close(self) -> None:
        for cable in self.cables:
            cable.abort()
        await self.doors.close()


@pytest.fixture
async def west() -> AsyncIterator[House]:
    house = await House("west.1", host="127.0.0.1").open()
    yield house
    await house.close()


@pytest.fixture
async def east() -> AsyncIterator[House]:
    house = await House("east.1").open()
    yield house
    await house.close()


async def met(east: House, west: House) -> None:
    """East has come to West, and parcels go both ways."""
    await becomes(lambda: bool(west.came and east.came))
    ((to, name),) = east.came
    ((by, same),) = west.came
    assert (to, by) == ("west.1", "east.1")
    assert name == same
    east.cables[0].put(1, PARCEL, b"there")
    west.cables[0].put(1, PARCEL, b"back")
    await becomes(lambda: west.heard == [b"there"] and east.heard == [b"back"])


async def test_nodes_of_one_machine_meet_without_a_port(east: House, west: House) -> None:
    await east.doors.reach("west.1", msgspec.structs.replace(west.hello, host="", port=0))
    await met(east, west)


async def test_others_meet_by_a_port(east: House, west: House) -> None:
    await east.doors.reach("west.1", msgspec.structs.replace(west.hello, path="\0nowhere"))
    await met(east, west)


async def test_nobody_comes_in_any_more_when_the_doors_are_closed(west: House, east: House) -> None:
    await west.close()
    with pytest.raises(OSError):
        await east.doors.reach("west.1", west.hello)


async def test_without_a_host_nodes_of_other_machines_find_no_way(east: House) -> None:
    west = Hello("\0nowhere", "", 0, b"k" * 32)
    with pytest.raises(OSError):
        await east.doors.reach("west.1", west)


async def test_who_does_not_know_the_key_is_turned_away(east: House, west: House) -> None:
    with pytest.raises((OSError, ValueError)):
        await east.doors.reach("west.1", msgspec.structs.replace(west.hello, key=b"k" * 32))
    assert west.came == east.came == []


async def test_who_is_not_one_of_us_is_turned_away(west: House, east: House) -> None:
    west.doors.admits = lambda _: False
    with pytest.raises(OSError):
        await east.doors.reach("west.1", west.hello)
    assert west.came == east.came == []


async def test_who_answers_must_know_the_key_too(east: House, west: House) -> None:
    """Another node, on the port where West was, cannot take what is for West."""
    south = await House("south.1").open()
    try:
        hello = msgspec.structs.replace(south.hello, key=west.hello.key)
        with pytest.raises((OSError, ValueError)):
            await east.doors.reach("west.1", hello)
        assert south.came == east.came == []
    finally:
        await south.close()


async def test_a_proof_of_one_node_is_none_of_another(east: House, west: House) -> None:
    """Who has the key of West is taken for West by nobody who seeks South."""
    with pytest.raises((OSError, ValueError)):
        await east.doors.reach("south.1", west.hello)
    assert east.came == []


async def test_an_impostor_who_only_greets_is_found_out(east: House) -> None:
    def greet(cable: Cable) -> None:
        cable.on_frame = lambda *_: cable.write(WELCOME, 0, b"\0" * 32)
        cable.on_lost = lambda: None
        cable.write(GREET, 0, b"n" * NONCE_BYTES)

    server = await asyncio.get_running_loop().create_server(lambda: Cable(greet), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(ValueError, match=r"west\.1"):
        await east.doors.reach("west.1", Hello("\0nowhere", "127.0.0.1", port, b"k" * 32))
    assert east.came == []
    server.close()


async def stranger(west: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_unix_connection(sock=module._connect(west.hello.path))


@pytest.mark.parametrize(
    "said",
    [
        HEAD.pack(3, PARCEL, 1) + b"abc",
        HEAD.pack(2, PROOF, 0) + b"no",
        HEAD.pack(100, PROOF, 0) + bytes(100),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_a_stranger_who_says_anything_else_is_turned_away(west: House, said: bytes) -> None:
    reader, writer = await stranger(west)
    writer.write(said)
    async with asyncio.timeout(15):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1_000)
    writer.transport.abort()
    assert west.came == []


async def test_a_silent_stranger_is_turned_away(
    west: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.05)
    reader, writer = await stranger(west)
    async with asyncio.timeout(15):
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await reader.readexactly(1_000)
    writer.transport.abort()


async def test_only_so_many_strangers_are_let_wait(west: House, east: House) -> None:
    waiting = [await stranger(west) for _ in range(STRANGERS_MAX)]
    for reader, _ in waiting:
        await reader.readexactly(HEAD.size + NONCE_BYTES)
    with pytest.raises((OSError, TimeoutError)):
        await east.doors.reach("west.1", west.hello)
    for _, writer in waiting:
        writer.transport.abort()
    await becomes(lambda: not west.doors._strangers)
    await east.doors.reach("west.1", west.hello)
    await met(east, west)


async def test_a_node_that_answers_nothing_is_not_waited_for(
    east: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.05)
    writers: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: writers.append(writer), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(TimeoutError):
        await east.doors.reach("west.1", Hello("\0nowhere", "127.0.0.1", port, b"k" * 32))
    await becomes(lambda: bool(writers))
    for writer in writers:
        writer.transport.abort()
    server.close()


@pytest.mark.parametrize("host", ["192.0.2.1", "0.0.0.0", "::"])
async def test_a_host_by_which_nobody_reaches_us_is_an_error_of_the_start(host: str) -> None:
    doors = Doors("west.1", host)
    with pytest.raises(Misconfigured, match="TALKTIME_LINK_HOST"):
        await doors.open()
    await doors.close()
