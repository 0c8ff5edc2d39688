"""What operators deal with: talk, money, jobs that fail, servers that are told of calls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import NamedTuple
from uuid import UUID

from aiohttp import web
from playwright.async_api import Page

from server.demo_accounts import CALLER_MAIL, PROVIDER_MAIL
from storage import earnings, jobs, ledger, users
from storage import pool as pools
from storage.pool import Connection
from tests.end_to_end.driver import Device, Json, Site, connect_call
from tests.storage.world import give

ADMIN_MAIL, OTHER_MAIL = "ada@demo.talktime", "noah@demo.talktime"
CURRENCY = "PTS"
_numbers = count(1)
_FAILED = '{"exception_message": "TimeoutError: the gateway did not answer within 10 s"}'


class Talk(NamedTuple):
    """A call between two devices that talk."""

    id: str
    caller: Device
    callee: Device


async def enter(page: Page) -> None:
    """Log in at the console as the demo admin."""
    await page.get_by_role("button", name="Continue as Ada").click()
    await page.get_by_role("heading", name="Overview").wait_for()


async def talk(site: Site, caller: str = CALLER_MAIL, callee: str = PROVIDER_MAIL) -> Talk:
    ringing, ringed = [await site.login(mail) for mail in (caller, callee)]
    # Ids of commands are used once, so each call has devices of its own.
    number = next(_numbers)
    one = await site.device(ringing, f"{ringing['user']['name']}-phone-{number}".lower())
    other = await site.device(ringed, f"{ringed['user']['name']}-tab-{number}".lower())
    call = await connect_call(one, other)
    return Talk(call, one, other)


@asynccontextmanager
async def database(dsn: str) -> AsyncIterator[Connection]:
    conn = await pools.connect(dsn, application_name="tests")
    try:
        yield conn
    finally:
        await conn.close()


async def id_of(dsn: str, mail: str) -> UUID:
    async with database(dsn) as conn:
        found: UUID = await conn.fetchval("select id from users where email = $1", mail)
    return found


async def make_admin(dsn: str, mail: str) -> None:
    async with database(dsn) as conn:
        await users.add_role(conn, await id_of(dsn, mail), "admin")


async def fail_job(dsn: str, name: str = "send_sms") -> int:
    """A job that was given up; its number."""
    async with database(dsn) as conn, conn.transaction():
        # Far from now, or the server would take it.
        assert await jobs.enqueue(conn, name, {"secret": "hush"}, delay_s=3_600)
        number: int = await conn.fetchval("select max(id) from pgqueuer")
        await conn.execute("update pgqueuer set attempts = 2 where id = $1", number)
        query = jobs.queries_on(conn).qbq.build_log_job_query()
        await conn.execute(query, [number], ["failed"], [_FAILED])
    return number


async def earn(dsn: str, mail: str, amount_minor: int) -> None:
    """Money that a provider can take out."""
    user_id = await id_of(dsn, mail)
    async with database(dsn) as conn, conn.transaction():
        accounts = await ledger.open_accounts(conn, user_id, CURRENCY)
        await give(conn, accounts[earnings.PENDING], amount_minor)
        await earnings.release_due(conn, delay_s=0)


async def want_payout(site: Site, dsn: str, amount_minor: int, mail: str = PROVIDER_MAIL) -> Json:
    await earn(dsn, mail, amount_minor)
    body = {"amount": amount_minor, "destination": "IBAN XX00 0000 0000", "note": "November"}
    status, answer = await site.ask(await site.login(mail), "POST", "/wallet/payouts", body)
    assert status == 201, answer
    payout: Json = answer["payout"]
    return payout


class Receiver:
    """Somebody's server that is told of calls. It answers with `status`."""

    def __init__(self) -> None:
        self.status = 204
        self.url = ""
        self.heard: list[Json] = []

    async def hear(self, request: web.Request) -> web.Response:
        self.heard.append(await request.json())
        return web.Response(status=self.status)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    there = Receiver()
    app = web.Application()
    app.router.add_post("/hook", there.hear)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    there.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield there
    finally:
        await runner.cleanup()
