"""Rates, errors and slow readers: what makes `connection.py` refuse a frame or end a socket."""

import asyncio
import struct
from typing import cast

import msgspec
from aiohttp import WSMsgType

from signalling.codes import Close
from signalling.frames import encode_raw
from signalling.sockets.connection import Connection
from tests.signalling.sockets.conftest import WAIT_S, Rig, frame_of, hello, masked, user

LARGE = encode_raw("draining", msgspec.json.encode("x" * 60_000), 0)


class TestThrottling:
    async def test_frames_over_the_rate_are_refused_and_not_applied(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for number in range(103):
            await client.send("media_state", id=f"m{number}")
        answers = [await client.receive() for _ in range(103)]
        assert [one["type"] for one in answers] == ["ok"] * 100 + ["error"] * 3
        refused = answers[-1]
        assert refused["re"] == "m102"
        assert refused["data"]["code"] == "rate_limited"
        assert refused["data"]["retryAfterMs"] == 50
        rig.clock.now_ms += 50
        await client.send("media_state", id="m102")
        assert (await client.receive())["type"] == "ok"
        assert len(rig.desk.received) == 101

    async def test_the_next_socket_does_not_bring_a_new_bucket(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for _ in range(100):
            await client.send("ping")
        for _ in range(100):
            assert (await client.receive())["type"] == "pong"
        again = await rig.welcomed()
        await again.send("ping")
        assert (await again.receive())["data"]["code"] == "rate_limited"

    async def test_call_requests_have_their_own_rate(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for number in range(4):
            await client.send("call_request", id=f"c{number}")
        error = await client.receive()
        assert (error["re"], error["data"]["retryAfterMs"]) == ("c3", 2_000)
        assert len(rig.desk.waiting) == 3
        await client.send("media_state", id="m")
        assert (await client.receive())["re"] == "m"

    async def test_a_resent_command_takes_nothing_from_its_rate(self, rig: Rig) -> None:
        client = await rig.welcomed()
        await client.send("call_request", id="c")
        for _ in range(10):
            await client.send("call_request", id="c")
        await client.send("call_request", id="d")
        await client.in_step()
        assert [command_id for _, command_id in rig.desk.waiting] == ["c", "d"]

    async def test_a_flood_closes(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for _ in range(350):
            await client.send("media_state")
        assert await client.closed() == Close.TOO_MANY_ERRORS
        assert len(rig.desk.received) == 100

    async def test_a_flood_of_websocket_pings_is_not_answered_beyond_the_rate(
        self, rig: Rig
    ) -> None:
        client = await rig.connect(autoping=False)
        await client.hello()
        for _ in range(150):
            await client.ws.ping()
        await client.send("ping")
        got = [(await client.ws.receive(WAIT_S)).type for _ in range(101)]
        assert got == [WSMsgType.PONG] * 100 + [WSMsgType.TEXT]


class TestErrors:
    async def test_more_than_20_errors_in_10_s_close(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for _ in range(20):
            await client.ws.send_str("?")
        await client.in_step()
        await client.ws.send_str("?")
        assert await client.closed() == Close.TOO_MANY_ERRORS

    async def test_errors_are_forgotten_after_10_s(self, rig: Rig) -> None:
        client = await rig.welcomed()
        for _ in range(4):
            for _ in range(20):
                await client.ws.send_str("?")
            await client.in_step()
            rig.clock.now_ms += 10_000
        assert rig.hub.count == 1

    async def test_nothing_is_applied_once_there_were_too_many(self, rig: Rig) -> None:
        reader, writer = await rig.raw()
        writer.write(hello(1, "phone"))
        await frame_of(reader)
        writer.write(masked(1, b"?") * 21 + masked(1, b'{"type":"media_state","id":"a"}'))
        for _ in range(21):
            assert b"bad_frame" in (await frame_of(reader))[1]
        opcode, body = await frame_of(reader)
        assert (opcode, body) == (8, struct.pack("!H", Close.TOO_MANY_ERRORS))
        assert rig.desk.received == []


class TestSlowReader:
    async def test_it_is_cut_and_the_others_do_not_notice(self, rig: Rig) -> None:
        reader, writer = await rig.raw()
        writer.write(hello(2, "slow"))
        await frame_of(reader)
        cast(asyncio.Transport, writer.transport).pause_reading()
        good = await rig.welcomed(3, "good")
        link = rig.hub.devices(user(2))[0].link
        assert isinstance(link, Connection)
        sent = held_bytes = 0
        # The kernel takes some MiB before our own queue grows.
        while rig.hub.devices(user(2)) and sent < 1_000:
            rig.hub.to_user(user(2), LARGE)
            sent += 1
            await asyncio.sleep(0)
            held_bytes = max(held_bytes, link._transport.get_write_buffer_size())
        assert rig.desk.lost_devices == [("slow", False)]
        assert 17 <= sent < 1_000
        assert 900_000 < held_bytes <= 1_048_576
        await rig.until(lambda: rig.hub.sockets == 1)
        await good.in_step()

    async def test_a_reader_that_is_behind_for_5_s_is_cut_by_the_sweep(self, rig: Rig) -> None:
        reader, writer = await rig.raw()
        writer.write(hello(2, "slow"))
        await frame_of(reader)
        cast(asyncio.Transport, writer.transport).pause_reading()
        link = rig.hub.devices(user(2))[0].link
        assert isinstance(link, Connection)
        while not link._queue.stuck:
            rig.hub.to_user(user(2), LARGE)
            await asyncio.sleep(0.001)
        rig.hub.sweep()
        rig.clock.now_ms += 4_999
        rig.hub.sweep()
        await asyncio.sleep(0)
        assert rig.hub.count == 1
        rig.clock.now_ms += 1
        rig.hub.sweep()
        await rig.until(lambda: rig.hub.sockets == 0)
        assert rig.desk.lost_devices == [("slow", False)]

    async def test_many_events_in_one_turn_do_not_cut_a_reader_that_keeps_up(
        self, rig: Rig
    ) -> None:
        client = await rig.welcomed()
        event = encode_raw("draining", b"{}", 0)
        for _ in range(1_000):
            rig.hub.to_user(user(1), event)
        got = [(await client.receive())["seq"] for _ in range(1_000)]
        assert got == list(range(2, 1_002))
