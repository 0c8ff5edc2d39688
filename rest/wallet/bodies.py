"""Shapes of the wallet's answers. Amounts are integers in the currency's smallest unit."""

from datetime import datetime
from uuid import UUID

from rest.http.pages import Page
from signalling.events import Shape


class BalanceView(Shape, frozen=True):
    """`balance` is what the wallet holds, `available` what may be spent, `held` what running
    calls have set aside; all with the bonus. Calls spend the bonus first: `bonus` is left of it,
    and some of that expires at `bonusExpiresAt`. True at `updatedAt`."""

    user_id: UUID
    balance: int
    available: int
    held: int
    bonus: int
    bonus_expires_at: datetime | None
    currency: str
    updated_at: datetime


class WalletView(Shape, frozen=True):
    id: UUID
    type: str
    balance: int
    available: int
    held: int
    currency: str
    created_at: datetime


class WalletList(Shape, frozen=True):
    items: list[WalletView]


class WalletAnswer(Shape, frozen=True):
    wallet: WalletView


class EntryView(Shape, frozen=True):
    """One operation on the wallet: `amount` is positive for money in. `ref` is the call or payment
    it belongs to, by `kind`."""

    id: UUID
    kind: str
    amount: int
    direction: str
    currency: str
    ref: UUID | None
    at: datetime


class EntryList(Page, frozen=True):
    wallet_id: UUID
    items: list[EntryView]
