"""Sessions that are resumed, and those that are not, on real sockets."""

from typing import Any

import pytest

from signalling.codes import Close
from signalling.events import Empty
from signalling.frames import encode_raw
from signalling.limits import SocketLimits
from signalling.sockets.connection import Connection
from signalling.sockets.device import Device
from tests.signalling.sockets.conftest import Client, Rig, login, user

Json = dict[str, Any]


def tell(rig: Rig, *numbers: int) -> int:
    """Events for everything that user 1 has; how many were taken."""
    return sum(
        rig.hub.to_user(user(1), encode_raw("call_tick", b'{"n":%d}' % number, 0))
        for number in numbers
    )


def phone(rig: Rig) -> Device:
    device = rig.hub.get(user(1), "phone")
    assert device is not None
    return device


async def begin(rig: Rig) -> tuple[Client, Json]:
    client = await rig.connect()
    welcome = await client.hello()
    assert welcome["seq"] == 1
    assert welcome["data"]["resumed"] is False
    return client, welcome["data"]


async def cut(rig: Rig) -> None:
    """The phone's connection breaks, and the server has noticed."""
    link = phone(rig).link
    assert isinstance(link, Connection)
    link._transport.abort()
    await rig.until(lambda: not phone(rig).connected)


def wish(session: Json, last_seq: int) -> Json:
    return {"session": session["session"], "secret": session["secret"], "lastSeq": last_seq}


async def resume(rig: Rig, session: Json, last_seq: int, **more: Any) -> tuple[Client, Json]:
    client = await rig.connect()
    return client, await client.hello(resume=wish(session, last_seq), **more)


async def numbers(client: Client, count: int) -> list[tuple[int, int]]:
    frames = [await client.receive() for _ in range(count)]
    return [(frame["seq"], frame["data"]["n"]) for frame in frames]


def assert_fresh(welcome: Json, session: Json) -> None:
    data = welcome["data"]
    assert (welcome["seq"], data["resumed"]) == (1, False)
    assert "replayTo" not in data
    assert data["session"] != session["session"]
    assert data["secret"] != session["secret"]


async def test_what_was_missed_comes_again_in_order_and_then_what_is_new(rig: Rig) -> None:
    client, session = await begin(rig)
    assert tell(rig, 1, 2) == 2
    assert await numbers(client, 2) == [(2, 1), (3, 2)]
    await cut(rig)
    assert tell(rig, 3, 4) == 2, "taken, though there is no socket"
    assert rig.hub.devices(user(1)) == []
    client, welcome = await resume(rig, session, 3)
    assert (welcome["seq"], welcome["data"]["resumed"]) == (3, True)
    assert welcome["data"]["replayTo"] == 5
    assert (welcome["data"]["session"], welcome["data"]["secret"]) == (
        session["session"],
        session["secret"],
    )
    tell(rig, 5)
    assert await numbers(client, 3) == [(4, 3), (5, 4), (6, 5)]
    assert rig.desk.ended_devices == []


async def test_events_that_were_sent_and_did_not_arrive_come_again(rig: Rig) -> None:
    client, session = await begin(rig)
    tell(rig, 1, 2, 3)
    await numbers(client, 1)
    await cut(rig)
    client, welcome = await resume(rig, session, 2)
    assert welcome["seq"] == 2
    assert await numbers(client, 2) == [(3, 2), (4, 3)]


async def test_a_client_may_resume_before_the_server_has_noticed_the_loss(rig: Rig) -> None:
    older, session = await begin(rig)
    tell(rig, 1)
    newer, welcome = await resume(rig, session, 1)
    assert welcome["data"]["resumed"] is True
    assert await older.closed() == Close.REPLACED
    tell(rig, 2)
    assert await numbers(newer, 2) == [(2, 1), (3, 2)]
    await rig.until(lambda: rig.hub.sockets == 1)
    assert phone(rig).connected
    assert rig.desk.lost_devices == []


async def test_a_resume_whose_own_socket_breaks_at_once_can_be_tried_again(rig: Rig) -> None:
    _, session = await begin(rig)
    for last_seq in range(1, 6):
        await cut(rig)
        tell(rig, last_seq)
        client, welcome = await resume(rig, session, 1)
        assert welcome["data"]["replayTo"] == last_seq + 1
    assert await numbers(client, 5) == [(n + 1, n) for n in range(1, 6)]


