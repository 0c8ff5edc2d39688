"""The gateway's part of a refund: a job, promised with the ledger's part and done after it."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

import structlog

from rest.payments.gateways.port import Gateway
from storage import payments
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)
GATEWAY_DEADLINE = Deadline(15.0)

_log = structlog.get_logger(__name__)


class NotGivenBack(Exception):
    """It is refunded here, and the payer has not got the money yet; the message says why."""


class RefundJobs:
    def __init__(self, pool: Pool, gateways: Iterable[Gateway]) -> None:
        self._pool = pool
        self._gateways = {gateway.name: gateway for gateway in gateways}

    async def refund(self, payload: dict[str, object]) -> None:
        """The handler of `settlement.REFUND_JOB`; safe to repeat.

        Raises:
            NotGivenBack, GatewayDown, GatewayRefused, TimeoutError: the payer has not got it yet.
        """
        payment_id = UUID(str(payload["paymentId"]))
        async with DEADLINE(), self._pool.acquire() as conn:
            payment = await payments.read_any(conn, payment_id)
        if payment is None or payment.status != "refunded":
            raise NotGivenBack(f"payment {payment_id} is not refunded here")
        gateway = self._gateways.get(payment.gateway)
        if gateway is None or payment.gateway_ref is None:
            raise NotGivenBack(f"payment {payment_id}: {payment.gateway} cannot be asked")
        async with GATEWAY_DEADLINE():
            await gateway.refund(
                payment.gateway_ref,
                payment.amount_minor,
                payment.currency,
                f"refund:{payment.id}",
            )
        _log.info("payment_given_back", payment=str(payment.id), gateway=payment.gateway)
