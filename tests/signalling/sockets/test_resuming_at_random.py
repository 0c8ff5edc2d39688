"""A client whose connection is cut again and again misses nothing and gets nothing twice."""

import asyncio
from random import Random

import pytest

from signalling.client.envelope import Backoff, Event
from signalling.client.wire import Wire
from signalling.frames import encode_raw
from signalling.sockets.connection import Connection
from tests.signalling.sockets.conftest import Rig, user

CUTS = 250
AT_ONCE = Backoff(first_ms=1, max_ms=4)


def cut(rig: Rig, wire: Wire, dice: Random) -> None:
    """At the server's end, at the client's, or with what was being written still going out."""
    device = rig.hub.get(user(1), "phone")
    link = None if device is None else device.link
    match dice.randrange(3):
        case 0 if isinstance(link, Connection):
            link._transport.abort()
        case 1 if link is not None:
            link.close(1001)
        case _ if wire._socket is not None and wire._socket._conn is not None:
            transport = wire._socket._conn.transport
            if transport is not None:
                transport.abort()


async def flow(rig: Rig, wire: Wire, dice: Random) -> int:
    """Events in bursts, cuts between and within them; how many events there were."""
    sent = cuts = 0
    while cuts < CUTS:
        rig.clock.now_ms += 1_000
        for _ in range(dice.randrange(6)):
            sent += 1
            taken = rig.hub.to_user(user(1), encode_raw("call_tick", b'{"n":%d}' % sent, 0))
            assert taken == 1
            if dice.random() < 0.1:
                cut(rig, wire, dice)
                cuts += 1
        # The pace of the traffic: at the same moment, within a handshake, or after it.
        await asyncio.sleep(dice.choice((0, 0.001, 0.004)))
    return sent


@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_is_missing_doubled_or_out_of_order(rig: Rig, seed: int) -> None:
    dice = Random(seed)
    seen: list[Event] = []

    async def listen(wire: Wire) -> None:
        async for event in wire.events():
            seen.append(event)
            if dice.random() < 0.2 and event.seq is not None:
                wire.report("ack", seq=event.seq)

    async with Wire(rig.url, "user:1", device_id="phone", backoff=AT_ONCE) as wire:
        listener = asyncio.create_task(listen(wire))
        sent = await flow(rig, wire, dice)
        await rig.until(
            lambda: wire.stopped is not None or any(e.data.get("n") == sent for e in seen)
        )
        assert wire.stopped is None
        await wire.connected.wait()
        listener.cancel()
    events = [event for event in seen if event.type == "call_tick"]
    assert [event.data["n"] for event in events] == list(range(1, sent + 1))
    assert [event.seq for event in events] == list(range(2, sent + 2))
    welcomes = [event.data["resumed"] for event in seen if event.type == "welcome"]
    assert welcomes == [False] + [True] * (len(welcomes) - 1)
    assert len(welcomes) > CUTS / 4
    await rig.until(lambda: rig.hub.sockets == 0)
    assert (rig.hub.rings, rig.hub.ring_bytes) == (0, 0), "it has said bye"
