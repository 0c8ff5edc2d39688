"""What keeps codes within bounds: tries however many at once, and sends by phone, block, address
and deployment."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from rest.auth.codes import CodeKey
from rest.auth.otp import Otps, OtpSettings
from rest.http.errors import Problem
from storage.pool import Pool
from tests.rest.harness import FakeClock

KEY = CodeKey("a secret of one-time codes, for tests only")
PHONE = "+12025550123"
OPEN = OtpSettings(
    echo=True,
    minute_max=1_000,
    phone_day_max=1_000,
    address_hour_max=1_000,
    block_hour_max=1_000,
    failures_hour_max=1_000,
)


class Desk:
    """Codes as one deployment issues and proves them."""

    def __init__(self, pool: Pool, clock: FakeClock, settings: OtpSettings) -> None:
        self.otps = Otps(pool, KEY, clock=clock, settings=settings)

    async def send(self, phone: str = PHONE, address: str = "192.0.2.1") -> str:
        issued = await self.otps.issue(phone, address=address, purpose="login")
        assert issued.code is not None
        return issued.code

    async def sends(self, count: int, phone: str = PHONE, address: str = "192.0.2.1") -> None:
        for _ in range(count):
            await self.send(phone, address)

    async def refused(self, phone: str = PHONE, address: str = "192.0.2.1") -> Problem:
        with pytest.raises(Problem) as caught:
            await self.send(phone, address)
        return caught.value

    async def guess(self, code: str, address: str = "192.0.2.1") -> str:
        """ok, or the code of the refusal."""
        try:
            await self.otps.prove(PHONE, code, address=address, purpose="login")
        except Problem as problem:
            return problem.code
        return "ok"


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06}"


async def jobs(pool: Pool) -> int:
    count: int = await pool.fetchval("select count(*) from pgqueuer")
    return count


class Counted(CodeKey):
    """Counts how often a code is compared."""

    compared = 0

    def matches(self, otp: object, given: str) -> bool:
        self.compared += 1
        return False


async def test_of_five_hundred_guesses_at_once_three_are_compared(
    pool: Pool, clock: FakeClock
) -> None:
    key = Counted("a secret of one-time codes, for tests only")
    desk = Desk(pool, clock, OPEN)
    desk.otps = Otps(pool, key, clock=clock, settings=OPEN)
    code = await desk.send()
    told = await asyncio.gather(*(desk.guess(code) for _ in range(500)))
    assert set(told) == {"INVALID_OTP"}
    assert key.compared == 3


async def test_wrong_codes_from_one_address_use_up_its_budget(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, replace(OPEN, failures_hour_max=5))
    told = []
    for _ in range(7):
        told.append(await desk.guess(wrong(await desk.send())))
    assert told == ["INVALID_OTP"] * 5 + ["RATE_LIMITED"] * 2
    code = await desk.send()
    assert await desk.guess(code) == "RATE_LIMITED"
    assert await desk.guess(code, "192.0.2.2") == "ok"
    clock.move(3_600_000)
    assert await desk.guess(await desk.send()) == "ok"


async def test_right_codes_cost_nothing_of_the_budget(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, replace(OPEN, failures_hour_max=3))
    for _ in range(8):
        assert await desk.guess(await desk.send()) == "ok"


async def test_a_phone_gets_five_codes_in_a_minute(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, OtpSettings(echo=True))
    for n in range(5):
        await desk.send(address=f"192.0.2.{n}")
    problem = await desk.refused(address="192.0.2.9")
    assert (problem.status, problem.code) == (429, "RATE_LIMITED")
    assert problem.headers["Retry-After"] == "60"
    assert await jobs(pool) == 5
    clock.move(60_000)
    await desk.send(address="192.0.2.9")


async def test_a_phone_gets_ten_codes_in_a_day(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, OtpSettings(echo=True))
    for n in range(10):
        await desk.send(address=f"192.0.2.{n}")
        clock.move(900_000)
    problem = await desk.refused(address="192.0.2.99")
    assert int(problem.headers["Retry-After"]) == 86_400 - 9_000


async def test_an_address_sends_five_codes_in_a_minute_and_ten_in_an_hour(
    pool: Pool, clock: FakeClock
) -> None:
    desk = Desk(pool, clock, OtpSettings(echo=True))
    areas = (202, 212, 213, 303, 305, 312, 404, 415, 503, 602, 617)
    phones = [f"+1{area}5550123" for area in areas]
    for n in range(10):
        await desk.send(phones[n])
        clock.move(20_000)
    problem = await desk.refused(phones[10])
    assert problem.code == "RATE_LIMITED"
    assert int(problem.headers["Retry-After"]) == 3_600 - 200
    await desk.send(phones[10], "192.0.2.2")


async def test_numbers_of_one_block_share_an_hour(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, OtpSettings(echo=True))
    told = []
    for n in range(100):
        try:
            await desk.send(f"+1202555{100 + n:04}", f"192.0.2.{n}")
        except Problem as problem:
            told.append(problem.code)
    assert told == ["RATE_LIMITED"] * 85
    assert await jobs(pool) == 15
    await desk.send("+12125550123", "192.0.2.200")


async def test_a_code_is_not_sent_again_sooner_than_the_operator_says(
    pool: Pool, clock: FakeClock
) -> None:
    desk = Desk(pool, clock, OtpSettings(echo=True, resend_s=30))
    await desk.send()
    clock.move(29_000)
    assert (await desk.refused()).headers["Retry-After"] == "1"
    clock.move(1_000)
    await desk.send()


async def test_the_deployment_stops_at_its_daily_cap(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, replace(OPEN, day_max=3))
    await desk.sends(3)
    problem = await desk.refused("+12125550123", "192.0.2.2")
    assert (problem.status, problem.code) == (503, "SMS_UNAVAILABLE")
    assert problem.headers["Retry-After"] == "86400"
    assert await jobs(pool) == 3
    clock.move(86_400_000)
    await desk.send()


async def test_of_many_sends_at_once_no_more_leave_than_allowed(
    pool: Pool, clock: FakeClock
) -> None:
    desk = Desk(pool, clock, replace(OPEN, minute_max=5))
    told = await asyncio.gather(*(desk.send() for _ in range(40)), return_exceptions=True)
    assert len([each for each in told if isinstance(each, str)]) == 5
    assert all(isinstance(each, str | Problem) for each in told)
    assert await jobs(pool) == 5


async def test_a_refused_send_counts_nowhere_and_leaves_the_code_that_is_out(
    pool: Pool, clock: FakeClock
) -> None:
    desk = Desk(pool, clock, replace(OPEN, resend_s=600, address_hour_max=2))
    code = await desk.send()
    await desk.refused()
    await desk.refused()
    await desk.send("+12125550123")
    assert await desk.guess(code) == "ok"


@pytest.mark.parametrize(
    ("phone", "allowed"),
    [(PHONE, True), ("+2348012345678", True), ("+4915112345678", False), ("+16135550123", False)],
)
async def test_messages_go_to_the_listed_countries_only(
    pool: Pool, clock: FakeClock, phone: str, allowed: bool
) -> None:
    desk = Desk(pool, clock, replace(OPEN, countries=frozenset({"US", "NG"})))
    if allowed:
        await desk.send(phone)
        return
    problem = await desk.refused(phone)
    assert (problem.status, problem.code) == (400, "PHONE_NOT_SUPPORTED")
    assert await pool.fetchval("select count(*) from quota") == 0


async def test_without_a_way_to_send_nothing_is_issued(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, replace(OPEN, sending=False))
    assert (await desk.refused()).code == "SMS_UNAVAILABLE"
    assert await pool.fetchval("select count(*) from otp") == 0


async def test_a_code_of_one_purpose_is_none_for_another(pool: Pool, clock: FakeClock) -> None:
    desk = Desk(pool, clock, OPEN)
    user_id = await pool.fetchval(
        "insert into users (id, email, name) values (gen_random_uuid(), 'a@b.org', 'A') "
        "returning id"
    )
    issued = await desk.otps.issue(PHONE, address="192.0.2.1", purpose="attach", user_id=user_id)
    assert issued.code is not None
    assert await desk.guess(issued.code) == "INVALID_OTP"
    await desk.otps.prove(
        PHONE, issued.code, address="192.0.2.1", purpose="attach", user_id=user_id
    )
