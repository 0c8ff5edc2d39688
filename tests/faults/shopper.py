"""People whose money moves all the time over REST, who ask again until there is an answer."""

import asyncio
import itertools
import time
from collections.abc import Callable
from random import Random
from uuid import uuid4

import aiohttp

from signalling.client.envelope import Json
from tests.faults.people import Person

AMOUNT_MINOR = 500
MOVED_MINOR = 7
PAYOUT_MINOR = 1_000
ANSWER_MAX_S = 150.0
PAUSE_S = 0.5
ASK_AFTER = 8
TIMEOUT = aiohttp.ClientTimeout(total=8)


class Shopper:
    """`paid` are the payments of which it was told that they are completed.

    `keys` counts what it asked a gateway for, `moves` what it asked to move from its own wallet,
    and `moved` is what it was told has moved. `earner` takes earnings out: `outs` times asked for,
    `taken` told.
    """

    def __init__(
        self,
        url: str,
        person: Person,
        earner: Person,
        fault: Callable[[str], None],
        dice: Random,
    ) -> None:
        self.person = person
        self.earner = earner
        self.taken: set[str] = set()
        self.outs = 0
        self.paid: set[str] = set()
        self.moved: set[str] = set()
        self.keys = 0
        self.moves = 0
        self.closing = False
        self._url = url
        self._fault = fault
        self._dice = dice

    async def live(self, http: aiohttp.ClientSession) -> None:
        while not self.closing:
            kind = self._dice.random()
            if kind < 0.4:
                await self._top_up(http)
            elif kind < 0.7:
                await self._move(http)
            else:
                await self._take_out(http)
            await asyncio.sleep(self._dice.uniform(0, 2 * PAUSE_S))

    async def _move(self, http: aiohttp.ClientSession) -> None:
        """From the primary wallet to the one for calls, at once."""
        self.moves += 1
        body = {"amount": MOVED_MINOR, "method": "wallet", "purpose": "topup"}
        made = await self._until(http, "POST", f"{self._url}/payments", body, key=uuid4().hex)
        if made is not None:
            self.moved.add(made["payment"]["id"])

    async def _take_out(self, http: aiohttp.ClientSession) -> None:
        self.outs += 1
        url = f"{self._url}/wallet/payouts"
        body = {"amount": PAYOUT_MINOR, "destination": "IBAN XX00 0000 0000"}
        made = await self._until(http, "POST", url, body, key=uuid4().hex, who=self.earner)
        if made is not None and "payout" in made:
            self.taken.add(made["payout"]["id"])
        elif made is not None:
            self._fault(f"a payout was refused: {made.get('error')}")

    async def _top_up(self, http: aiohttp.ClientSession) -> None:
        self.keys += 1
        body = {"amount": AMOUNT_MINOR, "method": "sandbox", "purpose": "topup"}
        made = await self._until(http, "POST", f"{self._url}/payments", body, key=uuid4().hex)
        if made is None:
            return
        payment = made["payment"]
        checkout = f"{self._url}/sandbox/checkout/{payment['checkoutUrl'].rpartition('/')[2]}"
        if await self._until(http, "POST", checkout, {"outcome": "pay"}) is None:
            return
        give_up_s = time.monotonic() + ANSWER_MAX_S
        verify = f"{self._url}/payments/verify/{payment['reference']}"
        for number in itertools.count():
            if time.monotonic() > give_up_s:
                break
            # An app looks, and when that does not help has the gateway asked.
            if number < ASK_AFTER:
                url = f"{self._url}/payments/{payment['id']}"
                found = await self._until(http, "GET", url, None)
            else:
                found = await self._until(http, "POST", verify, {})
            if found is None:
                return
            if found["payment"]["status"] == "completed":
                self.paid.add(payment["id"])
                return
            await asyncio.sleep(PAUSE_S)
        self._fault(f"payment {payment['id']} was paid and is not completed")

    async def _until(
        self,
        http: aiohttp.ClientSession,
        method: str,
        url: str,
        body: Json | None,
        *,
        key: str | None = None,
        who: Person | None = None,
    ) -> Json | None:
        """The answer, however often it takes; None when there is none for very long."""
        headers = {"Authorization": f"Bearer {(who or self.person).token()}"}
        if key is not None:
            headers["Idempotency-Key"] = key
        give_up_s = time.monotonic() + ANSWER_MAX_S
        said = ""
        while time.monotonic() < give_up_s:
            try:
                async with http.request(
                    method, url, json=body, headers=headers, timeout=TIMEOUT
                ) as answer:
                    found: Json = await answer.json()
                    if answer.status < 400 or (
                        answer.status == 409 and "IN_PROGRESS" not in str(found.get("error"))
                    ):
                        return found
                    said = f"{answer.status} {found.get('error')}"
                    if answer.status not in (404, 408, 409, 425, 429, 500, 502, 503, 504):
                        break
                    if answer.status == 500:
                        self._fault(f"{method} {url}: 500, {found.get('requestId')}")
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as fault:
                said = f"{type(fault).__name__}: {fault}"
            await asyncio.sleep(PAUSE_S)
        self._fault(f"{method} {url.partition('//')[2].partition('/')[2]}: {said}")
        return None
