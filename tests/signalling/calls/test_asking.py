"""Questions about calls: to whoever runs them, and again where they have gone."""

from uuid import UUID

import pytest

from signalling.calls.asking import TRIES
from signalling.codes import Code, Refused
from signalling.nodes.parcels import Asked, Look, Owns, decode_question
from storage.errors import Unavailable
from tests.signalling.cluster import Apart, Cluster

NOTHING = UUID(int=99)


def asked(cluster: Cluster) -> int:
    return sum(isinstance(given, Asked) for _, _, given in cluster.space.sent)


async def test_a_call_is_looked_at_from_another_node(cluster: Cluster, apart: Apart) -> None:
    await apart.accept()
    asking = apart.east.live.asking
    view = await asking.look(apart.kai.id, UUID(apart.call), "tab")
    assert view is not None
    assert (view.state, view.you, view.role) == ("accepted", "active", "callee")
    view = await asking.look(apart.ann.id, UUID(apart.call), None)
    assert view is not None
    assert view.role == "caller"


async def test_what_nobody_or_this_node_runs_is_not_asked_after(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    before = asked(cluster)
    assert await apart.east.live.asking.look(apart.kai.id, NOTHING, None) is None
    assert await apart.west.live.asking.look(apart.ann.id, UUID(apart.call), None) is None
    assert asked(cluster) == before


async def test_who_is_asked_in_vain_is_not_asked_for_ever(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    call_id, north = UUID(apart.call), cluster.nodes[2].bus.address
    guests = apart.east.live.guests
    guests.learn(north, Owns(call_id, (apart.ann.id, apart.kai.id), 1))
    before = asked(cluster)
    view = await apart.east.live.asking.look(apart.kai.id, call_id, None)
    assert view is not None
    assert asked(cluster) == before + 2, "the wrong one, and the right one"


async def test_a_call_that_is_never_where_it_should_be_is_unavailable(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    host = apart.host
    apart.west.registry.release(host)
    before = asked(cluster)
    with pytest.raises(Refused) as caught:
        await apart.east.live.asking.look(apart.kai.id, UUID(apart.call), None)
    assert (caught.value.code, caught.value.retry_after_ms) == (Code.UNAVAILABLE, 500)
    assert asked(cluster) == before + TRIES


async def test_a_node_that_does_not_answer_is_unavailable(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    cluster.space.lose = lambda given: isinstance(given, Asked)
    question = Look(UUID(apart.call), apart.kai.id)
    with pytest.raises(Refused) as caught:
        await apart.east.live.asking.ask(question, timeout_s=0.01)
    assert caught.value.code is Code.UNAVAILABLE
    sent = [given for _, _, given in cluster.space.sent if isinstance(given, Asked)]
    assert decode_question(sent[-1].question) == question


async def test_a_call_is_joined_only_while_it_can_be(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    asking, call_id = apart.east.live.asking, UUID(apart.call)
    for user_id in (apart.ann.id, NOTHING):
        view = await asking.join(call_id, user_id, device=None, video=False, re=None)
        assert view is None, "it is not the callee who wants to"
    view = await asking.join(call_id, apart.kai.id, device="tab", video=True, re="g1")
    assert view is not None
    assert (view.state, view.you, view.legs.callee.media.video) == ("accepted", "active", True)
    view = await asking.join(call_id, apart.kai.id, device="tab", video=True, re="g1")
    assert view is None, "it is answered already"


async def test_a_join_without_an_answer_is_to_be_tried_again(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()

    async def away(_: UUID) -> str:
        raise Unavailable("away")

    apart.east.live.finder.find = away  # type: ignore[method-assign, assignment]
    with pytest.raises(Refused) as caught:
        await apart.east.live.asking.join(
            UUID(apart.call), apart.kai.id, device=None, video=False, re=None
        )
    assert caught.value.code is Code.UNAVAILABLE
