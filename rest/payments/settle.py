"""Settling: the one road by which anything a gateway says changes a payment and a wallet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from rest.payments.gateways.port import GatewayEvent, GatewayStatus
from storage import payments
from storage.payments import Finding, Payment
from storage.pool import Connection, Pool

DEADLINE_S = 4.0
# What settles nothing, and what comes of it.
UNSETTLED = {
    "open": "ignored",
    "mispaid": "mismatch",
    "refunded": "refunded",
    "disputed": "disputed",
    "refund_failed": "refund_failed",
}
# Money may have moved at the gateway that no account here shows.
LOUD = {"mismatch", "unknown", "refunded", "disputed", "refund_failed"}

_log = structlog.get_logger(__name__)


class Settler:
    def __init__(self, pool: Pool, *, kick: Callable[[], None]) -> None:
        """`kick` wakes the outbox relay of this node; it is called after each commit."""
        self._pool = pool
        self._kick = kick

    async def event(self, gateway: str, event: GatewayEvent) -> str:
        """Apply a webhook's event, however often and in whatever order events come.

        Returns when it is committed: the outcome, or `seen` for a repeated delivery, or `ignored`
        for an event that says nothing about money.
        """
        async with (
            asyncio.timeout(DEADLINE_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            fresh = await payments.record_event(
                conn, gateway=gateway, event_id=event.id, kind=event.kind
            )
            if not fresh:
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
        return outcome

    async def found(self, gateway: str, reference: str, status: GatewayStatus) -> Payment | None:
        """Apply the gateway's answer to our question, once. The payment as it is then."""
        async with (
            asyncio.timeout(DEADLINE_S),
            self._pool.acquire() as conn,
            conn.transaction(),
        ):
            payment, outcome = await self._apply(conn, gateway, reference, status)
        self._told(gateway, payment, outcome)
        return payment

    async def _apply(
        self, conn: Connection, gateway: str, reference: str, status: GatewayStatus
    ) -> tuple[Payment | None, str]:
        if status.found in ("paid", "failed", "cancelled"):
            finding = Finding(status.found, status.amount_minor, status.currency)
            return await payments.settle(
                conn, gateway=gateway, reference=reference, finding=finding
            )
        payment = await payments.find(conn, gateway, reference)
        if status.found == "refunded" and payment is not None and payment.status == "refunded":
            return payment, "unchanged"
        return payment, UNSETTLED[status.found]

    def _told(self, gateway: str, payment: Payment | None, outcome: str) -> None:
        if outcome == "completed":
            self._kick()
        elif outcome in LOUD:
            payment_id = None if payment is None else str(payment.id)
            _log.warning("payment_event_refused", gateway=gateway, payment=payment_id, why=outcome)
