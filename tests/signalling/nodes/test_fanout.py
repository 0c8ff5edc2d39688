"""Events to devices here and on other nodes."""

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
from signalling.nodes.fanout import Fanout
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.sockets.desk import Desk
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from signalling.sockets.identity import Identity

ANN, KAI = UUID(int=1), UUID(int=2)
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

    def __init__(self, space: Space, name: str) -> None:
        desk: Desk = NoDesk()  # type: ignore[assignment]  # only of losses
        self.hub = Hub(desk, SocketLimits(), lambda: 0)
        self.presence = MemoryPresence(space, name)
        self.fanout = Fanout(self.hub, self.presence, MemoryBus(space, name))

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


def test_events_reach_the_devices_on_other_nodes_with_their_choice(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    phone, tab = here.link(ANN, "phone"), there.link(ANN, "tab")
    here.fanout.to_user(ANN, EVENT)
    here.fanout.to_user(ANN, EVENT, only="tab")
    here.fanout.to_user(ANN, EVENT, but="tab")
    assert [frame["seq"] for frame in phone.frames] == [1, 2]
    assert [frame["seq"] for frame in tab.frames] == [1, 2]
    assert tab.frames[0]["data"] == {"retryMs": 1}


def test_a_user_is_reachable_where_a_socket_is_open(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    assert not here.fanout.reachable(ANN)
    link = there.link(ANN, "tab")
    assert here.fanout.reachable(ANN)
    assert there.fanout.has_device(ANN, "tab")
    assert not here.fanout.has_device(ANN, "tab")
    there.hub.detach(link)
    there.presence.left(ANN)
    assert not here.fanout.reachable(ANN)
    assert not there.fanout.has_device(ANN, "tab"), "known, but without a socket"


def test_a_device_without_socket_keeps_events_and_is_not_taken_for_reachable(space: Space) -> None:
    here, there = Site(space, "here"), Site(space, "there")
    phone = here.link(ANN, "phone")
    here.hub.detach(phone)
    here.presence.left(ANN)
    assert not here.fanout.reachable(ANN)
    assert not here.fanout.has_device(ANN, "phone")
    here.fanout.to_user(ANN, EVENT)
    moved = there.link(ANN, "phone")
    here.fanout.to_user(ANN, EVENT, only="phone")
    assert [frame["seq"] for frame in moved.frames] == [1], "it may be elsewhere by now"
    device = here.hub.get(ANN, "phone")
    assert device is not None
    assert (device.seq, here.hub.rings) == (2, 1)
