"""Events to devices here and on other nodes."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from signalling.codes import Code
from signalling.commands import Device as DeviceNamed
from signalling.commands import Hello
from signalling.events import Draining, Profile
from signalling.frames import encode_event
from signalling.limits import SocketLimits
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import Fanout
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.sockets.desk import Desk
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from signalling.sockets.identity import Identity

ANN, KAI, CALL = UUID(int=1), UUID(int=2), UUID(int=9)
EVENT = encode_event(Draining(retry_ms=1), 5)


class NoDesk:
    def lost(self, device: Device, *, bye: bool) -> None:
        return

    def ended(self, device: Device) -> None:
        return


class Link:
    def __init__(self) -> None:
        self.device: Device | None = None
        self.heard_ms = 0
        self.frames: list[dict[str, Any]] = []

    def send(self, frame: bytes) -> None:
        self.frames.append(msgspec.json.decode(frame))

    def close(self, code: int, why: str = "") -> None:
        return

    def erred(self, code: Code) -> None:
        return

    def check(self, now_ms: int) -> None:
        return

    @property
    def res(self) -> list[object]:
        return [frame.get("re") for frame in self.frames]


class Site:
    """A node with nothing but its hub and its fan-out."""

    def __init__(
        self,
        space: Space,
        name: str,
        admits: Callable[[UUID, int], bool] = lambda _call, _claim: True,
    ) -> None:
        desk: Desk = NoDesk()  # type: ignore[assignment]  # only `lost` is called
        self.hub = Hub(desk, SocketLimits(), lambda: 0)
        self.presence = MemoryPresence(space, name)
        self.bus = MemoryBus(space, name)
        self.fanout = Fanout(self.hub, Exchange(self.bus), admits)
        space.nodes[name] = self.bus

    def link(self, user_id: UUID, device: str) -> Link:
        identity = Identity(
            user_id=user_id,
            session_id=user_id,
            profile=Profile(user_id=user_id, name="x"),
            roles=frozenset(),
            expires_ms=0,
        )
        link = Link()
        self.hub.attach(link, identity, Hello(device=DeviceNamed(id=device), protocol=1))
        self.presence.arrived(user_id)
        return link


@pytest.fixture
def space() -> Space:
    return Space()


def test_all_devices_of_the_user_hear_and_nobody_else(space: Space) -> None:
    here = Site(space, "here")
    phone, tab, stranger = here.link(ANN, "phone"), here.link(ANN, "tab"), here.link(KAI, "phone")
    here.fanout.to_user(ANN, EVENT)
    assert [len(link.frames) for link in (phone, tab, stranger)] == [1, 1, 0]


def test_only_one_or_all_but_one(space: Space) -> None:
    here = Site(space, "here")
    phone, tab = here.link(ANN, "phone"), here.link(ANN, "tab")
    here.fanout.to_user(ANN, EVENT, only="tab")
    here.fanout.to_user(ANN, EVENT, only="nobody")
    assert (len(phone.frames), len(tab.frames)) == (0, 1)
    here.fanout.to_user(ANN, EVENT, but="tab")
    assert (len(phone.frames), len(tab.frames)) == (1, 1)


@pytest.mark.parametrize("only", [None, "phone"])
def test_only_the_device_that_caused_the_event_is_told_by_re(
    space: Space, only: str | None
) -> None:
    here = Site(space, "here")
    phone, tab = here.link(ANN, "phone"), here.link(ANN, "tab")
    here.fanout.to_user(ANN, EVENT, only=only, re=("phone", "c1"))
    assert phone.res == ["c1"]
    assert tab.res == ([] if only else [None])


async def test_events_reach_the_devices_on_other_nodes_with_their_choice(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    phone, tab = here.link(ANN, "phone"), there.link(ANN, "tab")
    here.fanout.to_user(ANN, EVENT)
    here.fanout.to_user(ANN, EVENT, only="tab", re=("tab", "c1"))
    here.fanout.to_user(ANN, EVENT, but="tab")
    await asyncio.sleep(0)
    assert [frame["seq"] for frame in phone.frames] == [1, 2]
    assert [frame["seq"] for frame in tab.frames] == [1, 2]
    assert tab.frames[0]["data"] == {"retryMs": 1}
    assert tab.res == [None, "c1"]


async def test_of_a_user_in_a_call_of_this_node_only_the_known_nodes_are_told(space: Space) -> None:
    here, known, other = Site(space, "here"), Site(space, "known"), Site(space, "other")
    links = [site.link(ANN, site.bus.address) for site in (known, other)]
    here.fanout.follow(ANN, CALL, ["known"])
    here.fanout.to_user(ANN, EVENT, call=CALL)
    await asyncio.sleep(0)
    assert [len(link.frames) for link in links] == [1, 0]
    assert here.fanout.seen(ANN, "other")
    assert not here.fanout.seen(ANN, "other")
    here.fanout.gone("known")
    here.fanout.to_user(ANN, EVENT, call=CALL)
    await asyncio.sleep(0)
    assert [len(link.frames) for link in links] == [1, 1]
    here.fanout.unfollow(ANN, UUID(int=8))
    assert here.fanout.nodes_of(ANN) == {"other"}, "another call of the user has ended"
    here.fanout.unfollow(ANN, CALL)
    assert here.fanout.nodes_of(ANN) == frozenset()


async def test_an_owner_that_is_no_more_tells_nobody(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there", admits=lambda _, claim: claim >= 2)
    link = there.link(ANN, "tab")
    here.fanout.to_user(ANN, EVENT, call=CALL, claim=1)
    here.fanout.to_user(ANN, EVENT, call=CALL, claim=2)
    here.fanout.to_user(ANN, EVENT)
    await asyncio.sleep(0)
    assert len(link.frames) == 2


async def test_what_comes_while_a_welcome_is_made_follows_it(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    held = there.fanout.hold(ANN, "tab")
    there.presence.arrived(ANN)
    here.fanout.to_user(ANN, EVENT)
    await asyncio.sleep(0)
    held.clear()
    here.fanout.to_user(ANN, EVENT, only="phone")
    here.fanout.to_user(ANN, EVENT, but="tab")
    here.fanout.to_user(ANN, EVENT, only="tab")
    here.fanout.to_user(ANN, EVENT)
    await asyncio.sleep(0)
    link = there.link(ANN, "tab")
    there.fanout.release(held, None)
    there.fanout.release(held, None)
    assert len(link.frames) == 2
    del held
    here.fanout.to_user(ANN, EVENT)
    await asyncio.sleep(0)
    assert len(link.frames) == 3


async def test_a_leg_is_marked_wherever_it_is(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    tab, phone = there.link(ANN, "tab"), here.link(ANN, "phone")
    assert tab.device is not None
    assert phone.device is not None
    here.fanout.follow(ANN, CALL, ["there"])
    for device in ("tab", "phone"):
        here.fanout.mark(ANN, device, in_call=True)
    await asyncio.sleep(0)
    assert (tab.device.in_call, phone.device.in_call) == (True, True)
    here.fanout.mark(ANN, "tab", in_call=False)
    await asyncio.sleep(0)
    assert not tab.device.in_call


def test_a_device_is_here_while_its_socket_is_open(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    link = there.link(ANN, "tab")
    assert there.fanout.has_device(ANN, "tab")
    assert there.fanout.is_here(ANN)
    assert not here.fanout.has_device(ANN, "tab")
    assert not here.fanout.is_here(ANN)
    assert (here.fanout.connected(ANN), there.fanout.connected(ANN)) == (
        frozenset[str](),
        frozenset({"tab"}),
    )
    there.hub.detach(link)
    assert not there.fanout.has_device(ANN, "tab"), "known, but without a socket"


def test_of_a_welcome_that_was_never_made_nothing_is_kept(space: Space) -> None:
    here = Site(space, "here")
    held = [here.fanout.hold(ANN, "phone"), here.fanout.hold(ANN, "tab")]
    held.pop()
    assert len(here.fanout._held[ANN]) == 1
    held.clear()
    assert here.fanout._held == {}


async def test_a_device_without_socket_keeps_events_and_is_not_taken_for_here(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    phone = here.link(ANN, "phone")
    here.hub.detach(phone)
    here.presence.left(ANN)
    assert not here.fanout.is_here(ANN)
    assert not here.fanout.has_device(ANN, "phone")
    here.fanout.to_user(ANN, EVENT)
    moved = there.link(ANN, "phone")
    here.fanout.to_user(ANN, EVENT, only="phone")
    await asyncio.sleep(0)
    assert [frame["seq"] for frame in moved.frames] == [1], "it may be elsewhere by now"
    device = here.hub.get(ANN, "phone")
    assert device is not None
    assert (device.seq, here.hub.rings) == (2, 1)
