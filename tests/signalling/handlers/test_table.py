"""The desk: welcomes, answers, re-sent commands, and what goes wrong behind a command."""

import asyncio
import logging
from typing import Any

import asyncpg
import pytest

from signalling.codes import Code, Refused
from signalling.commands import DATA
from signalling.handlers import table
from signalling.sockets.connection import OWN
from storage.errors import Conflict, Fenced, NotFound, Unavailable
from storage.ids import new_id
from tests.signalling.harness import START_MS, Node
from tests.signalling.pairs import Pair, make_pair


@pytest.fixture
async def pair(node: Node) -> Pair:
    return await make_pair(node)


def test_every_command_has_its_handler_or_is_the_sockets_own() -> None:
    assert set(DATA) == set(table.TABLE) | OWN
    assert not set(table.TABLE) & OWN


async def test_a_welcome_says_who_and_what_may_be_sent(node: Node) -> None:
    ann = await node.person("Ann")
    welcome = await node.device(ann).connect()
    assert (welcome["protocol"], welcome["resumed"], welcome["features"]) == (1, False, [])
    assert welcome["user"] == {"userId": str(ann.id), "name": "Ann", "avatarUrl": None}
    assert (welcome["now"], welcome["pingMs"], welcome["deadMs"]) == (START_MS, 25_000, 60_000)
    assert welcome["limits"] == {
        "frameBytes": 65_536,
        "sendQueueBytes": 1_048_576,
        "sdpBytes": 32_768,
        "candidates": 32,
    }
    assert ("call" in welcome, welcome["recent"]) == (False, [])
    assert len(welcome["session"]) >= 16
    assert len(welcome["secret"]) >= 32


async def test_a_welcome_shows_the_live_call_as_this_device_sees_it(pair: Pair) -> None:
    await pair.accept()
    for person, device, you in [
        (pair.ann, "phone", "active"),
        (pair.ann, "new", "elsewhere"),
        (pair.kai, "tab", "active"),
        (pair.kai, "new", "elsewhere"),
    ]:
        welcome = await pair.node.device(person, device).connect()
        assert (welcome["call"]["id"], welcome["call"]["you"]) == (pair.call, you)


async def test_a_welcome_lists_the_calls_of_the_last_ten_minutes(pair: Pair) -> None:
    await pair.connect()
    await pair.phone.ok("call_end", call=pair.call)
    await pair.node.quiet()
    for person, role in ((pair.ann, "caller"), (pair.kai, "callee")):
        welcome = await pair.node.device(person, "new").connect()
        [recent] = welcome["recent"]
        assert (recent["id"], recent["role"], recent["reason"], recent["by"]) == (
            pair.call,
            role,
            "hangup",
            "caller",
        )
        assert recent["final"]["total"] == 100
        assert "call" not in welcome
    pair.node.time.now_ms += 600_001
    assert (await pair.node.device(pair.ann, "late").connect())["recent"] == []


async def test_a_database_that_is_away_closes_the_handshake_for_later(node: Node) -> None:
    ann = await node.person()
    held = [await node.pool.acquire() for _ in range(7)]
    table_read_s = table.READ_S
    try:
        table.READ_S = 0.05
        with pytest.raises(Refused) as caught:
            await node.device(ann).connect()
        assert caught.value.code is Code.UNAVAILABLE
    finally:
        table.READ_S = table_read_s
        for conn in held:
            await node.pool.release(conn)


async def test_a_session_that_ends_during_its_handshake_is_not_welcomed(node: Node) -> None:
    ann = await node.person()
    held = [await node.pool.acquire() for _ in range(7)]
    connecting = asyncio.create_task(node.device(ann).connect())
    try:
        await asyncio.sleep(0)
        assert not connecting.done()
        node.doorman.ended.add(ann.session_id)
    finally:
        for conn in held:
            await node.pool.release(conn)
    with pytest.raises(Refused) as caught:
        await connecting
    assert caught.value.code is Code.UNAUTHORIZED
    assert node.hub.count == 0


async def test_a_command_without_an_id_is_answered_only_when_it_is_refused(pair: Pair) -> None:
    await pair.request()
    frames = len(pair.desk.link.frames)
    pair.desk.say("call_ringing", call=pair.call)
    assert [frame["type"] for frame in pair.desk.link.frames[frames:]] == ["call_ringing"]
    pair.desk.say("media_connected", call=pair.call)
    assert (pair.desk.link.frames[-1]["re"], pair.desk.link.frames[-1]["type"]) == (None, "error")


async def test_a_command_sent_again_has_one_effect_and_one_answer(pair: Pair) -> None:
    pair.phone.say("call_request", id="r1", toUserId=str(pair.kai.id))
    pair.phone.say("call_request", id="r1", toUserId=str(pair.kai.id))  # not answered yet
    first = await pair.phone.ok("call_request", id="r1", toUserId=str(pair.kai.id))
    again = await pair.phone.ok("call_request", id="r1", toUserId=str(pair.kai.id))
    assert first == again
    assert len(pair.tab.told("call_incoming")) == 1


