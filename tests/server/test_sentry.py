"""Errors arrive at Sentry's door, here a server of the test, and nothing of people with them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

from server import logs
from server.sentry import Reports, only_ours
from signalling.handlers import table
from storage import wallet
from tests.server.running import development, running

MIA = "mia@demo.talktime"
WAIT_S = 10.0


class Door:
    """Takes envelopes and keeps their raw bytes."""

    def __init__(self) -> None:
        self.raw = asyncio.Queue[bytes]()
        self.seen = b""

    async def take(self, request: web.Request) -> web.Response:
        raw = await request.read()
        self.seen += raw
        await self.raw.put(raw)
        return web.json_response({})

    async def event(self) -> dict[str, Any]:
        async with asyncio.timeout(WAIT_S):
            raw = await self.raw.get()
        event: dict[str, Any] = json.loads(raw.split(b"\n")[2])
        return event


@pytest.fixture(autouse=True)
def plain_logging() -> Any:
    """As the command sets it up, and put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    logs.configure(level="info", form="json")
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[tuple[Door, str]]:
    """A door and the DSN that leads to it."""
    door = Door()
    app = web.Application()
    app.router.add_post("/api/1/envelope/", door.take)
    async with TestServer(app) as server:
        yield door, f"http://public@127.0.0.1:{server.port}/1"


# What must not arrive, far from the code that fails: its source lines are sent.
PHONE, MAIL, CODE, ADDRESS = "+819012345678", "ann.lee@mail.example.org", "483920", "203.0.113.77"
PASSWORD = "correct-horse-battery"
SDP = f"v=0\r\no=- 1 2 IN IP4 {ADDRESS}\r\ns=-\r\na=ice-pwd:hushhushhushhush\r\n"
TOLD = f"no answer for {PHONE}, {MAIL}, code {CODE}: {SDP}"
# ----


def fail(*_: object) -> NoReturn:
    variable = PASSWORD
    raise RuntimeError(TOLD, len(variable))


async def fail_later(*_: object) -> NoReturn:
    fail()


async def test_errors_of_requests_and_sockets_arrive_without_what_is_private(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened() as (door, sentry_dsn):
        async with running(dsn, development(tmp_path, sentry_dsn=sentry_dsn)) as there:
            site = there.site
            mia = await site.login(MIA)
            monkeypatch.setattr(wallet, "read_balance", fail_later)
            status, body = await site.ask(mia, "GET", f"/wallet/balance?phone={PHONE[1:]}")
            assert status == 500
            event = await door.event()
            assert event["exception"]["values"][0]["type"] == "RuntimeError"
            assert event["tags"]["request_id"] == body["requestId"]
            assert event["release"].startswith("talktime@")
            assert (event["environment"], event["server_name"]) == ("dev", "main")
            frames = event["exception"]["values"][0]["stacktrace"]["frames"]
            assert [frame["function"] for frame in frames][-2:] == ["fail_later", "fail"]

            phone = await site.device(mia, "phone")
            for handler in (fail, lambda *_: fail_later()):  # Answered at once, and later.
                monkeypatch.setitem(table.TABLE, "presence_watch", handler)
                reply = await phone.command("presence_watch", users=[])
                assert reply["data"]["code"] == "internal"
                event = await door.event()
                assert event["exception"]["values"][0]["type"] == "RuntimeError"
                assert event["tags"]["type"] == "presence_watch"
                assert event["tags"]["incident"] == reply["data"]["incident"]
        seen = door.seen.decode()
    private = (
        PHONE[1:], MAIL, CODE, ADDRESS, PASSWORD, "hushhush", mia["accessToken"],
        mia["refreshToken"], "talktime-demo", MIA,
    )  # fmt: skip
    assert [each for each in private if each in seen] == []


async def test_lines_below_errors_and_other_peoples_loggers_after_the_end_are_not_sent() -> None:
    async with opened() as (door, dsn):
        reports = Reports(dsn, release="1", environment="test", node="main")
        log = logs.get_logger("talktime.test")
        log.warning("only a warning")
        log.error("a_line_without_an_exception", call_id="c1", text="not sent")
        await reports.close()
        log.error("too late")
        event = await door.event()
        assert event["logentry"]["message"] == "a_line_without_an_exception"
        assert event["tags"] == {"call_id": "c1"}
        assert b"not sent" not in door.seen
        assert door.raw.empty()


async def test_a_door_that_is_closed_delays_and_breaks_nothing() -> None:
    reports = Reports("http://public@127.0.0.1:1/1", release="1", environment="test", node="main")
    logs.get_logger("talktime.test").error("nobody hears it")
    async with asyncio.timeout(WAIT_S):
        await reports.close()


def test_what_nobody_has_thought_of_is_not_sent() -> None:
    event = only_ours(
        {
            "level": "error",
            "request": {"headers": {"Authorization": "Bearer x"}},
            "user": {"ip_address": "203.0.113.9"},
            "extra": {"sys.argv": ["x"]},
            "breadcrumbs": {"values": []},
        },
        {},
    )
    assert event == {"level": "error"}
