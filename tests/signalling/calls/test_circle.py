"""The nodes around a call: who is told that it runs here, and who has spoken from where."""

from typing import Any
from uuid import UUID

import pytest

from signalling.calls import circle as module
from signalling.calls.circle import OVER_MS, Circle
from signalling.codes import Party
from signalling.core import inputs
from signalling.nodes.parcels import Missed, News, Over, Owns, SocketNews
from storage.errors import Unavailable
from tests.signalling.calls.test_registry import ANN, KAI, Rig
from tests.signalling.cluster import Apart, Cluster, move


def owned(cluster: Cluster) -> list[str]:
    return [node for _, node, given in cluster.space.sent if isinstance(given, Owns)]


async def test_the_nodes_of_both_are_told_before_anything_else(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.request()
    await cluster.quiet()
    kinds = [type(given).__name__ for _, node, given in cluster.space.sent if "east" in node]
    assert kinds.index("Owns") < kinds.index("Telling")
    assert {node.split(".")[0] for node in owned(cluster)} == {"east", "north"}


async def test_who_connects_while_it_is_being_opened_is_rung_as_well(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOKS_S", (0.0, 0.05))
    apart.desk.drop()
    await cluster.quiet()
    place = apart.west.live.circle._presence.where

    async def before(users: list[UUID]) -> list[frozenset[str]]:
        """The first look comes too early to find the desk."""
        found = await place(users)
        apart.west.live.circle._presence.where = place  # type: ignore[method-assign]
        await apart.desk.connect()
        return found

    apart.west.live.circle._presence.where = before  # type: ignore[method-assign, assignment]
    await apart.request()
    [event] = [await apart.desk.event("call_incoming")]
    assert event["call"] == apart.call
    await cluster.quiet()
    await apart.hang_up(apart.desk)
    assert len(apart.desk.told("call_rejected")) == 1
    assert len(apart.tab.told("call_incoming")) == 1


async def test_nobody_can_say_who_is_where(cluster: Cluster, apart: Apart) -> None:
    async def away(_: object) -> list[frozenset[str]]:
        raise Unavailable("nobody knows")

    apart.west.live.circle._presence.where = away  # type: ignore[method-assign, assignment]
    refusal = await apart.phone.refused("call_request", toUserId=str(apart.kai.id), id="r1")
    assert refusal["code"] == "unavailable"
    await move(apart.desk, apart.west)
    answer = await apart.phone.ok("call_request", toUserId=str(apart.kai.id), id="r1")
    assert answer["call"]["state"] == "requested"
    assert len(apart.desk.told("call_incoming")) == 1


async def test_old_news_of_a_device_that_is_elsewhere_now_are_nothing(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    await move(apart.tab, cluster.nodes[2])
    await apart.tab.ok("media_connected", call=apart.call)
    await cluster.quiet()
    lost = SocketNews(apart.kai.id, "tab", UUID(apart.call), "lost")
    apart.west.live.exchange.send(apart.west.bus.address, lost)
    cluster.nodes[1].live.exchange.send(apart.west.bus.address, lost)
    await cluster.quiet()
    assert apart.state.state == "connected"
    cluster.nodes[2].live.exchange.send(apart.west.bus.address, lost)
    await cluster.quiet()
    assert apart.state.state == "reconnecting"


@pytest.mark.parametrize("news", ["lost", "moving", "bye"])
async def test_old_news_of_a_device_that_is_here_now_are_nothing(
    cluster: Cluster, apart: Apart, news: News
) -> None:
    await apart.connect(connectOn="answer")
    await move(apart.tab, apart.west)
    await cluster.quiet()
    late = SocketNews(apart.kai.id, "tab", UUID(apart.call), news)
    cluster.nodes[1].live.exchange.send(apart.west.bus.address, late)
    await cluster.quiet()
    assert apart.state.state == "connected"
    assert apart.state.callee.here


async def test_news_of_strangers_and_of_other_devices_are_nothing(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    send = apart.east.live.exchange.send
    call_id = UUID(apart.call)
    for given in (
        SocketNews(UUID(int=9), "tab", call_id, "bye"),
        SocketNews(apart.kai.id, "desk", call_id, "bye"),
        SocketNews(apart.kai.id, "tab", UUID(int=9), "bye"),
    ):
        send(apart.west.bus.address, given)
    await cluster.quiet()
    assert apart.state.state == "connected"


async def test_news_that_a_call_does_not_take_are_dropped(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    before = apart.host.call
    apart.host.take(inputs.MediaConnected(Party.CALLER, "phone"))
    assert apart.host.call is before
    host = apart.host
    await apart.hang_up(apart.phone)
    host.take(inputs.HungUp(Party.CALLER))
    assert cluster.leftovers() == {}


class Post:
    """An exchange that only remembers, and a fan-out that knows one other node."""

    alone = False

    def __init__(self) -> None:
        self.bus = self
        self.sent: list[tuple[str, Any]] = []

    def on(self, *_: Any) -> None:
        pass

    def on_nodes(self, **_: Any) -> None:
        pass

    def send(self, node: str, parcel: Any) -> None:
        self.sent.append((node, parcel))

    def nodes_of(self, user_id: UUID) -> frozenset[str]:
        return frozenset({"b.2"} if user_id == KAI else ())

    def unfollow(self, *_: Any) -> None:
        pass


def circle_of(rig: Rig, post: Post) -> Circle:
    made: Any = post
    nobody: Any = None
    return Circle(
        exchange=made,
        fanout=made,
        presence=nobody,
        hub=nobody,
        registry=rig.registry,
        claims=nobody,
        clock=rig.time,
    )


def test_after_a_gap_nodes_hear_again_of_calls_that_live_and_of_those_that_have_ended() -> None:
    rig, post = Rig(), Post()
    circle = circle_of(rig, post)
    ended = rig.call(1, ANN, KAI)
    rig.end(ended)
    circle.closed(ended)
    live = rig.call(2, ANN, KAI)
    of_live = [("b.2", Missed(live.id, live.users(), 0))]
    of_ended = [("b.2", Missed(ended.id, ended.users(), 0)), ("b.2", Over(ended.id, ended.claim))]
    post.sent.clear()
    circle.gap()
    assert post.sent == of_live + of_ended
    post.sent.clear()
    circle.joined("b.2")
    owns = ("b.2", Owns(live.id, live.users(), live.claim))
    assert post.sent == [owns, *of_live, *of_ended], "what was sent before it went may be lost"
    post.sent.clear()
    circle.joined("c.3")
    assert post.sent == [], "it has no devices of these calls"
    rig.time.now_ms += OVER_MS + 1
    circle.gap()
    assert post.sent == of_live
