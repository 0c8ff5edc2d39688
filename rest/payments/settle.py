"""Settling: the one road by which anything said about a payment changes it and a wallet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from rest.payments.gateways.port import GatewayEvent, GatewayStatus
from storage import payments, settlement
from storage.deadline import Deadline
from storage.payments import Payment
from storage.pool import Connection, Pool
from storage.selling import Sellers
from storage.settlement import Finding

# Gateway, what led to it ("webhook", "question" or "payer"), outcome; after the commit.
Observe = Callable[[str, str, str], None]

DEADLINE = Deadline(4.0)
# What settles nothing, and what comes of it.
UNSETTLED = {
    "open": "ignored",
    "mispaid": "mismatch",
    "disputed": "disputed",
    "refund_failed": "refund_failed",
}
# Money may have moved at the gateway that no account here shows: somebody must look at it.
LOUD = {"mismatch", "unknown", "flagged", "disputed", "refund_failed"}

_log = structlog.get_logger(__name__)


class Settler:
    def __init__(
        self,
        pool: Pool,
        *,
        kick: Callable[[], None],
        sellers: Sellers,
        observe: Observe = lambda *_: None,
    ) -> None:
        """`kick` wakes the outbox relay of this node; it is called after each commit."""
        self._pool = pool
        self.kick = kick
        self._sellers = sellers
        self._observe = observe

    async def event(self, gateway: str, event: GatewayEvent) -> str:
        """Apply a webhook's event, however often and in whatever order events come.

        Returns when it is committed: the outcome, or `seen` for a repeated delivery, or `ignored`
        for an event that says nothing about money.
        """
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            fresh = await payments.record_event(
                conn, gateway=gateway, event_id=event.id, kind=event.kind
            )
            if not fresh:
                self._observe(gateway, "webhook", "seen")
                return "seen"
            payment, outcome = await self._apply(conn, gateway, event.reference, event.status)
            await payments.close_event(
                conn,
                gateway=gateway,
                event_id=event.id,
                payment_id=None if payment is None else payment.id,
                outcome=outcome,
            )
        self._told(gateway, payment, outcome)
        self._observe(gateway, "webhook", outcome)
        return outcome

    async def found(self, gateway: str, reference: str, status: GatewayStatus) -> Payment | None:
        """Apply the gateway's answer to our question, once. The payment as it is then."""
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            payment, outcome = await self._apply(conn, gateway, reference, status)
        self._told(gateway, payment, outcome)
        self._observe(gateway, "question", outcome)
        return payment

    async def from_wallet(self, record: Callable[[Connection], Awaitable[Payment]]) -> Payment:
        """Pay out of the payer's own wallet, completed at once or not there at all.

        `record` makes the payment; it runs in the same transaction.

        Raises:
            InsufficientFunds: the wallet has less.
        """
        async with (
            DEADLINE(),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            made = await record(conn)
            payment, outcome = await settlement.settle(
                conn,
                gateway=settlement.FROM_WALLET,
                reference=made.reference,
                finding=Finding("paid", made.amount_minor, made.currency),
                sellers=self._sellers,
            )
            assert payment is not None
        self._told(settlement.FROM_WALLET, payment, outcome)
        self._observe(settlement.FROM_WALLET, "payer", outcome)
        return payment

    async def _apply(
        self, conn: Connection, gateway: str, reference: str, status: GatewayStatus
    ) -> tuple[Payment | None, str]:
        match status.found:
            case "paid" | "failed" | "cancelled" | "refunded":
                return await settlement.settle(
                    conn,
                    gateway=gateway,
                    reference=reference,
                    finding=Finding(status.found, status.amount_minor, status.currency),
                    sellers=self._sellers,
                )
            case _:
                payment = await payments.find(conn, gateway, reference)
                return payment, UNSETTLED[status.found]

    def _told(self, gateway: str, payment: Payment | None, outcome: str) -> None:
        if outcome in ("completed", "failed", "refunded"):
            self.kick()
        elif outcome in LOUD:
            payment_id = None if payment is None else str(payment.id)
            _log.warning("payment_event_refused", gateway=gateway, payment=payment_id, why=outcome)
