"""A cable between two ends of one process: what is put in comes out, or can be taken back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from signalling.nodes import cable as cables
from signalling.nodes.cable import ACK, ACK_BYTES, ASK, HEAD, PARCEL, SILENCE_S, USER, Cable
from signalling.nodes.outgoing import BYTES_MAX, PARCELS_MAX
from tests.signalling.nodes.twins import becomes

DEADLINE_S = 15.0


class End:
    """A cable that writes down what it is told."""

    def __init__(self, cable: Cable) -> None:
        self.cable = cable
        self.frames: list[tuple[int, int, bytes]] = []
        self.lost = 0
        cable.on_frame = lambda kind, n, data: self.frames.append((kind, n, data))
        cable.on_lost = self._lost

    def _lost(self) -> None:
        self.lost += 1


class Ends:
    def __init__(self) -> None:
        self.near: End
        self.far: End
        self._server: asyncio.Server

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        came: asyncio.Queue[Cable] = asyncio.Queue()
        self._server = await loop.create_server(lambda: Cable(came.put_nowait), "127.0.0.1", 0)
        _, cable = await loop.create_connection(Cable, *self._server.sockets[0].getsockname())
        self.near, self.far = End(cable), End(await came.get())

    def close(self) -> None:
        self.near.cable.abort()
        self.far.cable.abort()
        self._server.close()


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    made = Ends()
    await made.open()
    yield made
    made.close()


@pytest.fixture
async def raw() -> AsyncIterator[tuple[End, asyncio.StreamWriter]]:
    """A cable, and a writer of bytes at its other end."""
    came: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
    take: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
    take = lambda _, writer: came.put_nowait(writer)  # noqa: E731
    server = await asyncio.start_server(take, "127.0.0.1", 0)
    loop = asyncio.get_running_loop()
    _, cable = await loop.create_connection(Cable, *server.sockets[0].getsockname())
    writer = await came.get()
    yield End(cable), writer
    cable.abort()
    writer.transport.abort()
    server.close()


async def test_frames_come_whole_and_in_order(ends: Ends) -> None:
    sent = [(PARCEL, n, bytes([n % 256]) * (n * 37)) for n in range(1, 400)]
    for kind, n, data in sent:
        assert ends.near.cable.put(n, kind, data)
    await becomes(lambda: len(ends.far.frames) == len(sent))
    assert ends.far.frames == sent


async def test_both_sides_send_at_once(ends: Ends) -> None:
    for n in range(1, 301):
        ends.near.cable.put(n, PARCEL, b"there")
        ends.far.cable.put(n, USER, b"back")
    await becomes(lambda: len(ends.near.frames) == len(ends.far.frames) == 300)
    assert ends.near.frames == [(USER, n, b"back") for n in range(1, 301)]
    assert ends.far.frames == [(PARCEL, n, b"there") for n in range(1, 301)]


async def test_a_frame_may_come_in_pieces(raw: tuple[End, asyncio.StreamWriter]) -> None:
    end, writer = raw
    whole = HEAD.pack(3, PARCEL, 7) + b"abc" + HEAD.pack(0, PARCEL, 8)
    for at in range(len(whole)):
        writer.write(whole[at : at + 1])
        await writer.drain()
    await becomes(lambda: len(end.frames) == 2)
    assert end.frames == [(PARCEL, 7, b"abc"), (PARCEL, 8, b"")]


async def test_what_was_not_acknowledged_is_kept_in_order(ends: Ends) -> None:
    near = ends.near.cable
    ends.far.cable.hold()
    for n in range(1, 11):
        near.put(n, PARCEL, b"%d" % n)
    assert [n for n, _, _ in near.unacked] == list(range(1, 11))
    ends.far.cable.go()
    async with asyncio.timeout(DEADLINE_S):
        await near.settled()
    assert not near.unacked


async def test_many_parcels_are_acknowledged_without_being_asked(ends: Ends) -> None:
    near = ends.near.cable
    for n in range(1, cables.TURN_FRAMES + 1):
        near.put(n, PARCEL, b"")
    await becomes(lambda: not near.unacked)


async def test_large_parcels_are_acknowledged_without_being_asked(ends: Ends) -> None:
    near = ends.near.cable
    near.put(1, PARCEL, bytes(ACK_BYTES))
    await becomes(lambda: not near.unacked)


async def test_a_beat_acknowledges_and_is_a_sign_of_life(ends: Ends) -> None:
    near, far = ends.near.cable, ends.far.cable
    near.put(1, PARCEL, b"one")
    await becomes(lambda: len(ends.far.frames) == 1)
    near.heard_s -= 2 * SILENCE_S
    assert near.silent(near.heard_s + SILENCE_S + 0.1)
    old_s = near.heard_s
    far.beat()
    await becomes(lambda: not near.unacked)
    assert near.heard_s > old_s
    assert ends.near.frames == []  # An acknowledgement is nobody's business.


async def test_who_is_held_handles_nothing_and_is_not_taken_for_silent(ends: Ends) -> None:
    far = ends.far.cable
    far.hold()
    for n in range(1, 200):
        ends.near.cable.put(n, PARCEL, b"later")
    far.heard_s -= 2 * SILENCE_S
    assert not far.silent(far.heard_s + 2 * SILENCE_S)
    ends.near.cable.beat()
    assert ends.far.frames == []
    far.go()
    await becomes(lambda: len(ends.far.frames) == 199)
    assert [n for _, n, _ in ends.far.frames] == list(range(1, 200))


async def test_a_handler_may_hold_the_cable_in_the_midst_of_what_came(ends: Ends) -> None:
    far, seen = ends.far.cable, list[int]()

    def hear(_kind: int, n: int, _data: bytes) -> None:
        seen.append(n)
        if n == 3:
            far.hold()

    far.on_frame = hear
    for n in range(1, 11):
        ends.near.cable.put(n, PARCEL, b"")
    await becomes(lambda: seen == [1, 2, 3])
    far.go()
    await becomes(lambda: seen == list(range(1, 11)))


async def test_the_loop_has_a_turn_between_portions(ends: Ends) -> None:
    turns = 0
    running = True

    def turn() -> None:
        nonlocal turns
        turns += 1
        if running:
            asyncio.get_running_loop().call_soon(turn)

    seen: list[int] = []
    ends.far.cable.on_frame = lambda _kind, _n, _data: seen.append(turns)
    for n in range(1, 10 * cables.TURN_FRAMES + 1):
        ends.near.cable.put(n, PARCEL, b"")
    turn()
    await becomes(lambda: len(seen) == 10 * cables.TURN_FRAMES)
    running = False
    assert max(seen.count(number) for number in set(seen)) <= cables.TURN_FRAMES


async def test_who_is_too_far_behind_is_told(ends: Ends) -> None:
    ends.far.cable.hold()
    near = ends.near.cable
    assert all(near.put(n, PARCEL, b"") for n in range(1, PARCELS_MAX + 1))
    assert not near.put(PARCELS_MAX + 1, PARCEL, b"")


async def test_who_holds_too_many_bytes_is_told(ends: Ends) -> None:
    ends.far.cable.hold()
    large = bytes(1 << 20)
    count = BYTES_MAX // len(large)
    assert all(ends.near.cable.put(n, PARCEL, large) for n in range(1, count + 1))
    assert not ends.near.cable.put(count + 1, PARCEL, b"!")


async def test_only_the_other_side_hears_of_an_end_by_abort(ends: Ends) -> None:
    ends.near.cable.abort()
    await becomes(lambda: ends.far.lost == 1)
    assert ends.near.lost == 0
    ends.near.cable.put(1, PARCEL, b"nobody")  # Not an error.
    ends.far.cable.put(1, PARCEL, b"nobody")
    ends.far.cable.go()


async def test_who_waits_for_acknowledgements_wakes_when_the_cable_ends(ends: Ends) -> None:
    near = ends.near.cable
    ends.far.cable.hold()
    near.put(1, PARCEL, b"never read")
    waiting = asyncio.create_task(near.settled())
    await asyncio.sleep(0)
    ends.far.cable.abort()
    async with asyncio.timeout(DEADLINE_S):
        await waiting
    assert [n for n, _, _ in near.unacked] == [1]


async def test_a_frame_that_is_too_large_ends_the_cable(
    raw: tuple[End, asyncio.StreamWriter],
) -> None:
    end, writer = raw
    writer.write(HEAD.pack(cables.DATA_BYTES_MAX + 1, PARCEL, 1))
    await becomes(lambda: end.lost == 1)
    assert end.frames == []


async def test_an_unknown_acknowledgement_is_nothing(
    raw: tuple[End, asyncio.StreamWriter],
) -> None:
    end, writer = raw
    writer.write(HEAD.pack(0, ACK, 99) + HEAD.pack(0, ASK, 0) + HEAD.pack(0, PARCEL, 1))
    await becomes(lambda: len(end.frames) == 1)
    assert end.frames == [(PARCEL, 1, b"")]
