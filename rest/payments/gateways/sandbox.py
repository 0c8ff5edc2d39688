"""A payment company for development: it plays the other side and collects no money.

It keeps its own books in memory and tells us of a payment as a real one would: a signed webhook
over HTTP. What it forgets at a restart it learns again from the order itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Literal
from uuid import uuid4

import aiohttp
import msgspec
from msgspec import Meta

from rest.http.signature import Forged, check, sign
from rest.payments.gateways.port import (
    Checkout,
    Found,
    GatewayDown,
    GatewayEvent,
    GatewayStatus,
    Order,
)
from storage import payments
from storage.pool import Pool

SIGNATURE_HEADER = "X-Sandbox-Signature"
TRIES = 3
TRY_DEADLINE_S = 3.0
BETWEEN_TRIES_S = 0.2
ORDERS_MAX = 10_000


Kind = Literal["payment.paid", "payment.failed"]


class _Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of its webhooks."""

    id: Annotated[str, Meta(min_length=1, max_length=200)]
    type: Kind
    reference: Annotated[str, Meta(min_length=1, max_length=100)]
    amount: Annotated[int, Meta(ge=1, le=10**12)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode
_FOUND: dict[Kind, Found] = {"payment.paid": "paid", "payment.failed": "failed"}


class Deposit(msgspec.Struct, frozen=True):
    """An order as the sandbox's own books have it."""

    order: Order
    found: Found = "open"


Lookup = Callable[[str], Awaitable[Deposit | None]]


class SandboxGateway:
    """`public_url` gives the base URL of the server, which may be known only once it listens.

    `lookup` finds an order by its reference after a restart; `clock` gives Unix ms. The first of
    `secrets` signs; each of them is accepted.
    """

    name = "sandbox"
    signature_header = SIGNATURE_HEADER

    def __init__(
        self,
        secrets: Sequence[bytes],
        public_url: Callable[[], str],
        *,
        lookup: Lookup,
        clock: Callable[[], int],
        between_tries_s: float = BETWEEN_TRIES_S,
    ) -> None:
        self._secrets = tuple(secrets)
        self._public_url = public_url
        self._lookup = lookup
        self._clock = clock
        self._between_tries_s = between_tries_s
        self._deposits: dict[str, Deposit] = {}
        self.refunds: dict[str, tuple[str, int, str]] = {}
        self._session: aiohttp.ClientSession | None = None

    async def create(self, order: Order) -> Checkout:
        if order.reference not in self._deposits:
            self._remember(Deposit(order))
        url = f"{self._public_url().rstrip('/')}/sandbox/checkout/{order.reference}"
        return Checkout(f"sbx_{order.reference}", url)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, now_s: int) -> GatewayEvent:
        check(self._secrets, headers.get(self.signature_header), raw, now_s)
        try:
            event = _decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Forged from None
        if "\0" in event.id + event.reference:
            raise Forged
        status = GatewayStatus(_FOUND[event.type], event.amount, event.currency)
        return GatewayEvent(event.id, event.type, event.reference, status)

    async def confirm(self, event: GatewayEvent) -> GatewayEvent:
        return event  # It is signed with its time, and says all.

    async def query(self, ref: str) -> GatewayStatus:
        deposit = await self.deposit(ref.removeprefix("sbx_"))
        if deposit is None:
            raise GatewayDown(f"the sandbox has no order {ref}")
        return GatewayStatus(deposit.found, deposit.order.amount_minor, deposit.order.currency)

    async def refund(self, ref: str, amount_minor: int, currency: str, key: str) -> None:
        """No money goes anywhere; `refunds` remembers by key what was asked for."""
        if key not in self.refunds:
            while len(self.refunds) >= ORDERS_MAX:
                del self.refunds[next(iter(self.refunds))]
            self.refunds[key] = (ref, amount_minor, currency)

    async def deposit(self, reference: str) -> Deposit | None:
        """The order at the sandbox's own counter, learnt again if it was forgotten."""
        found = self._deposits.get(reference)
        if found is None:
            found = await self._lookup(reference)
            if found is not None:
                self._remember(found)
        return found

    async def pay(self, reference: str, *, paid: bool) -> bool:
        """The payer pressed a button: note it and tell the server, in at most three tries.

        A paid order stays paid. False when the server could not be told; it can still ask.
        """
        deposit = await self.deposit(reference)
        assert deposit is not None, "pages look the order up first"
        if deposit.found != "paid":
            deposit = Deposit(deposit.order, "paid" if paid else "failed")
            self._remember(deposit)
        kind: Kind = "payment.paid" if deposit.found == "paid" else "payment.failed"
        order = deposit.order
        event = _Event(f"evt_{uuid4().hex}", kind, reference, order.amount_minor, order.currency)
        return await self._deliver(_encode(event))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _remember(self, deposit: Deposit) -> None:
        self._deposits.pop(deposit.order.reference, None)
        while len(self._deposits) >= ORDERS_MAX:
            del self._deposits[next(iter(self._deposits))]
        self._deposits[deposit.order.reference] = deposit

    async def _deliver(self, raw: bytes) -> bool:
        url = f"{self._public_url().rstrip('/')}/payments/webhook"
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=TRY_DEADLINE_S)
            self._session = aiohttp.ClientSession(timeout=timeout)
        for attempt in range(TRIES):
            if attempt:
                await asyncio.sleep(self._between_tries_s * 2**attempt)
            headers = {
                SIGNATURE_HEADER: sign(self._secrets[0], raw, self._clock() // 1000),
                "X-Payment-Provider": self.name,
                "Content-Type": "application/json",
            }
            try:
                async with self._session.post(
                    url, data=raw, headers=headers, allow_redirects=False
                ) as answer:
                    if answer.status == 200:
                        return True
            except (aiohttp.ClientError, TimeoutError):
                continue
        return False


def lookup_in(pool: Pool) -> Lookup:
    """How the sandbox learns an order again: from our payments, by reference."""

    async def lookup(reference: str) -> Deposit | None:
        async with asyncio.timeout(TRY_DEADLINE_S), pool.acquire() as conn:
            payment = await payments.find(conn, SandboxGateway.name, reference)
        if payment is None:
            return None
        order = Order(
            payment.id,
            payment.reference,
            payment.amount_minor,
            payment.currency,
            payment.description,
        )
        return Deposit(order, "paid" if payment.status == "completed" else "open")

    return lookup
