"""The server with its sandbox: payments, checkout pages, and webhooks over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from rest.http.signature import sign
from rest.payments.gateways.sandbox import SIGNATURE_HEADER, SandboxGateway
from rest.payments.settle import Settler
from storage import ledger, wallet
from storage.ids import new_id
from storage.selling import Seller
from tests.rest.harness import CURRENCY, Answer, FakeClock, Person, Rest

# Of the stock: 1000 points and 100 as a bonus, for 1000.
PLAN = "01970000-0000-7000-8000-000000001000"
SECRET = b"the sandbox's secret, 32 bytes or more"


@dataclass(slots=True)
class Kicks:
    """Counts how often the relay was woken."""

    count: int = 0

    def __call__(self) -> None:
        self.count += 1


@dataclass(slots=True)
class Place:
    """Where the sandbox believes the server to be."""

    url: str = ""


@dataclass(slots=True)
class Shop:
    rest: Rest
    gateway: SandboxGateway
    settler: Settler
    clock: FakeClock
    kicks: Kicks = field(default_factory=Kicks)
    place: Place = field(default_factory=Place)
    sellers: dict[str, Seller] = field(default_factory=dict)

    async def order(self, person: Person, amount: int = 1000, **more: object) -> dict[str, str]:
        """A new payment as its owner sees it."""
        body = {"amount": amount, "method": "sandbox"} | more
        answer = await self.rest.call("POST", "/payments", by=person, json=body, status=201)
        payment: dict[str, str] = answer.body["payment"]
        return payment

    def event(
        self,
        reference: str,
        *,
        kind: str = "payment.paid",
        amount: int = 1000,
        currency: str = CURRENCY,
        event_id: str | None = None,
    ) -> bytes:
        return msgspec.json.encode(
            {
                "id": event_id or f"evt_{new_id()}",
                "type": kind,
                "reference": reference,
                "amount": amount,
                "currency": currency,
            }
        )

    def signed(self, raw: bytes, *, secret: bytes = SECRET, late_s: int = 0) -> dict[str, str]:
        at_s = self.clock() // 1000 + late_s
        return {SIGNATURE_HEADER: sign(secret, raw, at_s), "X-Payment-Provider": "sandbox"}

    async def deliver(self, raw: bytes, headers: dict[str, str] | None = None) -> Answer:
        sent = self.signed(raw) if headers is None else headers
        return await self.rest.call("POST", "/payments/webhook", raw=raw, headers=sent)

    async def bought(self, person: Person, amount: int = 1000, **more: object) -> dict[str, str]:
        """A payment that its gateway has told to be paid."""
        payment = await self.order(person, amount, **more)
        answer = await self.deliver(self.event(payment["reference"], amount=amount))
        assert answer.body["outcome"] == "completed"
        return payment

    async def pay(self, person: Person, amount: int, **more: object) -> Answer:
        """An order that the person's own primary wallet pays."""
        body = {"amount": amount, "method": "wallet"} | more
        return await self.rest.call("POST", "/payments", by=person, json=body)

    async def charge(
        self, person: Person, plan_id: str, payment_id: str, amount: int = 1000
    ) -> Answer:
        body = {"planId": plan_id, "paymentId": payment_id, "amount": amount}
        return await self.rest.call("POST", "/wallet/charge", by=person, json=body)

    async def refund(self, admin: Person, payment_id: str) -> Answer:
        path, body = f"/payments/{payment_id}/refund", {"reason": "paid twice"}
        return await self.rest.call("POST", path, by=admin, json=body)

    async def balance(self, person: Person, kind: str = "call_credits") -> int:
        """What stands in one of the person's accounts."""
        async with self.rest.pool.acquire() as conn:
            account = await wallet.account_of(conn, person.id, kind, CURRENCY)
            found: int | None = await conn.fetchval(
                "select posted from account where id = $1", account
            )
        return found or 0

    async def spend(self, person: Person, amount: int) -> None:
        """As a call would."""
        async with self.rest.pool.acquire() as conn, conn.transaction():
            account = await wallet.spending_account(conn, person.id, CURRENCY)
            assert account is not None
            promo = await ledger.system_account(conn, "promo", "", CURRENCY)
            move = ledger.Move(account, promo, amount, "spent")
            await ledger.post(conn, key=f"spend:{new_id()}", kind="spend", moves=[move])

    async def counts(self, query: str, *args: object) -> int:
        async with self.rest.pool.acquire() as conn:
            found: int = await conn.fetchval(query, *args)
        return found

    async def status(self, person: Person, payment_id: str) -> str:
        answer = await self.rest.call("GET", f"/payments/{payment_id}", by=person, status=200)
        return str(answer.body["payment"]["status"])

    async def events(self) -> int:
        async with self.rest.pool.acquire() as conn:
            counted: int = await conn.fetchval("select count(*) from psp_event")
        return counted

    async def topups(self, payment_id: str) -> int:
        async with self.rest.pool.acquire() as conn:
            counted: int = await conn.fetchval(
                "select count(*) from operation where ref = $1", UUID(payment_id)
            )
        return counted