async def test_a_hello_that_is_refused_leaves_the_session(rig: Rig) -> None:
    _, session = await begin(rig)
    await cut(rig)
    client = await rig.connect()
    data = {"token": "expired:1", "protocol": 1, "device": {"id": "phone"}}
    await client.send("hello", data={**data, "resume": wish(session, 1)})
    assert await client.closed() == Close.TOKEN_EXPIRED
    tell(rig, 1)
    client, _ = await resume(rig, session, 1)
    assert await numbers(client, 1) == [(2, 1)]


WRONG: dict[str, Json] = {
    "another secret": {"secret": "x"},
    "no secret": {"secret": ""},
    "a secret that is no ASCII": {"secret": "ä"},
    "another session": {"session": "x"},
    "no session": {"session": "", "secret": ""},
    "more than was sent": {"lastSeq": 3},
    "less than is kept": {"lastSeq": 0},
}


@pytest.mark.parametrize("case", WRONG)
async def test_a_wrong_wish_is_a_new_session(rig: Rig, case: str) -> None:
    _, session = await begin(rig)
    await cut(rig)
    tell(rig, 1)
    client = await rig.connect()
    welcome = await client.hello(resume={**wish(session, 1), **WRONG[case]})
    assert_fresh(welcome, session)
    tell(rig, 2)
    assert await numbers(client, 1) == [(2, 2)]
    assert (rig.hub.resumes.fresh, rig.hub.resumes.resumed, rig.hub.resumes.refused) == (1, 0, 1)


async def test_another_device_or_another_user_cannot_have_it(rig: Rig) -> None:
    _, session = await begin(rig)
    await cut(rig)
    for who in ({"device": "tablet"}, {"number": 2}):
        _, welcome = await resume(rig, session, 1, **who)
        assert_fresh(welcome, session)
    _, welcome = await resume(rig, session, 1)
    assert welcome["data"]["resumed"] is True, "and it is still there"


async def test_another_log_in_of_the_same_user_cannot_have_it(rig: Rig) -> None:
    _, session = await begin(rig)
    await cut(rig)
    _, welcome = await resume(rig, session, 1, token="again:1")
    assert_fresh(welcome, session)


async def test_after_60_s_it_is_over_and_nothing_is_kept(rig: Rig) -> None:
    _, session = await begin(rig)
    await cut(rig)
    tell(rig, 1)
    rig.clock.now_ms += 59_999
    rig.hub.sweep()
    assert (rig.hub.rings, tell(rig, 2)) == (1, 1)
    rig.clock.now_ms += 1
    assert tell(rig, 3) == 0, "also before the sweep"
    rig.hub.sweep()
    assert (rig.hub.rings, rig.hub.ring_bytes) == (0, 0)
    assert rig.desk.ended_devices == ["phone"]
    _, welcome = await resume(rig, session, 3)
    assert_fresh(welcome, session)


async def test_in_a_call_it_waits_for_as_long_as_the_call_does(rig: Rig) -> None:
    _, session = await begin(rig)
    await cut(rig)
    phone(rig).in_call = True
    rig.clock.now_ms += 90_000
    rig.hub.sweep()
    tell(rig, 1)
    client, _ = await resume(rig, session, 1)
    assert await numbers(client, 1) == [(2, 1)]
    await cut(rig)
    phone(rig).in_call = False
    rig.clock.now_ms += 60_000
    rig.hub.sweep()
    assert rig.hub.rings == 0


async def test_the_end_of_an_old_session_does_not_touch_a_newer_one(rig: Rig) -> None:
    _, old = await begin(rig)
    await cut(rig)
    rig.clock.now_ms += 59_000
    _, session = await begin(rig)
    tell(rig, 1)
    rig.clock.now_ms += 2_000
    rig.hub.sweep()
    await cut(rig)
    rig.clock.now_ms += 59_000
    rig.hub.sweep()
    client, welcome = await resume(rig, session, 1)
    assert welcome["data"]["resumed"] is True
    assert await numbers(client, 1) == [(2, 1)]
    await cut(rig)
    _, welcome = await resume(rig, old, 1)
    assert_fresh(welcome, old)


async def test_after_bye_nothing_waits(rig: Rig) -> None:
    client, session = await begin(rig)
    tell(rig, 1)
    await client.send("bye")
    await client.closed()
    assert (rig.hub.rings, tell(rig, 2)) == (0, 0)
    assert rig.desk.ended_devices == ["phone"]
    _, welcome = await resume(rig, session, 2)
    assert_fresh(welcome, session)


