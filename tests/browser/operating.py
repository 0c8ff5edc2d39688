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


async def talk(there: Site, caller: str = CALLER_MAIL, callee: str = PROVIDER_MAIL) -> Talk:
    ringing, ringed = [await there.login(mail) for mail in (caller, callee)]
    # Ids of commands are used once, so each call has devices of its own.
    number = next(_numbers)
    one = await there.device(ringing, f"{ringing['user']['name']}-phone-{number}".lower())
    other = await there.device(ringed, f"{ringed['user']['name']}-tab-{number}".lower())
    call = await connect_call(one, other)
    return Talk(call, one, other)


async def id_of(conn: Connection, mail: str) -> UUID:
    found: UUID = await conn.fetchval("select id from users where email = $1", mail)
    return found


async def make_admin(conn: Connection, mail: str) -> None:
    await users.add_role(conn, await id_of(conn, mail), "admin")


async def delay_job(conn: Connection, name: str = "send_sms") -> int:
    """A job that is due in an hour; its number."""
    async with conn.transaction():
        assert await jobs.enqueue(conn, name, {"message": "hush"}, delay_s=3_600)
        number: int = await conn.fetchval("select max(id) from pgqueuer")
    return number


async def fail_job(conn: Connection, name: str = "send_sms") -> int:
    """A job that was given up; its number."""
    async with conn.transaction():
        # Far from now, or the server would take it.
        number = await delay_job(conn, name)
        await conn.execute("update pgqueuer set attempts = 2 where id = $1", number)
        query = jobs.queries_on(conn).qbq.build_log_job_query()
        await conn.execute(query, [number], ["failed"], [_FAILED])
    return number


async def earn(conn: Connection, amount_minor: int, mail: str = PROVIDER_MAIL) -> None:
    """Somebody has earned that much, and it is ready to be paid out."""
    async with conn.transaction():
        accounts = await ledger.open_accounts(conn, await id_of(conn, mail), CURRENCY)
        await give(conn, accounts[earnings.PENDING], amount_minor)
        await earnings.release_due(conn, delay_s=0)


async def want_payout(
    there: Site, conn: Connection, amount_minor: int, mail: str = PROVIDER_MAIL
) -> None:
    """Somebody has earned that much and asks for it."""
    await earn(conn, amount_minor, mail)
    body = {"amount": amount_minor, "destination": "IBAN XX00 0000 0000", "note": "November"}
    await must(there, await there.login(mail), "POST", "/wallet/payouts", body)


async def must(there: Site, session: Json, method: str, path: str, body: Json) -> Json:
    """The answer to what has to succeed."""
    status, answer = await there.ask(session, method, path, body)
    assert status < 300, answer
    return answer


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
