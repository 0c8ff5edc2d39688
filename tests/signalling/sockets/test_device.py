import msgspec
import pytest

from signalling import limits
from signalling.codes import Code, Refused
from signalling.commands import Device as Named
from signalling.commands import Hello
from signalling.events import Empty, Profile
from signalling.frames import encode_raw
from signalling.limits import SocketLimits
from signalling.sockets.device import Device
from signalling.sockets.identity import Identity
from signalling.sockets.resume import Rings
from tests.signalling.sockets.conftest import FakeClock, login, user

HELLO = Hello(device=Named(id="phone", name="Mine"), protocol=1, features=["a"])


class Wire:
    def __init__(self) -> None:
        self.heard_ms = 0
        self.sent: list[bytes] = []
        self.closed: list[int] = []
        self.errors: list[Code] = []

    def send(self, frame: bytes) -> None:
        self.sent.append(frame)

    def close(self, code: int, why: str = "") -> None:
        self.closed.append(code)

    def erred(self, code: Code) -> None:
        self.errors.append(code)

    def check(self, now_ms: int) -> None:
        pass

    def types(self) -> list[str]:
        return [msgspec.json.decode(frame)["type"] for frame in self.sent]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def device(clock: FakeClock) -> Device:
    limits = SocketLimits(answers_max=3)
    return Device(user(1), "phone", limits, clock, Rings(limits))


def begin(device: Device) -> Wire:
    wire = Wire()
    profile = Profile(user_id=device.user_id, name="")
    device.attach(wire, Identity(device.user_id, login(1), profile, frozenset(), 0), HELLO)
    return wire


def test_events_are_numbered_by_session(device: Device) -> None:
    event = encode_raw("draining", b"{}", 5)
    wire = begin(device)
    assert device.send(event)
    assert device.send(event, "c1")
    first, second = (msgspec.json.decode(frame) for frame in wire.sent)
    assert (first["seq"], first.get("re")) == (1, None)
    assert (second["seq"], second["re"]) == (2, "c1")
    sessions = {device.session}
    wire = begin(device)
    device.send(event)
    assert msgspec.json.decode(wire.sent[0])["seq"] == 1
    assert device.session not in sessions


def test_an_event_for_a_device_without_socket_is_not_numbered(device: Device) -> None:
    begin(device)
    device.link = None
    assert not device.send(encode_raw("draining", b"{}", 5))
    assert device.seq == 0


def test_an_answer_is_sent_again_for_the_same_id(device: Device) -> None:
    wire = begin(device)
    assert not device.repeated("a")
    device.expect("a")
    assert device.repeated("a")
    assert wire.sent == []
    device.ok("a", Empty())
    assert wire.sent == [b'{"type":"ok","re":"a","data":{}}']
    later = begin(device)
    assert device.repeated("a")
    assert later.sent == wire.sent


def test_an_answer_that_comes_while_there_is_no_socket_is_kept(device: Device) -> None:
    begin(device)
    device.expect("a")
    device.link = None
    device.fail("a", Refused(Code.NOT_FOUND, "No."))
    wire = begin(device)
    assert device.repeated("a")
    assert wire.types() == ["error"]


def test_an_answer_without_id_goes_out_and_is_not_kept(device: Device) -> None:
    wire = begin(device)
    device.ok(None, Empty())
    device.fail(None, Refused(Code.NOT_FOUND, "No."))
    assert [msgspec.json.decode(frame)["re"] for frame in wire.sent] == [None, None]


@pytest.mark.parametrize("code", [Code.UNAVAILABLE, Code.RATE_LIMITED])
def test_a_refusal_that_asks_for_a_retry_is_not_kept(device: Device, code: Code) -> None:
    begin(device)
    device.expect("a")
    device.fail("a", Refused(code, "Later."))
    assert not device.repeated("a")


def test_a_refused_frame_leaves_what_is_kept_of_its_id(device: Device) -> None:
    wire = begin(device)
    device.expect("a")
    device.refuse("a", Refused(Code.RATE_LIMITED, "Too fast."))
    assert device.repeated("a")
    assert wire.errors == [Code.RATE_LIMITED]


def test_only_the_newest_answers_are_kept(device: Device) -> None:
    begin(device)
    for command_id in "abcd":
        device.expect(command_id)
        device.ok(command_id, Empty())
    assert [device.repeated(command_id) for command_id in "abcd"] == [False, True, True, True]


def test_answers_are_forgotten_after_their_time(device: Device, clock: FakeClock) -> None:
    begin(device)
    device.expect("a")
    device.ok("a", Empty())
    clock.now_ms += 599_999
    device.expect("b")
    assert device.repeated("a")
    clock.now_ms += 1
    assert not device.repeated("a")
    device.drop_answers(clock())
    assert device.repeated("b")
    clock.now_ms += 600_000
    device.drop_answers(clock())
    assert not device.repeated("b")


def test_buckets_stay_with_the_device_across_sockets(device: Device, clock: FakeClock) -> None:
    begin(device)
    assert [device.throttle("call_request", clock()) for _ in range(3)] == [0, 0, 0]
    begin(device)
    assert device.throttle("call_request", clock()) == 2_000
    assert device.throttle("signal", clock()) == 0
    assert device.throttle("media_state", clock()) == 0


def test_the_bucket_of_all_frames_is_the_stricter_one_for_signals() -> None:
    frames, signals = limits.RATES["frames"], limits.RATES["signal"]
    assert signals.burst >= frames.burst
    assert signals.every_ms <= frames.every_ms, "else signals need a bucket of their own"


def test_all_chat_commands_share_a_bucket(device: Device, clock: FakeClock) -> None:
    begin(device)
    kinds = ["chat_send", "chat_read", "chat_typing", "chat_send"] * 5
    assert {device.throttle(kind, clock()) for kind in kinds} == {0}
    assert device.throttle("chat_read", clock()) == 500
