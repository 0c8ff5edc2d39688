"""Issuing and proving one-time codes, whatever they are for, and what keeps both within bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple
from uuid import UUID

import msgspec

from rest.auth.codes import CodeKey
from rest.auth.sms import jobs as sms_jobs
from rest.http import phones
from rest.http.errors import Fault, Problem
from storage import otp, quotas
from storage.otp import Otp, Purpose
from storage.pool import Connection, Pool, within
from storage.quotas import Quota

DB_S = 4.0
TRIES = 3
MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
# Numbers that differ in these last digits only are one block: pumping goes through it in order.
BLOCK_DIGITS = 4

INVALID_PHONE = Fault(400, "INVALID_PHONE", "This is no phone number.")
PHONE_NOT_SUPPORTED = Fault(400, "PHONE_NOT_SUPPORTED", "No messages are sent to such numbers.")
# One answer for a wrong, an expired, a used and an absent code. How many tries are left is not
# said: it would tell a stranger that somebody is logging in with this number now.
INVALID_OTP = Fault(400, "INVALID_OTP", "The code is wrong or has expired.")
SMS_UNAVAILABLE = Fault(503, "SMS_UNAVAILABLE", "No messages are sent at this time.")
TOO_MANY = Fault(429, "RATE_LIMITED", "Too many tries; wait a little.")
# What a route that issues codes lists in its `errors`; and one that proves them.
SEND_ERRORS = (INVALID_PHONE, PHONE_NOT_SUPPORTED, SMS_UNAVAILABLE)
VERIFY_ERRORS = (INVALID_PHONE, INVALID_OTP)


class OtpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Counts are per window; the hours' and the day's windows begin with their first use.

    `countries` are two-letter codes; empty means all. With `echo` the answer has the code in it.
    """

    region: str | None = None
    countries: frozenset[str] = frozenset()
    sending: bool = True
    echo: bool = False
    ttl_s: int = 120
    # 0: as soon as the limits below allow it.
    resend_s: int = 0
    # Sends in 60 s, by phone and by address.
    minute_max: int = 5
    phone_day_max: int = 10
    address_hour_max: int = 10
    block_hour_max: int = 15
    # Of the whole deployment: what an attack can cost at most.
    day_max: int = 1_000
    # Wrong codes from one address.
    failures_hour_max: int = 30


class Issued(NamedTuple):
    ttl_s: int
    # Only where codes are echoed.
    code: str | None


class Otps:
    """Its limits are counted in the database: without it, nothing is sent and nothing proved."""

    def __init__(
        self, pool: Pool, key: CodeKey, *, clock: Callable[[], int], settings: OtpSettings
    ) -> None:
        """`clock` gives Unix ms."""
        self._pool = pool
        self._key = key
        self._clock = clock
        self._settings = settings

    def phone(self, text: str) -> str:
        """The number as E.164.

        Raises:
            Problem: 400 INVALID_PHONE.
        """
        found = phones.e164(text, self._settings.region)
        if found is None:
            raise INVALID_PHONE.problem(field="phone")
        return found

    async def issue(
        self, phone: str, *, address: str, purpose: Purpose, user_id: UUID | None = None
    ) -> Issued:
        """Make a code in place of the one before it, and promise to send it.

        It is the same for numbers with and without an account.

        Raises:
            Problem: 400 PHONE_NOT_SUPPORTED, 429 RATE_LIMITED, 503 SMS_UNAVAILABLE.
        """
        settings = self._settings
        if not settings.sending:
            raise SMS_UNAVAILABLE.problem()
        region = phones.texting_region(phone)
        if region is None or (settings.countries and region not in settings.countries):
            raise PHONE_NOT_SUPPORTED.problem(field="phone")
        issued = await within(DB_S, self._issue(phone, address, purpose, user_id))
        return Issued(settings.ttl_s, self._key.code_of(issued) if settings.echo else None)

    async def _issue(self, phone: str, address: str, purpose: Purpose, user_id: UUID | None) -> Otp:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            # A refusal takes back what the quotas before it have counted.
            for quota in self._quotas(phone, address):
                await self._take(conn, quota)
            issued = await otp.replace(
                conn,
                phone=phone,
                purpose=purpose,
                user_id=user_id,
                tries=TRIES,
                ttl_ms=self._settings.ttl_s * 1000,
                now_ms=self._clock(),
            )
            await sms_jobs.promise(conn, issued)
            # Last, as all sends of the deployment wait here for each other.
            await self._take(
                conn, Quota("otp all", self._settings.day_max, DAY_MS), SMS_UNAVAILABLE
            )
            return issued

    def _quotas(self, phone: str, address: str) -> Iterator[Quota]:
        """Always in this order, so that no two transactions wait for each other."""
        settings = self._settings
        yield Quota(f"otp address minute {address}", settings.minute_max, MINUTE_MS)
        yield Quota(f"otp address hour {address}", settings.address_hour_max, HOUR_MS)
        block = phone[:-BLOCK_DIGITS]
        yield Quota(f"otp block hour {block}", settings.block_hour_max, HOUR_MS)
        if settings.resend_s:
            yield Quota(f"otp phone resend {phone}", 1, settings.resend_s * 1000)
        yield Quota(f"otp phone minute {phone}", settings.minute_max, MINUTE_MS)
        yield Quota(f"otp phone day {phone}", settings.phone_day_max, DAY_MS)

    async def prove(
        self,
        phone: str,
        code: str,
        *,
        address: str,
        purpose: Purpose,
        user_id: UUID | None = None,
    ) -> None:
        """Return if the code is right; from then on it is used up.

        The try is counted, and committed, before the code is compared: however many guess at
        once, three are compared.

        Raises:
            Problem: 400 INVALID_OTP, 429 RATE_LIMITED.
        """
        failures = Quota(f"otp failures {address}", self._settings.failures_hour_max, HOUR_MS)
        found = await within(DB_S, self._take_try(failures, phone, purpose, user_id))
        if found is None or not self._key.matches(found, code):
            raise INVALID_OTP.problem()
        if not await within(DB_S, self._burn(found.id, failures)):
            raise INVALID_OTP.problem()

    async def _take_try(
        self, failures: Quota, phone: str, purpose: Purpose, user_id: UUID | None
    ) -> Otp | None:
        # One commit, with and without a code, so that the time tells nothing.
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            await self._take(conn, failures)
            return await otp.take_try(
                conn, phone=phone, purpose=purpose, user_id=user_id, now_ms=self._clock()
            )

    async def _burn(self, otp_id: UUID, failures: Quota) -> bool:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            # In the order of `_take_try`, or the two might wait for each other.
            await quotas.lock(conn, failures.key)
            burned = await otp.burn(conn, otp_id)
            if burned:
                await quotas.give_back(conn, failures.key)
            return burned

    async def _take(self, conn: Connection, quota: Quota, fault: Fault = TOO_MANY) -> None:
        wait_ms = await quotas.take(conn, quota, self._clock())
        if wait_ms > 0:
            raise Problem(fault.status, fault.code, fault.message, retry_after_ms=wait_ms)
