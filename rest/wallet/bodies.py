"""Shapes of the wallet's answers. Amounts are integers in the currency's smallest unit."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.pages import Page, PageQuery, Sort, SpanQuery
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


class EntryQuery(SpanQuery, frozen=True):
    """`kind` is an operation's, as the entries name it; `direction` as the owner sees it."""

    CODES: ClassVar[dict[str, str]] = {
        **SpanQuery.CODES,
        "kind": "INVALID_FILTER",
        "direction": "INVALID_FILTER",
    }

    kind: Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")] | None = None
    direction: Literal["credit", "debit"] | None = None


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


class UsageQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "sort": "INVALID_SORT",
        "otomoId": "INVALID_FILTER",
    }

    sort: Sort = "newest"
    otomo_id: UUID | None = None


class UsageView(Shape, frozen=True):
    """What one ended call cost its caller. `durationMinutes` is rounded up. `refundedPoints` of
    `usedPoints` came back. `createdAt` is when the call ended."""

    usage_id: UUID
    call_id: UUID
    otomo_id: UUID
    otomo_name: str
    used_points: int
    refunded_points: int
    duration_minutes: int
    duration_seconds: int
    created_at: datetime


class UsageList(Page, frozen=True):
    items: list[UsageView]
