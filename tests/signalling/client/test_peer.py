"""Two peers joined in memory: signals are handed over as the server would relay them."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from signalling.client.audio import Sink, Tone
from signalling.client.envelope import Json
from signalling.client.peer import MediaChange, Peer
from tests.signalling.client.waiting import until

CALLER_HZ = 400
CALLEE_HZ = 1_000


class Leg:
    """A peer, what it was told about media, and every signal it sent."""

    def __init__(self, *, polite: bool, hz: int) -> None:
        self.sink = Sink()
        self.changes: asyncio.Queue[MediaChange] = asyncio.Queue()
        self.sent: list[Json] = []
        self.other: Leg | None = None
        self.answer: Callable[[Json], Json] = lambda _: {}
        self.peer = Peer(
            self._send,
            self.changes.put_nowait,
            polite=polite,
            source=Tone(hz),
            sink=self.sink,
        )

    async def _send(self, signal: Json) -> Json:
        self.sent.append(signal)
        answer = self.answer(signal)
        if self.other is not None and not answer:
            self.other.peer.receive(signal)
        return answer

    async def flowing(self, gen: int) -> MediaChange:
        async with asyncio.timeout(10):
            while True:
                change = await self.changes.get()
                if change.flowing and change.gen == gen:
                    return change

    async def heard(self, hz: int) -> None:
        """Wait until a tone of this pitch comes out."""
        await until(lambda: self.sink.level() > 0.05 and abs(self.sink.hz() - hz) < hz * 0.05)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Leg, Leg]]:
    caller, callee = Leg(polite=False, hz=CALLER_HZ), Leg(polite=True, hz=CALLEE_HZ)
    caller.other, callee.other = callee, caller
    yield caller, callee
    await asyncio.gather(caller.peer.close(), callee.peer.close())


async def test_each_side_hears_the_tone_of_the_other(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    await asyncio.gather(caller.heard(CALLEE_HZ), callee.heard(CALLER_HZ))
    assert [s["kind"] for s in caller.sent] == ["offer", "end"]
    assert [s["kind"] for s in callee.sent] == ["answer", "end"]
    stats = await caller.peer.stats()
    assert stats.in_packets > 0
    assert stats.in_bytes > 0
    assert stats.out_packets > 0


async def test_a_muted_peer_sends_silence_but_goes_on_sending(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    await callee.heard(CALLER_HZ)
    caller.peer.mute(True)
    before = callee.sink.frames
    await until(lambda: callee.sink.level() < 0.001)
    assert callee.sink.frames > before
    caller.peer.mute(False)
    await callee.heard(CALLER_HZ)


async def test_a_rebuild_is_the_next_generation_and_figures_go_on(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    before = await callee.peer.stats()
    callee.peer.offer()  # Either side may.
    await asyncio.gather(caller.flowing(2), callee.flowing(2))
    await callee.heard(CALLER_HZ)
    after = await callee.peer.stats()
    assert (caller.peer.gen, callee.peer.gen) == (2, 2)
    assert after.in_bytes > before.in_bytes
    assert after.in_packets > before.in_packets


async def test_of_crossing_offers_the_impolite_one_wins(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    caller.sent.clear()
    callee.sent.clear()
    caller.peer.offer()
    callee.peer.offer()
    await asyncio.gather(caller.flowing(2), callee.flowing(2))
    assert [s["kind"] for s in caller.sent] == ["offer", "end"]
    assert "answer" in [s["kind"] for s in callee.sent]
    assert {s["gen"] for s in caller.sent + callee.sent} == {2}


async def test_a_superseded_offer_is_not_closed_by_end_and_gives_way(
    pair: tuple[Leg, Leg],
) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    callee.sent.clear()
    callee.answer = lambda signal: {"superseded": True} if signal["kind"] == "offer" else {}
    callee.peer.offer()
    caller.peer.offer()
    await asyncio.gather(caller.flowing(2), callee.flowing(2))
    assert [s["kind"] for s in callee.sent] == ["offer", "answer", "end"]


async def test_when_the_other_device_changes_the_peer_offers_if_nobody_else_does(
    pair: tuple[Leg, Leg],
) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    caller.peer.other_device()
    assert not caller.peer.flowing
    caller.peer.expect_offer(0.05)
    await asyncio.gather(caller.flowing(2), callee.flowing(2))


async def test_candidates_of_a_later_generation_wait_and_of_a_past_one_are_dropped(
    pair: tuple[Leg, Leg],
) -> None:
    caller, callee = pair
    line = "candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host"
    later = {"candidate": line, "sdpMid": "0", "sdpMLineIndex": 0}
    callee.peer.receive({"kind": "candidates", "gen": 1, "candidates": [later, {"candidate": 7}]})
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    caller.peer.receive({"kind": "candidates", "gen": 0, "candidates": [later]})
    caller.peer.receive({"kind": "answer", "gen": 0, "sdp": "stale"})
    caller.peer.offer()
    await asyncio.gather(caller.flowing(2), callee.flowing(2))
    assert caller.peer.faults == []
    assert callee.peer.faults == []


@pytest.mark.parametrize("sdp", ["", "v=0", "v=0\r\nm=audio 9 X y\r\n", "m=\0", "a=ice-ufrag"])
async def test_a_broken_sdp_is_a_fault_and_no_end(sdp: str, pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    callee.peer.receive({"kind": "offer", "gen": 1, "sdp": sdp})
    callee.peer.receive({"kind": "offer"})
    await until(lambda: len(callee.peer.faults) == 2)
    caller.peer.offer()
    await callee.flowing(1)


async def test_a_restart_goes_beyond_what_the_server_knows(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    callee.peer.restart(4)
    await asyncio.gather(caller.flowing(5), callee.flowing(5))
    caller.peer.restart(2)
    await asyncio.gather(caller.flowing(6), callee.flowing(6))


async def test_what_the_server_has_lost_is_offered_again(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.other = None
    caller.peer.offer()
    await until(lambda: len(caller.sent) == 2)
    caller.other = callee
    caller.peer.reset(0, offer=True)
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    assert [signal["gen"] for signal in caller.sent if signal["kind"] == "offer"] == [1, 1]


async def test_an_offer_that_the_server_takes_meanwhile_stands(pair: tuple[Leg, Leg]) -> None:
    caller, callee = pair
    caller.peer.offer()
    caller.peer.reset(0, offer=True)  # It was asked before the offer had come to the server.
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    assert [signal["kind"] for signal in caller.sent] == ["offer", "end"]


async def test_who_did_not_offer_goes_back_and_takes_the_same_generation(
    pair: tuple[Leg, Leg],
) -> None:
    caller, callee = pair
    caller.peer.offer()
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
    callee.peer.reset(0, offer=False)
    await until(lambda: callee.peer.gen == 0)
    caller.peer.reset(0, offer=True)
    await asyncio.gather(caller.flowing(1), callee.flowing(1))
