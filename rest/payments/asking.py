"""Questions to gateways about payments: when their owners ask, and when no webhook has come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import structlog

from rest.payments.gateways.port import Gateway, GatewayDown, GatewayRefused
from rest.payments.opening import GATEWAY_DEADLINE, GATEWAY_UNAVAILABLE
from rest.payments.settle import Settler
from storage import payments
from storage.deadline import Deadline
from storage.payments import Payment
from storage.pool import Pool

DEADLINE = Deadline(4.0)
AT_ONCE = 20

_log = structlog.get_logger(__name__)


class Asker:
    def __init__(self, pool: Pool, gateways: Iterable[Gateway], settler: Settler) -> None:
        self._pool = pool
        self._gateways = {gateway.name: gateway for gateway in gateways}
        self._settler = settler

    async def ask(self, payment: Payment) -> Payment:
        """The payment after its gateway was asked, and what it said was settled.

        Raises:
            Problem: 503 GATEWAY_UNAVAILABLE.
        """
        gateway = self._gateways.get(payment.gateway)
        settled = payment.status in ("completed", "refunded")
        if settled or gateway is None or payment.gateway_ref is None:
            return payment
        try:
            async with GATEWAY_DEADLINE():
                status = await gateway.query(payment.gateway_ref)
        except (GatewayDown, GatewayRefused, TimeoutError):
            raise GATEWAY_UNAVAILABLE.problem() from None
        found = await self._settler.found(payment.gateway, payment.reference, status)
        return found or payment

    async def ask_due(self) -> bool:
        """Ask about payments that nobody has told anything of; whether more of them are due.

        A payment is due 2 minutes after it was opened, then each time its age has doubled, for a
        week. What cannot be asked now is due again then.
        """
        async with DEADLINE(), self._pool.acquire() as conn:
            due = await payments.take_due(conn, limit=AT_ONCE)
        for payment, answer in zip(
            due,
            await asyncio.gather(*(self.ask(each) for each in due), return_exceptions=True),
            strict=True,
        ):
            if isinstance(answer, BaseException):
                _log.warning(
                    "payment_not_asked",
                    payment=str(payment.id),
                    gateway=payment.gateway,
                    why=type(answer).__name__,
                )
        return len(due) == AT_ONCE
