"""Good frames at the wrong time, again, too many, or for somebody who does not read."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.end_to_end.driver import Device, Json, connect_call
from tests.end_to_end.guarded import KAI, LEA, MIA, NOAH, code_of, frame, guarded, hello, lives
from tests.server.running import Running


@pytest.fixture
async def there(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with guarded(dsn, tmp_path) as server:
        yield server


async def test_commands_out_of_order_are_refused_and_change_nothing(there: Running) -> None:
    site = there.site
    mia, kai = await site.login(MIA), await site.login(KAI)
    phone, desk = await site.device(mia, "phone"), await site.device(kai, "desk")
    tablet = await site.device(kai, "tablet")
    opened = await phone.ok("call_request", toUserId=kai["user"]["id"])
    call: str = opened["call"]["id"]

    async def refused(device: Device, code: str, kind: str, /, **data: object) -> Json:
        reply = await device.command(kind, call, **data)
        assert (reply["type"], code_of(reply)) == ("error", code), (kind, reply)
        found: Json = reply["data"]
        return found

    offer = {"kind": "offer", "gen": 1, "sdp": "v=0\r\n"}
    await refused(phone, "forbidden", "call_accept")
    await refused(phone, "forbidden", "call_reject")
    await refused(phone, "wrong_state", "media_connected")
    await refused(phone, "wrong_state", "media_state")
    early = await refused(desk, "wrong_state", "signal", **offer)
    assert early["call"]["state"] == "requested"
    await refused(desk, "wrong_state", "media_connected")
    again = await phone.command("call_request", toUserId=kai["user"]["id"])
    assert code_of(again) == "self_busy"
    itself = await desk.command("call_request", toUserId=kai["user"]["id"])
    assert code_of(itself) in ("self_call", "self_busy")

    await desk.ok("call_accept", call)
    await refused(tablet, "answered_elsewhere", "call_accept")
    await refused(tablet, "not_your_leg", "signal", **offer)
    await refused(tablet, "not_your_leg", "media_connected")
    await refused(tablet, "wrong_state", "call_take")
    await refused(desk, "wrong_state", "call_reject")
    for sdp in ("v=0" + "x" * 32_768, 7, {"type": "offer"}):
        reply = await phone.command("signal", call, kind="offer", gen=1, sdp=sdp)
        assert code_of(reply) in ("bad_frame", "too_large")
    forged = await phone.command("signal", call, **{**offer, "from": "callee"})
    assert code_of(forged) == "bad_frame"
    assert desk.all("signal") == tablet.all("signal") == []

    final = (await desk.ok("call_end", call))["final"]
    assert final["total"] == 0
    late = await refused(phone, "call_over", "media_connected")
    assert (late["reason"], late["final"]) == ("hangup", final)
    await refused(desk, "call_over", "call_accept")
    await refused(desk, "call_over", "call_ringing")
    assert (await phone.ok("call_end", call))["final"] == final
    for device in (phone, desk, tablet):
        assert len(device.all("call_ended")) == 1
    assert (await site.get(mia, "/wallet/balance"))["available"] == 1_000


async def test_a_frame_sent_again_has_one_effect_and_one_answer(there: Running) -> None:
    site = there.site
    mia, kai, lea = await site.login(MIA), await site.login(KAI), await site.login(LEA)
    phone, desk = await site.device(mia, "phone"), await site.device(kai, "desk")
    wish = {"type": "call_request", "id": "once", "data": {"toUserId": kai["user"]["id"]}}
    for _ in range(5):
        await phone.send(**wish)
    # The same id for something else is the same command: the first answer counts.
    await phone.send(**{**wish, "data": {"toUserId": lea["user"]["id"]}})
    await phone.until(lambda: "once" in phone.replies)
    call = phone.replies["once"]["data"]["call"]["id"]
    await desk.event("call_incoming")
    await lives(phone)
    assert phone.replies["once"]["data"]["call"]["id"] == call
    assert len(desk.all("call_incoming")) == 1
    assert len((await site.get(mia, "/calls"))["items"]) == 1
    assert (await site.get(lea, "/calls"))["items"] == []
    for _ in range(3):
        await phone.send(type="call_end", id="end", call=call, data={})
    await phone.event("call_ended")
    await phone.until(lambda: "end" in phone.replies)
    assert phone.replies["end"]["data"]["final"]["total"] == 0


async def test_a_flood_is_limited_and_others_do_not_feel_it(there: Running) -> None:
    site = there.site
    attacker = await site.device(await site.login(NOAH), "flood")
    phone = await site.device(await site.login(MIA), "phone")
    desk = await site.device(await site.login(KAI), "desk")
    call = await connect_call(phone, desk)

    async def flood() -> None:
        try:
            for number in range(3_000):
                await attacker.send(
                    type="chat_typing", id=f"f{number}", data={"conversation": call}
                )
        except aiohttp.ClientError:
            pass  # Cut off in the middle of it.

    flooding = asyncio.create_task(flood())
    slowest_s = 0.0
    for _ in range(20):
        began = time.monotonic()
        await phone.ok("media_state", call, audio=True)
        slowest_s = max(slowest_s, time.monotonic() - began)
    await flooding
    await attacker.closed()
    assert attacker.close_code == 4010
    refused = [reply["data"] for reply in attacker.replies.values()]
    limited = [data for data in refused if data["code"] == "rate_limited"]
    assert limited
    assert all(data["retryAfterMs"] > 0 for data in limited)
    assert {data["code"] for data in refused} == {"rate_limited", "not_your_call"}
    assert slowest_s < 2.0
    assert len(desk.all("media_state")) == 20
    assert phone.all("call_reconnecting") == desk.all("chat_typing") == []
    assert (await phone.ok("call_end", call))["final"]["total"] == 120


async def test_who_does_not_read_is_cut_off_and_nobody_waits_for_it(there: Running) -> None:
    site = there.site
    mia, kai = await site.login(MIA), await site.login(KAI)
    phone = await site.device(mia, "phone")

    def small(address: object) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        made.setblocking(False)
        return made

    connector = aiohttp.TCPConnector(socket_factory=small)
    async with aiohttp.ClientSession(connector=connector) as http:
        ws = await http.ws_connect(f"{site.url}/ws")
        await ws.send_str(hello(kai["accessToken"]))
        assert json.loads((await ws.receive()).data)["type"] == "welcome"
        opened = await phone.ok("call_request", toUserId=kai["user"]["id"])
        call: str = opened["call"]["id"]
        await ws.send_str(frame("call_accept", {}, call).decode())
        await phone.event("call_accepted")
        for leg in (phone, ws):
            text = frame("media_connected", {}, call).decode()
            await (leg._ws if isinstance(leg, Device) else leg).send_str(text)
        await phone.event("call_tick")
        # From here on nobody reads that socket, while large offers are relayed to it.
        transport = ws._response.connection.transport  # type: ignore[union-attr]  # it is open
        assert transport is not None
        transport.pause_reading()
        gen = 0
        while not phone.all("call_reconnecting") and gen < 190:
            gen += 1
            began = time.monotonic()
            await phone.ok("signal", call, kind="offer", gen=gen, sdp="v=0" + "x" * 30_000)
            assert time.monotonic() - began < 2.0
        lost = await phone.event("call_reconnecting")
        assert (lost["leg"], lost["why"]) == ("callee", "socket")
        await lives(phone)
        assert there.server.live.hub.count == 1
        ended = await phone.ok("call_end", call)
        assert (ended["final"]["total"], ended["final"]["settled"]) == (120, True)
        transport.abort()
    assert (await site.get(mia, "/wallet/balance"))["available"] == 880
