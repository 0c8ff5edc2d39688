"""Commands of devices elsewhere: done once here, answered there, given back when nobody answers."""

from typing import Any
from uuid import UUID

import msgspec
import pytest

from signalling.codes import Code, Refused
from signalling.commands import Frame
from signalling.events import Empty
from signalling.frames import decode_frame
from signalling.handlers import remote as module
from signalling.handlers.remote import RemoteDevice, Remotes
from signalling.limits import SocketLimits
from signalling.nodes import parcels
from signalling.nodes.exchange import Exchange
from signalling.nodes.memory import MemoryBus, Space
from signalling.nodes.parcels import Answered, Commanded, Missed, Owns
from tests.signalling.cluster import Apart, Cluster

ANN, CALL, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)


class Owner:
    """The node that runs CALL, with nothing but its remotes; `then` is what it does."""

    def __init__(self) -> None:
        self.space = Space()
        self.answers: list[Answered] = []
        self.space.carry = self._carry  # type: ignore[method-assign]
        self.exchange = Exchange(MemoryBus(self.space, "west.1"))
        self.received: list[str] = []
        self.heard: list[tuple[str, str]] = []
        self.then: Any = lambda device, frame: device.ok(frame.id, Empty())
        self.remotes = Remotes(
            self.exchange,
            SocketLimits(),
            lambda: 0,
            has=lambda frame: frame.call == CALL,
            receive=self._receive,
            heard=lambda _frame, _user, device, node: self.heard.append((device, node)),
        )

    def _carry(self, sender: str, node: str, parcel: bytes) -> None:
        given = parcels.decode(parcel)
        assert isinstance(given, Answered)
        self.answers.append(given)

    def _receive(self, device: RemoteDevice, frame: Frame) -> None:
        self.received.append(frame.type)
        self.then(device, frame)

    def command(
        self,
        kind: str,
        id: str | None,
        *,
        call: UUID = CALL,
        device: str = "tab",
        node: str = "e.2",
    ) -> None:
        frame: dict[str, object] = {"type": kind, "call": str(call)}
        if id is not None:
            frame["id"] = id
        raw = msgspec.json.encode(frame)
        self.exchange.parcel(node, parcels.encode(Commanded(ANN, device, raw)))

    def frames(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(one.answer) for one in self.answers]


@pytest.fixture
def owner() -> Owner:
    return Owner()


def test_a_command_is_done_and_its_answer_goes_back(owner: Owner) -> None:
    owner.command("call_accept", "c1")
    assert owner.received == ["call_accept"]
    assert owner.heard == [("tab", "e.2")]
    [answer] = owner.answers
    assert (answer.user_id, answer.device, answer.re, answer.code) == (ANN, "tab", "c1", None)
    assert owner.frames() == [{"type": "ok", "re": "c1", "data": {}}]


def test_the_same_id_is_done_once_wherever_it_comes_from(owner: Owner) -> None:
    owner.command("call_accept", "c1")
    owner.command("call_accept", "c1", node="n.3")
    owner.command("call_accept", "c1", device="desk")
    assert owner.received == ["call_accept"] * 2, "another device has ids of its own"
    assert owner.answers[0] == owner.answers[1]


def test_an_answer_that_is_still_being_made_is_not_given_twice(owner: Owner) -> None:
    asked: list[tuple[RemoteDevice, Frame]] = []
    owner.then = lambda device, frame: asked.append((device, frame))
    owner.command("call_end", "c1")
    owner.command("call_end", "c1")
    assert (len(asked), owner.answers) == (1, [])
    device, frame = asked[0]
    device.ok(frame.id, Empty())
    assert len(owner.answers) == 1


@pytest.mark.parametrize("id", ["c1", None])
def test_a_refusal_goes_back_with_its_code(owner: Owner, id: str | None) -> None:
    def refuse(_: RemoteDevice, __: Frame) -> None:
        raise Refused(Code.WRONG_STATE, "Not now.", details={"by": "x"})

    owner.then = refuse
    owner.command("call_accept", id)
    assert owner.answers[0].code == "wrong_state"
    assert owner.frames()[0]["re"] == id
    assert owner.frames()[0]["data"] == {"code": "wrong_state", "message": "Not now.", "by": "x"}


def test_what_is_to_be_tried_again_is_tried_again(owner: Owner) -> None:
    owner.then = lambda device, frame: device.fail(
        frame.id, Refused(Code.UNAVAILABLE, "Later.", retry_after_ms=1)
    )
    owner.command("call_accept", "c1")
    owner.command("call_accept", "c1")
    assert len(owner.received) == 2


def test_a_fault_of_ours_is_an_answer(owner: Owner, caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: RemoteDevice, __: Frame) -> None:
        raise RuntimeError("broken")

    owner.then = broken
    owner.command("call_accept", "c1")
    assert owner.answers[0].code == "internal"
    assert "a command of another node failed" in caplog.text


@pytest.mark.parametrize("id", ["c1", None])
def test_a_call_that_is_not_here_is_said_to_be_elsewhere(owner: Owner, id: str | None) -> None:
    owner.command("call_accept", id, call=OTHER)
    [answer] = owner.answers
    assert (answer.re, answer.not_here, answer.answer) == (id, OTHER, b"")
    assert (owner.received, len(owner.remotes)) == ([], 0)


def test_memory_of_devices_has_an_end(owner: Owner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMOTES_MAX", 2)
    for number in range(5):
        owner.command("call_accept", "c1", device=f"d{number}")
    assert len(owner.remotes) == 2


async def test_too_many_commands_on_their_way_are_refused(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apart.ring()
    monkeypatch.setattr(module, "FORWARDED_MAX", 0)
    refusal = await apart.tab.refused("call_accept", call=apart.call, id="c1")
    assert refusal["code"] == "unavailable"
    monkeypatch.undo()
    await apart.tab.ok("call_accept", call=apart.call, id="c1")


async def test_what_the_old_owner_does_not_run_any_more_is_to_be_sent_again(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.ring()
    live = apart.east.live
    live.guests.learn(cluster.nodes[2].bus.address, parcels.Owns(UUID(apart.call), (ANN, CALL), 1))
    refusal = await apart.tab.refused("call_accept", call=apart.call, id="c1")
    assert refusal["code"] == "unavailable"
    assert live.guests.find(UUID(apart.call)) is None, "the next one looks for it"
    await apart.tab.ok("call_accept", call=apart.call, id="c1")


def test_frames_are_passed_on_as_they_came() -> None:
    frame = decode_frame(b'{"type":"signal","id":"s1","data":{"kind":"end","gen":1,"x":[1, 2]}}')
    passed = decode_frame(module._encode_frame(frame))
    assert passed == frame
    assert bytes(passed.data) == b'{"kind":"end","gen":1,"x":[1, 2]}', "byte for byte"


async def test_devices_begin_anew_when_the_owner_says_so_and_not_for_an_earlier_one(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    call, users = UUID(apart.call), apart.host.users()
    apart.east.live.exchange.send(apart.west.bus.address, Missed(call, users, 0))
    await cluster.quiet()
    assert apart.phone.device.connected, "its own node knows better"
    apart.east.live.guests.learn(apart.west.bus.address, Owns(call, users, 1))
    apart.west.live.exchange.send(apart.east.bus.address, Missed(call, users, 0))
    await cluster.quiet()
    assert apart.tab.device.connected, "it has had the call before"
    apart.west.live.exchange.send(apart.east.bus.address, Missed(call, users, 1))
    await cluster.until(lambda: not apart.tab.device.connected)
