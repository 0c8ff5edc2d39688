"""The wire against a real WebSocket server that speaks the frames."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from signalling.client.envelope import Backoff, CommandRefused, Event, WireStopped, socket_url
from signalling.client.wire import Wire
from tests.signalling.client.talker import Json, Talker, error, ok, talking
from tests.signalling.client.waiting import until

SOON = Backoff(first_ms=5, max_ms=20)


@pytest.fixture
async def talker() -> AsyncIterator[Talker]:
    async with talking() as server:
        yield server


@pytest.fixture
async def wire(talker: Talker) -> AsyncIterator[Wire]:
    async with Wire(talker.url, "token", device_id="d1", backoff=SOON) as connected:
        yield connected


async def next_events(wire: Wire, count: int) -> list[Event]:
    found = []
    async with asyncio.timeout(5):
        async for event in wire.events():
            found.append(event)
            if len(found) == count:
                break
    return found


async def test_hello_comes_first_and_the_welcome_is_the_first_event(
    talker: Talker, wire: Wire
) -> None:
    hello = talker.hellos[0]
    assert hello["type"] == "hello"
    assert hello["data"]["token"] == "token"
    assert hello["data"]["protocol"] == 1
    assert hello["data"]["device"]["id"] == "d1"
    assert "resume" not in hello["data"]
    [welcome] = await next_events(wire, 1)
    assert welcome.type == "welcome"
    assert welcome.data["session"] == "s1"


async def test_a_command_gets_its_own_answer(talker: Talker, wire: Wire) -> None:
    talker.answer = lambda frame: ok(frame, kind=frame["data"]["kind"])
    audio, video = await asyncio.gather(
        wire.command("call_request", kind="audio"), wire.command("call_request", kind="video")
    )
    assert (audio["kind"], video["kind"]) == ("audio", "video")


async def test_values_of_none_are_left_out(talker: Talker, wire: Wire) -> None:
    await wire.command("call_request", call=None, kind="audio", note=None)
    frame = await talker.frame("call_request")
    assert frame["data"] == {"kind": "audio"}
    assert "call" not in frame


async def test_a_refusal_carries_code_field_and_details(talker: Talker, wire: Wire) -> None:
    talker.answer = lambda frame: error(
        frame, "insufficient_funds", field="data.toUserId", required=120, available=100
    )
    with pytest.raises(CommandRefused) as refused:
        await wire.command("call_request")
    assert refused.value.code == "insufficient_funds"
    assert refused.value.field == "data.toUserId"
    assert refused.value.details == {"required": 120, "available": 100}


async def test_unavailable_is_tried_again_with_the_same_id(talker: Talker, wire: Wire) -> None:
    seen: list[str] = []

    def answer(frame: Json) -> Json:
        seen.append(frame["id"])
        if len(seen) == 1:
            return error(frame, "unavailable", retryAfterMs=1)
        return ok(frame, done=True)

    talker.answer = answer
    assert await wire.command("call_request") == {"done": True}
    assert len(seen) == 2
    assert seen[0] == seen[1]


async def test_an_unanswered_command_is_sent_again_unchanged_after_a_reconnect(
    talker: Talker, wire: Wire
) -> None:
    talker.answer = lambda frame: None
    first = asyncio.create_task(wire.command("call_end", call="c1"))
    second = asyncio.create_task(wire.command("chat_send", text="hi"))
    sent = [await talker.frame("call_end"), await talker.frame("chat_send")]
    talker.answer = lambda frame: ok(frame, again=True)
    await talker.drop()
    assert await first == {"again": True}
    assert await second == {"again": True}
    assert [await talker.frame("call_end"), await talker.frame("chat_send")] == sent
    assert talker.hellos[1]["data"]["resume"]["session"] == "s1"


async def test_a_command_given_while_disconnected_goes_out_after_the_welcome(
    talker: Talker, wire: Wire
) -> None:
    talker.refuse = 1012
    await talker.drop()
    await until(lambda: not wire.connected.is_set())
    waiting = asyncio.create_task(wire.command("call_end", call="c1"))
    await until(lambda: len(talker.hellos) > 2)
    talker.refuse = None
    assert await waiting == {}


async def test_events_come_in_order_and_a_repeated_seq_is_dropped(
    talker: Talker, wire: Wire
) -> None:
    for seq in (2, 3, 3, 2, 4):
        await talker.raw({"type": "call_tick", "seq": seq, "ts": 1, "data": {"unit": seq}})
    events = await next_events(wire, 4)
    assert [e.type for e in events] == ["welcome", "call_tick", "call_tick", "call_tick"]
    assert [e.data["unit"] for e in events[1:]] == [2, 3, 4]


async def test_a_new_session_counts_seq_from_its_welcome(talker: Talker, wire: Wire) -> None:
    await talker.raw({"type": "call_tick", "seq": 50, "ts": 1, "data": {}})
    talker.welcome = {"call": {"id": "c1", "state": "connected"}}
    await talker.drop()
    await until(lambda: wire.connects == 2)
    await talker.raw({"type": "call_tick", "seq": 2, "ts": 1, "data": {"unit": 1}})
    events = await next_events(wire, 4)
    assert [e.type for e in events] == ["welcome", "call_tick", "welcome", "call_tick"]
    assert events[2].data["call"]["state"] == "connected"


async def test_events_after_a_resumed_session_are_not_repeated(talker: Talker, wire: Wire) -> None:
    await talker.raw({"type": "call_tick", "seq": 2, "ts": 1, "data": {}})
    await next_events(wire, 2)
    talker.welcome = {"resumed": True}
    await talker.drop()
    await until(lambda: wire.connects == 2)
    assert talker.hellos[1]["data"]["resume"]["lastSeq"] == 2
    for seq in (2, 3):
        await talker.raw({"type": "call_tick", "seq": seq, "ts": 1, "data": {"unit": seq}})
    events = await next_events(wire, 2)
    assert [e.type for e in events] == ["welcome", "call_tick"]
    assert events[1].data["unit"] == 3


async def test_draining_is_honoured_unless_it_is_old_news(talker: Talker, wire: Wire) -> None:
    talker.welcome = {"resumed": True}
    await talker.event("draining", {"retryMs": 60_000}, missed=True)
    await talker.drop()
    await until(lambda: wire.connects == 2)
    await talker.drop()
    await until(lambda: wire.connects == 3)
    await talker.event("draining", {"retryMs": 60_000})
    assert [event.type for event in await next_events(wire, 5)].count("draining") == 2
    await talker.drop()
    await until(lambda: not wire.connected.is_set())
    await wire.close()
    assert wire.connects == 3, "it waits for a minute"


@pytest.mark.parametrize("code", [1001, 1012, 4001, 4002, 4003, 4010])
async def test_below_4400_the_wire_comes_back(code: int, talker: Talker, wire: Wire) -> None:
    assert talker.socket is not None
    await talker.socket.close(code=code)
    await until(lambda: wire.connects == 2)
    assert await wire.command("call_end") == {}


@pytest.mark.parametrize("code", [4401, 4500, 4503, 4504, 4505])
async def test_from_4400_on_the_wire_stops(code: int, talker: Talker, wire: Wire) -> None:
    talker.answer = lambda frame: None
    waiting = asyncio.create_task(wire.command("call_end"))
    await talker.frame("call_end")
    assert talker.socket is not None
    await talker.socket.close(code=code)
    with pytest.raises(WireStopped) as stopped:
        await waiting
    assert stopped.value.code == code
    assert [event.type async for event in wire.events()] == ["welcome"]
    with pytest.raises(WireStopped):
        await wire.command("call_end")
    assert len(talker.hellos) == 1


async def test_an_expired_token_is_refreshed_and_tried_again(talker: Talker) -> None:
    async def refresh() -> str:
        talker.refuse = None
        return "fresh"

    talker.refuse = 4502
    wire = Wire(talker.url, "old", device_id="d1", refresh=refresh, backoff=SOON)
    async with wire:
        assert [h["data"]["token"] for h in talker.hellos] == ["old", "fresh"]


async def test_a_fresh_token_that_is_refused_too_stops_the_wire(talker: Talker) -> None:
    async def refresh() -> str:
        return "fresh"

    talker.refuse = 4502
    wire = Wire(talker.url, "old", device_id="d1", refresh=refresh, backoff=SOON)
    with pytest.raises(WireStopped) as stopped:
        await wire.connect()
    assert stopped.value.code == 4502
    assert len(talker.hellos) == 2


async def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    wire = Wire("http://127.0.0.1:9", "token", device_id="d1", backoff=SOON)
    with pytest.raises(ConnectionError, match="No welcome"):
        await wire.connect(timeout_s=0.2)


NOBODY = "http://127.0.0.1:9"


async def test_of_several_addresses_one_that_does_not_answer_is_passed_over(
    talker: Talker,
) -> None:
    async with Wire([NOBODY, talker.url], "token", device_id="d1", backoff=SOON) as wire:
        assert wire.url == socket_url(talker.url)


async def test_a_socket_that_breaks_is_looked_for_where_it_was(talker: Talker) -> None:
    async with Wire([talker.url, NOBODY], "token", device_id="d1", backoff=SOON) as wire:
        await talker.drop()
        await until(lambda: wire.connects == 2)
        assert len(talker.hellos) == 2


async def test_who_goes_away_sends_the_wire_on_to_the_next_address(talker: Talker) -> None:
    async with talking() as other:
        urls = [talker.url, other.url]
        async with Wire(urls, "token", device_id="d1", backoff=SOON) as wire:
            assert talker.socket is not None
            await talker.socket.close(code=1012)
            await until(lambda: wire.connects == 2)
            assert len(talker.hellos) == 2, "it only wants us to connect anew"
            await talker.event("draining", {"retryMs": 0})
            await talker.socket.close(code=1012)
            await until(lambda: wire.connects == 3)
            assert len(other.hellos) == 1
            assert wire.url == socket_url(other.url)


async def test_who_falls_silent_is_not_waited_for_again(talker: Talker) -> None:
    talker.welcome = {"pingMs": 60_000, "deadMs": 300}
    async with talking() as other:
        urls = [talker.url, other.url]
        async with Wire(urls, "token", device_id="d1", backoff=SOON) as wire:
            await until(lambda: wire.connects == 2)
            assert (len(talker.hellos), len(other.hellos)) == (1, 1)


async def test_pings_set_the_clock_and_carry_the_ack(talker: Talker) -> None:
    talker.welcome = {"pingMs": 100, "deadMs": 60_000}
    async with Wire(talker.url, "token", device_id="d1", backoff=SOON) as wire:
        await until(lambda: 59_000 < wire.clock.offset_ms < 61_000)


async def test_a_silent_server_is_given_up_and_called_again(talker: Talker) -> None:
    talker.welcome = {"pingMs": 60_000, "deadMs": 300}
    async with Wire(talker.url, "token", device_id="d1", backoff=SOON) as wire:
        await until(lambda: wire.connects == 2)


async def test_an_app_that_does_not_keep_up_starts_again_from_a_welcome(talker: Talker) -> None:
    wire = Wire(talker.url, "token", device_id="d1", backoff=SOON, events_max=5)
    async with wire:
        for seq in range(2, 9):
            await talker.raw({"type": "call_tick", "seq": seq, "ts": 1, "data": {}})
        await until(lambda: wire.connects == 2)
        assert [e.type for e in await next_events(wire, 1)] == ["welcome"]


async def test_close_says_bye(talker: Talker) -> None:
    wire = Wire(talker.url, "token", device_id="d1", backoff=SOON)
    await wire.connect()
    await wire.close()
    await talker.frame("bye")
    assert wire.stopped is not None
