"""Requests for calls of any node; more of them in `test_node_requests`."""

from uuid import UUID

import pytest

from signalling.calls import finder
from signalling.codes import Code, Refused
from signalling.commands import MediaWish
from signalling.nodes.parcels import Asked
from storage.errors import Unavailable
from tests.signalling.cluster import Apart, Cluster
from tests.signalling.harness import Node
from tests.signalling.pairs import make_pair

NOTHING = UUID(int=99)


async def test_a_node_that_is_alone_asks_nobody(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        raise AssertionError("nobody is to be asked")

    monkeypatch.setattr(node.live.finder, "find", never)
    monkeypatch.setattr(node.live.finder, "of_user", never)
    pair = await make_pair(node)
    await pair.ring()
    routed, call_id = node.routed, UUID(pair.call)
    assert (await routed.live_call(pair.kai.id)).id == call_id  # type: ignore[union-attr]
    assert await routed.live_call(NOTHING) is None
    assert (await routed.accept(pair.kai.id, call_id, media=MediaWish())).state == "accepted"
    assert len(await routed.ice_servers(pair.ann.id, call_id)) == 2
    await routed.funded(pair.ann.id)
    assert (await routed.media_hook(call_id, "connected")) == "connected"
    assert (await routed.end(pair.ann.id, call_id)).total == 100
    assert (await routed.snapshot(pair.ann.id, call_id)).state == "ended"  # type: ignore[union-attr]
    await routed.leave(pair.ann.id)


async def test_the_owner_asks_nobody_about_its_own(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    routed, call_id = apart.west.routed, UUID(apart.call)
    view = await routed.reject(apart.kai.id, call_id, reason="declined")
    assert view.reason == "declined"
    await cluster.quiet()
    with pytest.raises(Refused) as caught:
        await routed.accept(apart.kai.id, call_id, media=MediaWish())
    assert caught.value.code is Code.CALL_OVER, "it ended here a moment ago"
    assert not [one for *_, one in cluster.space.sent if isinstance(one, Asked)]


async def test_credentials_are_for_parties_of_live_calls(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    routed, call_id = apart.east.routed, UUID(apart.call)
    [_, turn] = await routed.ice_servers(apart.kai.id, call_id)
    assert str(apart.kai.id) in str(turn.username)
    await apart.hang_up(apart.phone)
    with pytest.raises(Refused) as caught:
        await routed.ice_servers(apart.kai.id, call_id)
    assert caught.value.code is Code.NOT_FOUND


async def test_a_node_that_is_cut_off_is_unavailable_and_who_leaves_is_not_held_up(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finder, "FIND_S", 0.1)
    await apart.connect()
    cluster.space.leave(apart.west.bus.address)
    routed = apart.east.routed
    apart.east.live.guests.forget(UUID(apart.call))
    for asking in (
        routed.live_call(apart.kai.id),
        routed.snapshot(apart.kai.id, UUID(apart.call)),
        routed.end(apart.kai.id, UUID(apart.call)),
    ):
        with pytest.raises(Refused) as caught:
            await asking
        assert caught.value.code is Code.UNAVAILABLE
    await routed.leave(apart.kai.id)
    with pytest.raises(Unavailable):
        await routed.funded(apart.ann.id)
