import asyncio
import gc
import logging
import struct
import weakref
from uuid import UUID

import pytest
from aiohttp import WSMsgType

from signalling.codes import Close
from signalling.events import Empty
from signalling.frames import encode_raw
from tests.signalling.sockets.conftest import WAIT_S, Rig, frame_of, hello, masked, user

CALL = str(UUID(int=7))

EVENT = encode_raw("draining", b"{}", 0)


async def test_ping_is_answered_with_both_clocks(rig: Rig) -> None:
    client = await rig.welcomed()
    await client.send("ping", data={"t": 42})
    assert await client.receive() == {"type": "pong", "data": {"t": 42, "now": rig.clock.now_ms}}


async def test_websocket_pings_are_answered(rig: Rig) -> None:
    client = await rig.connect(autoping=False)
    await client.hello()
    await client.ws.ping(b"there?")
    message = await client.ws.receive(WAIT_S)
    assert (message.type, bytes(message.data)) == (WSMsgType.PONG, b"there?")


async def test_acks_are_taken_alone_and_on_other_frames(rig: Rig) -> None:
    client = await rig.welcomed()
    device = rig.hub.devices(user(1))[0]
    for _ in range(5):
        device.send(EVENT)
    await client.send("ack", data={"seq": 3})
    await client.in_step()
    assert device.acked == 3
    await client.send("ping", ack=5)
    await client.send("ack", data={"seq": 4})
    await client.in_step()
    assert device.acked == 5
    await client.send("ack", data={"seq": 7})
    await client.in_step()
    assert device.acked == 5, "there is no event of that number yet"


async def test_a_second_hello_is_refused_and_the_socket_lives(rig: Rig) -> None:
    client = await rig.welcomed()
    assert (await client.hello())["data"]["code"] == "wrong_state"
    await client.in_step()


async def test_bye_ends_the_session_without_grace(rig: Rig) -> None:
    client = await rig.welcomed()
    await client.send("bye")
    assert await client.closed() == 1000
    assert rig.desk.lost_devices == [("phone", True)]


async def test_the_peers_close_is_answered_and_the_device_is_lost(rig: Rig) -> None:
    client = await rig.welcomed()
    await client.ws.close(code=1001)
    await rig.until(lambda: rig.hub.sockets == 0)
    assert rig.desk.lost_devices == [("phone", False)]
    assert rig.hub.count == 0


async def test_a_vanished_client_is_lost(rig: Rig) -> None:
    client = await rig.welcomed()
    client.drop()
    await rig.until(lambda: rig.hub.sockets == 0)
    assert rig.desk.lost_devices == [("phone", False)]


async def test_commands_reach_the_desk_and_are_answered(rig: Rig) -> None:
    client = await rig.welcomed()
    await client.send("media_state", id="m1", data={"video": True})
    assert await client.receive() == {"type": "ok", "re": "m1", "data": {}}
    await client.send("call_end", id="e1")
    assert (await client.receive())["data"]["code"] == "not_found"
    kinds = [("phone", "media_state", "m1"), ("phone", "call_end", "e1")]
    assert rig.desk.received == kinds