async def test_an_answer_follows_the_device_to_its_new_socket(pair: Pair) -> None:
    pair.phone.say("call_request", id="r1", toUserId=str(pair.kai.id))
    pair.phone.drop()
    await pair.tab.event("call_incoming")
    await pair.phone.connect()
    answer = await pair.phone.ok("call_request", id="r1", toUserId=str(pair.kai.id))
    assert answer["call"]["state"] == "requested"


async def test_events_of_a_command_name_it_on_its_device_only(pair: Pair) -> None:
    await pair.ring()
    await pair.tab.ok("call_accept", id="a1", call=pair.call)
    assert (await pair.tab.event("call_accepted"))["re"] == "a1"
    for each in (pair.phone, pair.watch, pair.desk):
        assert "re" not in await each.event("call_accepted")


async def test_a_wrong_state_shows_the_right_one(pair: Pair) -> None:
    await pair.request()
    error = await pair.phone.refused("media_connected", call=pair.call)
    assert error["code"] == "wrong_state"
    assert (error["call"]["id"], error["call"]["state"], error["call"]["you"]) == (
        pair.call,
        "requested",
        "active",
    )


async def test_types_of_nobody_and_of_the_socket_are_refused(pair: Pair) -> None:
    error = await pair.phone.refused("call_teleport")
    assert (error["code"], error["field"]) == ("unknown_type", "type")
    error = await pair.phone.refused("ping")
    assert (error["code"], error["field"]) == ("wrong_state", "type")
    error = await pair.phone.refused("call_end", call=str(new_id()), why="x")
    assert (error["code"], error["field"]) == ("bad_frame", "data.why")


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Unavailable("away"), "unavailable"),
        (TimeoutError(), "unavailable"),
        (ConnectionResetError(), "unavailable"),
        (asyncpg.InterfaceError("the underlying connection is closed"), "unavailable"),
        (MemoryError(), "unavailable"),
        (NotFound("gone"), "not_found"),
        (Conflict("no"), "wrong_state"),
        (Fenced("lost"), "unavailable"),
        (Refused(Code.COOLDOWN, "later", retry_after_ms=5), "cooldown"),
    ],
)
async def test_what_happens_behind_a_command_becomes_its_error(
    pair: Pair, fault: Exception, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise fault

    monkeypatch.setitem(table.TABLE, "chat_send", failing)
    data = {"conversation": str(new_id()), "text": "x"}
    assert (await pair.phone.refused("chat_send", id="c1", **data))["code"] == code
    assert pair.phone.device.repeated("c1") == (code != "unavailable")


async def test_our_own_mistake_is_logged_under_the_incident_that_is_answered(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: Any) -> Any:
        await asyncio.sleep(0)
        raise RuntimeError("a mistake of ours, with a secret in it")

    monkeypatch.setitem(table.TABLE, "chat_send", broken)
    with caplog.at_level(logging.ERROR):
        error = await pair.phone.refused("chat_send", conversation=str(new_id()), text="x")
    assert error["code"] == "internal"
    assert "secret" not in str(error)
    [record] = [each for each in caplog.records if each.message == "a command failed"]
    assert record.__dict__["incident"] == error["incident"]


async def test_too_many_commands_at_once_are_refused_for_now(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "TASKS_MAX", 0)
    error = await pair.phone.refused("call_request", toUserId=str(pair.kai.id))
    assert (error["code"], error["retryAfterMs"]) == ("unavailable", 1_000)


async def test_a_lone_node_on_its_way_down_does_not_say_that_a_call_it_has_let_go_is_unknown(
    pair: Pair,
) -> None:
    await pair.accept()
    assert await pair.node.live.hand_over() == 1
    error = await pair.phone.refused("call_end", call=str(pair.call))
    assert error["code"] == "unavailable"


async def test_stopping_lets_commands_finish(pair: Pair) -> None:
    pair.phone.say("call_request", id="r1", toUserId=str(pair.kai.id))
    await pair.node.desk.stop()
    assert pair.phone.link.frames[-1]["re"] == "r1"


async def test_requests_are_limited_by_device_and_nothing_is_applied(pair: Pair) -> None:
    for number in range(3):
        await pair.phone.ask("call_request", id=f"r{number}", toUserId=str(pair.ann.id))
    error = await pair.phone.refused("call_request", id="r3", toUserId=str(pair.kai.id))
    assert (error["code"], error["retryAfterMs"]) == ("rate_limited", 2_000)
    assert not pair.tab.told("call_incoming")
    pair.node.time.now_ms += 2_000
    await pair.phone.ok("call_request", id="r3", toUserId=str(pair.kai.id))
