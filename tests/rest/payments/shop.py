"""The server with its sandbox: payments, checkout pages, and webhooks over real HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import msgspec

from rest.http.signature import sign
from rest.payments.gateways.sandbox import SIGNATURE_HEADER, SandboxGateway
from rest.payments.settle import Settler
from storage import wallet
from storage.ids import new_id
from tests.rest.harness import CURRENCY, Answer, FakeClock, Person, Rest

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

    async def order(self, person: Person, amount: int = 1000) -> dict[str, str]:
        """A new payment as its owner sees it."""
        body = {"amount": amount, "method": "sandbox"}
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

    async def balance(self, person: Person) -> int:
        async with self.rest.pool.acquire() as conn:
            found = await wallet.read_balance(conn, person.id, CURRENCY)
        assert found is not None
        return found.available_minor

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