async def test_our_own_fault_is_answered_with_an_incident_and_logged(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    client = await rig.welcomed()
    await client.send("call_take", id="t1", call=CALL)
    error = await client.receive()
    assert error["re"] == "t1"
    assert error["data"]["code"] == "internal"
    record = next(one for one in caplog.records if one.levelno == logging.ERROR).__dict__
    assert record["incident"] == error["data"]["incident"]
    assert (record["type"], record["call_id"]) == ("call_take", CALL)
    assert (record["device_id"], record["user_id"]) == ("phone", str(user(1)))
    await client.in_step()


async def test_who_asks_when_memory_is_short_may_ask_again(rig: Rig) -> None:
    client = await rig.welcomed()
    for _ in range(2):
        await client.send("call_ringing", id="r1", call=CALL)
        error = await client.receive()
        assert (error["re"], error["data"]["code"]) == ("r1", "unavailable")
        assert error["data"]["retryAfterMs"] == 1_000
    assert len(rig.desk.received) == 2


@pytest.mark.parametrize(
    ("raw", "re"),
    [
        ("{", None),
        ("[]", None),
        ("", None),
        ('{"type":"ping","id":"x1","more":1}', "x1"),
        ('{"type":5,"id":"x2"}', "x2"),
        ('{"type":"ping","id":"x3","data":{"t":"now"}}', "x3"),
        ("[" * 5000, None),
    ],
)
async def test_a_bad_frame_is_answered_by_its_id(rig: Rig, raw: str, re: str | None) -> None:
    client = await rig.welcomed()
    await client.ws.send_str(raw)
    error = await client.receive()
    assert (error["type"], error["re"], error["data"]["code"]) == ("error", re, "bad_frame")
    await client.in_step()
    assert rig.desk.received == []


async def test_frames_that_are_not_utf8_close(rig: Rig) -> None:
    client = await rig.welcomed()
    text = 1
    await client.ws.send_frame(
        b'{"type":"signal","data":"\xff"}',
        text,  # type: ignore[arg-type]
    )
    assert await client.closed() == Close.BAD_PROTOCOL
    assert rig.desk.received == []
    assert rig.desk.lost_devices == [("phone", False)]


async def test_binary_frames_close(rig: Rig) -> None:
    client = await rig.welcomed()
    await client.ws.send_bytes(b'{"type":"ping"}')
    assert await client.closed() == Close.BAD_PROTOCOL


async def test_a_frame_of_64_kib_passes_and_a_larger_one_closes_1009(rig: Rig) -> None:
    client = await rig.welcomed()
    room = 65_536 - len('{"type":"media_state","id":"a","data":""}')
    await client.send("media_state", id="a", data="x" * room)
    assert (await client.receive())["re"] == "a"
    await client.send("media_state", id="b", data="x" * (room + 1))
    assert await client.closed() == 1009
    await rig.until(lambda: rig.hub.sockets == 0)
    assert rig.desk.lost_devices == [("phone", False)]
    assert [command_id for _, _, command_id in rig.desk.received] == ["a"]


async def test_a_broken_frame_closes_1002(rig: Rig) -> None:
    reader, writer = await rig.raw()
    writer.write(hello(1, "phone"))
    assert (await frame_of(reader))[0] == 1
    writer.write(b"\xf1\x80\0\0\0\0")
    opcode, body = await frame_of(reader)
    assert (opcode, body[:2]) == (8, struct.pack("!H", 1002))
    writer.close()
    await rig.until(lambda: rig.hub.sockets == 0)


async def test_fragments_are_put_together_with_a_ping_between_them(rig: Rig) -> None:
    reader, writer = await rig.raw()
    writer.write(hello(1, "phone"))
    assert (await frame_of(reader))[0] == 1
    writer.write(masked(1, b'{"type":"pi', final=False))
    writer.write(masked(9, b"?"))
    writer.write(masked(0, b'ng","da', final=False))
    writer.write(masked(0, b'ta":{"t":9}}'))
    got = dict([await frame_of(reader), await frame_of(reader)])
    assert got[10] == b"?"
    assert b'"t":9' in got[1]


async def test_frames_that_come_byte_by_byte_are_read(rig: Rig) -> None:
    reader, writer = await rig.raw()
    for byte in hello(1, "phone") + masked(1, b'{"type":"ping","data":{"t":9}}'):
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0)
    assert b'"welcome"' in (await frame_of(reader))[1]
    assert b'"pong"' in (await frame_of(reader))[1]


async def test_nothing_counts_after_a_close_frame(rig: Rig) -> None:
    reader, writer = await rig.raw()
    writer.write(hello(1, "phone"))
    await frame_of(reader)
    command = masked(1, b'{"type":"media_state","id":"a"}')
    late = masked(1, b'{"type":"media_state","id":"b"}')
    writer.write(command + masked(8, struct.pack("!H", 1000)) + late)
    assert (await frame_of(reader))[1] == b'{"type":"ok","re":"a","data":{}}'
    assert (await frame_of(reader))[0] == 8
    assert await asyncio.wait_for(reader.read(), WAIT_S) == b""
    assert rig.desk.received == [("phone", "media_state", "a")]