@pytest.mark.parametrize("connected", [True, False])
async def test_with_its_log_in_a_session_ends(rig: Rig, *, connected: bool) -> None:
    client, session = await begin(rig)
    tell(rig, 1)
    if not connected:
        await cut(rig)
    assert rig.hub.close_session(login(1), Close.REVOKED) == connected
    if connected:
        assert await client.closed() == Close.REVOKED
    assert (rig.hub.rings, tell(rig, 2)) == (0, 0)
    _, welcome = await resume(rig, session, 2)
    assert_fresh(welcome, session)


async def test_a_device_whose_place_was_taken_has_no_session_left(rig: Rig) -> None:
    client, session = await begin(rig)
    for number in range(5):
        rig.clock.now_ms += 1
        await rig.welcomed(1, f"d{number}")
    assert await client.closed() == Close.REPLACED
    assert phone(rig).session == ""
    _, welcome = await resume(rig, session, 1)
    assert_fresh(welcome, session)


@pytest.mark.parametrize("connected", [True, False])
async def test_a_device_that_was_not_told_all_begins_a_new_session(
    rig: Rig, *, connected: bool
) -> None:
    client, session = await begin(rig)
    if not connected:
        await cut(rig)
    rig.hub.renew(phone(rig))
    if connected:
        assert await client.closed() == Close.SERVICE_RESTART
    assert (phone(rig).connected, phone(rig).moving) == (False, True)
    _, welcome = await resume(rig, session, 1)
    assert_fresh(welcome, session)
    assert not phone(rig).moving


async def test_what_was_acknowledged_is_not_kept(rig: Rig) -> None:
    client, session = await begin(rig)
    assert rig.hub.rings == 0, "an idle device has no ring, its welcome is not in one"
    tell(rig, 1, 2, 3)
    await client.send("ping", ack=3)
    await numbers(client, 3)
    await client.receive()
    assert rig.hub.rings == 1
    await client.send("ack", data={"seq": 99})
    await client.send("ack", data={"seq": 2})
    await client.in_step()
    size_bytes = rig.hub.ring_bytes
    assert size_bytes > 0
    await client.send("ack", data={"seq": 4})
    await client.in_step()
    assert (rig.hub.rings, rig.hub.ring_bytes) == (0, 0)
    tell(rig, 4)
    await cut(rig)
    _, welcome = await resume(rig, session, 3)
    assert_fresh(welcome, session)


async def test_an_answer_that_was_given_meanwhile_comes_when_it_is_asked_for(rig: Rig) -> None:
    client, session = await begin(rig)
    await client.send("call_request", id="c1", data={"toUserId": str(user(2))})
    await client.in_step()
    await cut(rig)
    device, command_id = rig.desk.waiting[0]
    tell(rig, 1)
    device.ok(command_id, Empty())
    client, _ = await resume(rig, session, 1)
    await client.send("call_request", id="c1", data={"toUserId": str(user(2))})
    assert await numbers(client, 1) == [(2, 1)]
    assert await client.receive() == {"type": "ok", "re": "c1", "data": {}}
    assert len(rig.desk.received) == 1


class TestOverflow:
    @pytest.fixture
    def limits(self) -> SocketLimits:
        return SocketLimits(replay_events_max=3)

    async def test_while_connected_the_oldest_are_forgotten(self, rig: Rig) -> None:
        client, session = await begin(rig)
        tell(rig, 1, 2, 3, 4, 5)
        assert len(await numbers(client, 5)) == 5
        await cut(rig)
        client, welcome = await resume(rig, session, 3)
        assert welcome["data"]["resumed"] is True
        assert await numbers(client, 3) == [(4, 3), (5, 4), (6, 5)]
        await cut(rig)
        _, welcome = await resume(rig, session, 2)
        assert_fresh(welcome, session)

    async def test_while_away_it_ends_the_session(self, rig: Rig) -> None:
        _, session = await begin(rig)
        await cut(rig)
        assert tell(rig, 1, 2, 3, 4, 5) == 4, "nobody can resume it after the fourth"
        rig.hub.sweep()
        assert (rig.hub.rings, rig.desk.ended_devices) == (0, ["phone"])
        _, welcome = await resume(rig, session, 1)
        assert_fresh(welcome, session)
