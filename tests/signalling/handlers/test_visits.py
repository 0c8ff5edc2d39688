"""Devices here whose calls run elsewhere: their welcome, their news, their commands."""

from uuid import UUID

import pytest

from signalling.calls import finder
from signalling.codes import Code, Refused
from signalling.handlers import visits as module
from signalling.nodes import parcels
from signalling.nodes.parcels import Attach, SocketNews
from tests.signalling.cluster import Apart, Cluster, move


def news(cluster: Cluster) -> list[str]:
    return [given.news for _, _, given in cluster.space.sent if isinstance(given, SocketNews)]


async def test_who_is_in_no_call_is_welcomed_without_one(cluster: Cluster, apart: Apart) -> None:
    for handset in apart.all:
        assert "call" not in handset.link.frames[0]["data"]
    assert news(cluster) == []


async def test_an_attached_device_is_told_all_that_follows_its_snapshot(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    north = cluster.nodes[2]
    device = north.device(apart.ann, "tablet")
    carry = cluster.space.carry
    order: list[str] = []

    def slowly(sender: str, node: str, parcel: bytes) -> None:
        order.append(type(parcels.decode(parcel)).__name__)
        carry(sender, node, parcel)
        if order[-1] == "Told":
            # What happens between the answer and the welcome.
            apart.tab.say("call_ringing", call=apart.call)

    cluster.space.carry = slowly  # type: ignore[method-assign]
    welcome = await device.connect()
    await cluster.quiet()
    assert welcome["call"]["state"] == "requested"
    assert [frame["type"] for frame in device.told()] == ["call_ringing"]
    assert device.told()[0]["rev"] == welcome["call"]["rev"] + 1


async def test_a_device_that_is_no_leg_is_no_news_when_it_is_lost(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    before = len(news(cluster))
    apart.desk.drop()
    await cluster.quiet()
    assert news(cluster)[before:] == []
    apart.tab.drop()
    await cluster.quiet()
    await move(apart.tab, apart.east)
    await cluster.quiet()
    assert news(cluster)[before:] == ["lost", "back"]


async def test_an_owner_that_does_not_answer_closes_the_handshake_for_now(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTACH_S", 0.02)
    await apart.connect()
    cluster.space.lose = lambda given: isinstance(given, parcels.Asked)
    with pytest.raises(Refused) as caught:
        await cluster.nodes[2].device(apart.kai, "tablet").connect()
    assert caught.value.code is Code.UNAVAILABLE
    asked = [
        parcels.decode_question(given.question)
        for _, _, given in cluster.space.sent
        if isinstance(given, parcels.Asked)
    ]
    assert [type(one) for one in asked][-module.ATTACHES_MAX :] == [Attach] * module.ATTACHES_MAX


async def test_a_node_that_cannot_be_found_closes_the_handshake_for_now(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "FIND_S", 0.1)
    await apart.connect()
    cluster.space.leave(apart.west.bus.address)
    with pytest.raises(Refused) as caught:
        await cluster.nodes[2].device(apart.kai, "tablet").connect()
    assert caught.value.code is Code.UNAVAILABLE
    apart.east.live.guests.forget(UUID(apart.call))
    refusal = await apart.tab.refused("media_connected", call=apart.call)
    assert (refusal["code"], refusal["retryAfterMs"]) == ("unavailable", 500)


async def test_too_many_searches_are_refused(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TASKS_MAX", 0)
    refusal = await apart.tab.refused("call_accept", call=str(UUID(int=5)))
    assert refusal["code"] == "unavailable"


async def test_what_an_owner_says_is_learned_and_its_end_forgets_it(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    guest = apart.east.live.guests.find(UUID(apart.call))
    assert guest is not None
    assert (guest.node, guest.users) == (apart.west.bus.address, (apart.ann.id, apart.kai.id))
    assert apart.east.live.is_in_call(apart.kai.id)
    await apart.hang_up(apart.tab)
    assert not apart.east.live.is_in_call(apart.kai.id)
    assert not apart.tab.device.in_call


@pytest.mark.parametrize("late", [False, True])
async def test_devices_whose_call_has_ended_unheard_begin_anew(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch, *, late: bool
) -> None:
    """Another device hears from the books that the call is over; its end may only be late."""
    monkeypatch.setattr(module, "LATE_S", 0.05)
    await apart.connect()
    guests, tab = apart.east.live.guests, apart.tab
    guest = guests.find(UUID(apart.call))
    assert guest is not None
    cluster.space.lose = lambda given: isinstance(given, parcels.Telling | parcels.Over)
    await apart.hang_up(apart.phone)
    tablet = apart.east.device(apart.kai, "tablet")
    await tablet.connect()
    assert guests.find(UUID(apart.call)) is None
    cluster.space.lose = lambda _: False
    if late:
        guests.over(guest.call_id, guest.claim)
    await cluster.until(lambda: not apart.east.live.visits._tasks)
    assert tab.device.connected is late