async def test_a_peer_that_ignores_our_close_is_cut(rig: Rig) -> None:
    reader, writer = await rig.raw()
    writer.write(hello(1, "phone"))
    await frame_of(reader)
    rig.hub.devices(user(1))[0].close(Close.REVOKED)
    assert rig.hub.count == 0
    assert (await frame_of(reader))[1] == struct.pack("!H", Close.REVOKED)
    writer.write(masked(1, b'{"type":"media_state","id":"late"}'))
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1), WAIT_S)
    await rig.until(lambda: rig.hub.sockets == 0)
    assert rig.desk.received == []


class TestAnswers:
    async def test_a_resent_frame_has_one_effect_and_the_same_answer(self, rig: Rig) -> None:
        client = await rig.welcomed()
        await client.send("media_state", id="a")
        first = await client.receive()
        await client.send("media_state", id="a")
        assert await client.receive() == first
        assert len(rig.desk.received) == 1

    async def test_a_frame_resent_while_its_answer_is_pending_gets_the_one_answer(
        self, rig: Rig
    ) -> None:
        client = await rig.welcomed()
        await client.send("call_request", id="a")
        await client.send("call_request", id="a")
        await client.in_step()
        assert len(rig.desk.waiting) == 1
        device, command_id = rig.desk.waiting[0]
        device.ok(command_id, Empty())
        assert (await client.receive())["re"] == "a"
        await client.send("ping")
        assert (await client.receive())["type"] == "pong"

    async def test_the_answer_reaches_the_next_socket_of_the_device(self, rig: Rig) -> None:
        client = await rig.welcomed()
        await client.send("call_request", id="a")
        await client.in_step()
        again = await rig.welcomed()
        assert await client.closed() == Close.REPLACED
        device, command_id = rig.desk.waiting[0]
        device.ok(command_id, Empty())
        answer = await again.receive()
        assert answer["re"] == "a"
        third = await rig.welcomed()
        await third.send("call_request", id="a")
        assert await third.receive() == answer
        assert len(rig.desk.waiting) == 1

    async def test_unavailable_may_be_tried_again_with_the_same_id(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for _ in range(2):
            await client.send("call_accept", id="a")
            assert (await client.receive())["data"]["code"] == "unavailable"
        assert len(rig.desk.received) == 2


async def test_an_ended_socket_is_freed_without_the_garbage_collector(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signalling.sockets.connection.CLOSE_WAIT_S", 0.05)
    client = await rig.welcomed()
    device = rig.hub.devices(user(1))[0]
    assert device.link is not None
    kept = weakref.ref(device.link)
    gc.disable()
    try:
        await client.ws.close()
        await rig.until(lambda: rig.hub.sockets == 0)
        await rig.until(lambda: kept() is None)
    finally:
        gc.enable()


async def test_a_signal_passes_byte_for_byte_to_the_other_user(rig: Rig) -> None:
    one = await rig.welcomed(1)
    two = await rig.welcomed(2, "tablet")
    data = '{"kind": "offer" ,"gen":1,"sdp":{"a":"é\\u00e9"}}'
    await one.ws.send_str(f'{{"type":"signal","id":"s","data":{data}}}')
    assert await one.receive() == {"type": "ok", "re": "s", "data": {}}
    message = await two.ws.receive(WAIT_S)
    assert data in message.data


async def test_ids_but_no_content_are_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "signalling")
    client = await rig.welcomed()
    await client.send("signal", id="s", data={"sdp": "canary"})
    await client.receive()
    await client.send("bye")
    await client.closed()
    await rig.until(lambda: rig.hub.sockets == 0)
    lines = [str(record.__dict__) for record in caplog.records if "signalling" in record.name]
    assert any(str(user(1)) in line for line in lines)
    for secret in ("canary", "user:1", "127.0.0.1"):
        assert not any(secret in line for line in lines)
