"""A sleeping phone: woken by the operator it answers; too late, it finds what it has missed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.end_to_end.driver import WAIT_S, Json, Site
from tests.rest.auth.sms.companies import company
from tests.server.running import Running, development, running

KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
MIA, KAI = "mia@demo.talktime", "kai@demo.talktime"


class Operator:
    """The operator's own push service: it keeps what was properly signed."""

    def __init__(self) -> None:
        self.pushes: asyncio.Queue[Json] = asyncio.Queue()
        self.url = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}."
        digest = hmac.new(KEY, signed.encode() + raw, hashlib.sha256).digest()
        expected = f"v1,{base64.b64encode(digest).decode()}"
        if not hmac.compare_digest(expected, request.headers["webhook-signature"]):
            return web.Response(status=401)
        self.pushes.put_nowait(json.loads(raw))
        return web.Response(status=202)

    async def push(self) -> Json:
        async with asyncio.timeout(WAIT_S):
            return await self.pushes.get()


@pytest.fixture
async def operator() -> AsyncIterator[Operator]:
    made = Operator()
    async with company(made.answer) as there:
        made.url = f"{there.url}/push"
        yield made


@asynccontextmanager
async def pushing(dsn: str, data_dir: Path, url: str, **settings: Any) -> AsyncIterator[Running]:
    config = development(data_dir, push_webhook_url=url, push_webhook_secret=SECRET, **settings)
    async with running(dsn, config) as there:
        yield there


async def sleeping(site: Site) -> Json:
    """Kai, whose phone is registered and has no socket."""
    kai = await site.login(KAI)
    body = {"deviceId": "phone", "platform": "ios", "provider": "webhook", "token": "kais-phone"}
    status, answer = await site.ask(kai, "POST", "/devices/push", body)
    assert (status, answer["device"]["deviceId"]) == (200, "phone")
    return kai


def counted(there: Running, outcome: str) -> float:
    labels = {"adapter": "webhook", "outcome": outcome}
    return there.server.metrics.registry.get_sample_value("talktime_pushes_total", labels) or 0.0


async def test_a_sleeping_callee_is_woken_answers_and_talks(
    dsn: str, tmp_path: Path, operator: Operator
) -> None:
    async with pushing(dsn, tmp_path, operator.url) as there:
        kai = await sleeping(there.site)
        caller = await there.site.device(await there.site.login(MIA), "mias-phone")
        answer = await caller.ok("call_request", toUserId=kai["user"]["id"], kind="video")
        call = answer["call"]["id"]

        pushed = await operator.push()
        assert pushed["type"] == "call.incoming"
        told = pushed["data"]
        assert (told["callId"], told["callerName"], told["kind"]) == (call, "Mia", "video")
        assert told["expiresAt"] == answer["call"]["expiresAt"]
        assert (told["userId"], told["token"]) == (kai["user"]["id"], "kais-phone")

        callee = await there.site.device(kai, "phone")
        welcome = await callee.event("welcome")
        assert (welcome["call"]["id"], welcome["call"]["you"]) == (call, "ringing")
        await callee.ok("call_ringing", call)
        await callee.ok("call_accept", call)
        await caller.ok("media_connected", call)
        await callee.ok("media_connected", call)
        await caller.event("call_tick")
        await caller.ok("call_end", call)
        assert (await callee.event("call_ended"))["reason"] == "hangup"
        assert operator.pushes.empty()
        assert counted(there, "sent") == 1


async def test_who_wakes_after_the_caller_has_given_up_finds_a_missed_call(
    dsn: str, tmp_path: Path, operator: Operator
) -> None:
    async with pushing(dsn, tmp_path, operator.url) as there:
        kai = await sleeping(there.site)
        caller = await there.site.device(await there.site.login(MIA), "mias-phone")
        answer = await caller.ok("call_request", toUserId=kai["user"]["id"])
        call = answer["call"]["id"]
        await operator.push()
        await caller.ok("call_end", call)
        assert (await caller.event("call_ended"))["reason"] == "cancelled"

        callee = await there.site.device(kai, "phone")
        welcome = await callee.event("welcome")
        assert "call" not in welcome
        [missed] = welcome["recent"]
        assert (missed["id"], missed["role"], missed["reason"]) == (call, "callee", "cancelled")
        assert operator.pushes.empty()


async def test_when_the_operator_is_down_the_call_goes_on_and_ends_unreachable(
    dsn: str, tmp_path: Path
) -> None:
    async with pushing(dsn, tmp_path, "http://127.0.0.1:1/push", reach_ms=1_500) as there:
        kai = await sleeping(there.site)
        caller = await there.site.device(await there.site.login(MIA), "mias-phone")
        answer = await caller.ok("call_request", toUserId=kai["user"]["id"])
        assert answer["call"]["state"] == "requested"
        assert (await caller.event("call_ended"))["reason"] == "unreachable"
        assert counted(there, "sent") == 0
        assert counted(there, "failed") + counted(there, "retried") > 0


async def test_after_log_out_the_phone_is_left_alone(
    dsn: str, tmp_path: Path, operator: Operator
) -> None:
    async with pushing(dsn, tmp_path, operator.url) as there:
        kai = await sleeping(there.site)
        body = {"refreshToken": kai["refreshToken"]}
        status, _ = await there.site.ask(kai, "POST", "/auth/logout", body)
        assert status == 200
        caller = await there.site.device(await there.site.login(MIA), "mias-phone")
        answer = await caller.ok("call_request", toUserId=kai["user"]["id"])
        assert answer["call"]["reason"] == "unavailable"
        assert operator.pushes.empty()


async def test_the_phone_sleeps_while_the_tablet_rings_and_both_are_called(
    dsn: str, tmp_path: Path, operator: Operator
) -> None:
    async with pushing(dsn, tmp_path, operator.url) as there:
        kai = await sleeping(there.site)
        tablet = await there.site.device(kai, "tablet")
        caller = await there.site.device(await there.site.login(MIA), "mias-phone")
        answer = await caller.ok("call_request", toUserId=kai["user"]["id"])
        assert (await tablet.event("call_incoming"))["call"]["id"] == answer["call"]["id"]
        pushed = await operator.push()
        assert pushed["data"]["deviceId"] == "phone"
        await tablet.ok("call_reject", answer["call"]["id"])
