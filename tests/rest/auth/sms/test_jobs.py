"""The job between the committed code and the message: current codes only, and no secret in it."""

from __future__ import annotations

import io

import orjson
import pytest
import structlog

from rest.auth.codes import CodeKey
from rest.auth.sms import jobs
from rest.auth.sms.console import ConsoleSms
from rest.auth.sms.jobs import SmsJobs
from rest.auth.sms.port import Message, SmsDown, SmsRefused
from storage import otp
from storage.otp import Otp
from storage.pool import Pool
from tests.rest.harness import FakeClock

KEY = CodeKey("a secret of one-time codes, for tests only")
PHONE = "+12025550123"


class Failing(ConsoleSms):
    def __init__(self, fault: Exception) -> None:
        super().__init__(io.StringIO())
        self._fault = fault

    async def send(self, message: Message) -> None:
        raise self._fault


async def issue(pool: Pool, clock: FakeClock) -> Otp:
    """A code whose sending has been promised."""
    async with pool.acquire() as conn, conn.transaction():
        issued = await otp.replace(
            conn,
            phone=PHONE,
            purpose="login",
            user_id=None,
            tries=3,
            ttl_ms=120_000,
            now_ms=clock(),
        )
        await jobs.promise(conn, issued)
    return issued


async def do_all(pool: Pool, clock: FakeClock, sms: ConsoleSms) -> list[str]:
    """Do what is promised as the runner would; the outcomes."""
    told: list[str] = []
    work = SmsJobs(pool, sms, KEY, text="{code}, tell it nobody", clock=clock, sent=told.append)
    for row in await pool.fetch("select entrypoint, payload from pgqueuer order by id"):
        await work.handlers()[row["entrypoint"]](orjson.loads(row["payload"]))
    return told


async def test_the_message_has_the_code_and_the_job_has_not(pool: Pool, clock: FakeClock) -> None:
    issued, sms = await issue(pool, clock), ConsoleSms(io.StringIO())
    assert await do_all(pool, clock, sms) == ["sent"]
    code = KEY.code_of(issued)
    assert list(sms.sent) == [Message(issued.id, PHONE, f"{code}, tell it nobody")]
    payload = await pool.fetchval("select payload from pgqueuer")
    assert orjson.loads(payload) == {"otpId": str(issued.id)}


async def test_a_job_done_again_sends_the_same_message(pool: Pool, clock: FakeClock) -> None:
    await issue(pool, clock)
    sms = ConsoleSms(io.StringIO())
    for _ in range(2):
        await do_all(pool, clock, sms)
    assert sms.sent[0] == sms.sent[1]


async def test_a_replaced_code_is_not_sent(pool: Pool, clock: FakeClock) -> None:
    await issue(pool, clock)
    new, sms = await issue(pool, clock), ConsoleSms(io.StringIO())
    assert await do_all(pool, clock, sms) == ["stale", "sent"]
    assert [each.id for each in sms.sent] == [new.id]


async def test_an_expired_code_is_not_sent(pool: Pool, clock: FakeClock) -> None:
    await issue(pool, clock)
    clock.move(120_000)
    assert await do_all(pool, clock, ConsoleSms(io.StringIO())) == ["stale"]


async def test_a_used_code_is_not_sent(pool: Pool, clock: FakeClock) -> None:
    issued = await issue(pool, clock)
    async with pool.acquire() as conn:
        await otp.burn(conn, issued.id)
    assert await do_all(pool, clock, ConsoleSms(io.StringIO())) == ["stale"]


async def test_a_company_that_is_down_fails_the_job(pool: Pool, clock: FakeClock) -> None:
    issued = await issue(pool, clock)
    told: list[str] = []
    work = SmsJobs(
        pool, Failing(SmsDown("status 500")), KEY, text="{code}", clock=clock, sent=told.append
    )
    with pytest.raises(SmsDown):
        await work.send({"otpId": str(issued.id)})
    assert told == ["failed"]


async def test_a_refused_message_ends_the_job_and_is_logged_without_the_phone(
    pool: Pool, clock: FakeClock
) -> None:
    issued = await issue(pool, clock)
    with structlog.testing.capture_logs() as lines:
        assert await do_all(pool, clock, Failing(SmsRefused("code 21610"))) == ["refused"]
    assert lines == [
        {
            "event": "sms_refused",
            "log_level": "warning",
            "otp_id": str(issued.id),
            "said": "code 21610",
        }
    ]
