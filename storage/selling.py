"""The port to what is sold besides top-ups: quotes, orders, subscriptions, each by its own domain.

The buyer pays into an account of the house that keeps the money of one purpose; what becomes of
it from there on is the seller's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol
from uuid import UUID

import msgspec

from storage.payments import Payment
from storage.pool import Connection


class Price(msgspec.Struct, frozen=True):
    """`amount_minor` is 1 or more."""

    amount_minor: int
    currency: str


class Seller(Protocol):
    """Every method runs in the transaction of the payment; what it raises undoes all of it.

    Locks are taken in this order: the payment, the target, accounts.
    """

    async def price(self, conn: Connection, user_id: UUID, target_id: UUID) -> Price | None:
        """What this user has to pay for the target, or None if it is not sold to them (any more).

        Asked when the payment begins and again when the money is there: it must lock the target,
        so that the answer holds until the transaction ends.
        """
        ...

    async def paid(self, conn: Connection, payment: Payment) -> None:
        """The money is in the account of `storage.settlement.escrow_account`: deliver."""
        ...

    async def refunded(self, conn: Connection, payment: Payment) -> None:
        """Take back what `paid` did, so that the money is where `paid` found it.

        Raises:
            Conflict: it is too late for that; then there is no refund.
        """
        ...


# By purpose; what nobody sells cannot be bought.
Sellers = Mapping[str, Seller]
