import asyncio

import msgspec
import pytest

from signalling.codes import Close
from signalling.limits import SocketLimits
from tests.signalling.sockets.conftest import Rig, user

HELLO = {"token": "user:1", "protocol": 1, "device": {"id": "phone"}}


def frame(kind: str, **data: object) -> bytes:
    return msgspec.json.encode({"type": kind, "data": data})


BREACHES = {
    "unknown token": (frame("hello", **HELLO | {"token": "x"}), Close.UNAUTHORIZED),
    "no token": (frame("hello", **HELLO | {"token": None}), Close.UNAUTHORIZED),
    "expired token": (frame("hello", **HELLO | {"token": "expired:1"}), Close.TOKEN_EXPIRED),
    "no database": (frame("hello", **HELLO | {"token": "user:503"}), Close.SERVICE_RESTART),
    "our own fault": (frame("hello", **HELLO | {"token": "broken:1"}), Close.SERVICE_RESTART),
    "another version": (
        frame("hello", **HELLO | {"protocol": 2, "new": 1}),
        Close.VERSION_UNSUPPORTED,
    ),
    "no version": (frame("hello", token="user:1", device={"id": "x"}), Close.BAD_PROTOCOL),
    "version of a wrong type": (frame("hello", **HELLO | {"protocol": "1"}), Close.BAD_PROTOCOL),
    "bad device": (frame("hello", **HELLO | {"device": {"id": "a b"}}), Close.BAD_PROTOCOL),
    "unknown field": (frame("hello", **HELLO | {"more": 1}), Close.BAD_PROTOCOL),
    "not hello": (frame("ping"), Close.BAD_PROTOCOL),
    "not JSON": (b"hello", Close.BAD_PROTOCOL),
    "too large": (
        frame("hello", **HELLO | {"device": {"id": "x", "name": "x" * 4096}}),
        Close.BAD_PROTOCOL,
    ),
}


@pytest.mark.parametrize("case", BREACHES)
async def test_a_bad_hello_closes_with_its_code(rig: Rig, case: str) -> None:
    sent, code = BREACHES[case]
    client = await rig.connect()
    await client.ws.send_str(sent.decode())
    assert await client.closed() == code
    assert rig.desk.attached_devices == []
    await rig.until(lambda: rig.hub.sockets == 0)


async def test_hello_that_is_not_utf8_closes(rig: Rig) -> None:
    client = await rig.connect()
    text = 1
    await client.ws.send_frame(b'{"type":"hello\xff"}', text)  # type: ignore[arg-type]
    assert await client.closed() == Close.BAD_PROTOCOL


async def test_a_binary_hello_closes(rig: Rig) -> None:
    client = await rig.connect()
    await client.ws.send_bytes(frame("hello", **HELLO))
    assert await client.closed() == Close.BAD_PROTOCOL


async def test_an_accepted_hello_is_welcomed_with_seq_1(rig: Rig) -> None:
    client = await rig.connect()
    welcome = await client.hello(7, "tablet")
    assert welcome["type"] == "welcome"
    assert welcome["seq"] == 1
    assert welcome["data"]["user"]["userId"] == str(user(7))
    assert welcome["data"]["session"]
    assert len(welcome["data"]["secret"]) >= 32
    assert (rig.desk.attached_devices, rig.desk.dismissed_users) == (["tablet"], [])
    device = rig.hub.get(user(7), "tablet")
    assert device is not None
    assert device.connected
    assert rig.hub.devices(user(7)) == [device]
    assert rig.hub.connected_users() == [user(7)]
    assert rig.hub.count == 1


async def test_the_welcome_names_the_id_of_hello(rig: Rig) -> None:
    client = await rig.connect()
    await client.send("hello", id="h1", data=HELLO)
    assert (await client.receive())["re"] == "h1"


async def test_the_token_may_come_in_the_authorization_header(rig: Rig) -> None:
    client = await rig.connect(headers={"Authorization": "Bearer user:9"})
    await client.send("hello", data={"protocol": 1, "device": {"id": "phone"}})
    assert (await client.receive())["data"]["user"]["userId"] == str(user(9))


async def test_pings_before_hello_are_answered(rig: Rig) -> None:
    client = await rig.connect(autoping=False)
    await client.ws.ping(b"early")
    assert (await client.ws.receive(5)).data == b"early"
    assert (await client.hello())["type"] == "welcome"


async def test_frames_sent_behind_hello_are_applied_after_the_welcome_in_order(rig: Rig) -> None:
    rig.desk.gate.clear()
    client = await rig.connect()
    await client.ws.send_str(frame("hello", **HELLO).decode())
    for number in range(30):
        await client.send("media_state", id=f"m{number}", data={})
    await rig.until(lambda: rig.hub.sockets == 1)
    rig.desk.gate.set()
    assert (await client.receive())["type"] == "welcome"
    answers = [(await client.receive())["re"] for _ in range(30)]
    assert answers == [f"m{number}" for number in range(30)]


async def test_a_client_that_vanishes_during_its_handshake_is_never_attached(rig: Rig) -> None:
    rig.desk.gate.clear()
    client = await rig.connect()
    await client.ws.send_str(frame("hello", **HELLO).decode())
    await rig.until(lambda: rig.hub.sockets == 1)
    client.drop()
    await asyncio.sleep(0.05)  # The reset is to reach the server before the answer does.
    rig.desk.gate.set()
    await rig.until(lambda: rig.hub.sockets == 0)
    assert (rig.desk.attached_devices, rig.desk.dismissed_users) == ([], [user(1)])
    assert rig.hub.count == 0


class TestInAHurry:
    @pytest.fixture
    def limits(self) -> SocketLimits:
        return SocketLimits(hello_ms=60)

    async def test_silence_closes_4003(self, rig: Rig) -> None:
        client = await rig.connect()
        assert await client.closed() == Close.HELLO_TIMEOUT

    async def test_pings_are_not_a_hello(self, rig: Rig) -> None:
        client = await rig.connect()
        await client.ws.ping()
        assert await client.closed() == Close.HELLO_TIMEOUT

    async def test_a_slow_check_of_the_token_closes_4003(self, rig: Rig) -> None:
        rig.desk.gate.clear()
        client = await rig.connect()
        await client.ws.send_str(frame("hello", **HELLO).decode())
        assert await client.closed() == Close.HELLO_TIMEOUT

    async def test_the_welcomed_stay(self, rig: Rig) -> None:
        client = await rig.welcomed()
        late = await rig.connect()
        assert await late.closed() == Close.HELLO_TIMEOUT
        await client.in_step()


async def test_a_socket_that_was_outrun_by_a_newer_one_does_not_replace_it(rig: Rig) -> None:
    older = await rig.connect()
    newer = await rig.welcomed()
    await older.send("hello", data=HELLO)
    assert await older.closed() == Close.REPLACED
    assert rig.desk.dismissed_users == [user(1)]
    await newer.in_step()
    assert rig.hub.count == 1
