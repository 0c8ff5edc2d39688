"""Shapes of payments and plans. Amounts are integers in the currency's smallest unit."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from rest.http.body import Body, Query
from rest.http.pages import Page, PageQuery
from signalling.events import Shape
from storage.payments import Status

AMOUNT_MAX = 1_000_000_000

Amount = Annotated[int, Meta(ge=1, le=AMOUNT_MAX)]
Points = Annotated[int, Meta(ge=1, le=2 * AMOUNT_MAX)]
Bonus = Annotated[int, Meta(ge=0, le=AMOUNT_MAX)]
Days = Annotated[int, Meta(ge=1, le=3_650)]
Title = Annotated[str, Meta(min_length=1, max_length=60)]
Sort = Annotated[int, Meta(ge=-1_000, le=1_000)]
Description = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(min_length=3, max_length=200)]


class PaymentBody(Body, frozen=True):
    """`method` names a gateway, or is `wallet`: at once, out of the caller's primary wallet.

    A top-up fills `wallet` (call_credits if left out) with `amount`, or is for a plan. The other
    purposes name what is bought, `targetId`. What has a price of its own needs no `amount`; one
    that is given must be that price. `currency` may be left out.
    """

    CODES: ClassVar[dict[str, str]] = {
        "amount": "INVALID_AMOUNT",
        "method": "INVALID_METHOD",
        "purpose": "INVALID_PURPOSE",
        "targetId": "INVALID_TARGET_ID",
        "planId": "INVALID_PLAN_ID",
        "wallet": "INVALID_WALLET",
    }

    method: Annotated[str, Meta(min_length=1, max_length=20)]
    amount: Amount | UnsetType = UNSET
    purpose: Literal["topup", "quote", "order", "subscription"] = "topup"
    target_id: UUID | None = None
    plan_id: UUID | None = None
    wallet: Literal["call_credits", "primary"] | None = None
    description: Description | None = None
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")] | None = None


class RefundBody(Body, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"reason": "INVALID_REASON"}

    reason: Reason


class WebhookQuery(Query, frozen=True):
    provider: Annotated[str, Meta(min_length=1, max_length=20)] | None = None


class PaymentView(Shape, frozen=True):
    """A failed payment can still be completed at its checkout. `wallet` is the one it fills: null
    while it is for `targetId`, `primary` when the money came too late for that."""

    id: UUID
    reference: str
    amount: int
    currency: str
    status: Status
    method: str
    purpose: str
    target_id: UUID | None
    plan_id: UUID | None
    wallet: str | None
    description: str | None
    checkout_url: str | None
    created_at: datetime
    completed_at: datetime | None


class PaymentAnswer(Shape, frozen=True):
    payment: PaymentView


class PaymentOpened(Shape, frozen=True):
    """Where to pay: at `payment.checkoutUrl`, or in the app with the gateway's own library.

    `clientSecret` is for the payer's device alone, and is never shown again.
    """

    payment: PaymentView
    client_secret: str | None
    publishable_key: str | None


class PaymentList(Page, frozen=True):
    items: list[PaymentView]


class WebhookAnswer(Shape, frozen=True):
    """`outcome`: completed, failed, cancelled, unchanged, mismatch, refunded, flagged (refunded
    there, and here it could not be), disputed, refund_failed, unknown, ignored or seen."""

    outcome: str


PLAN_CODES = {
    "title": "INVALID_TITLE",
    "price": "INVALID_PRICE",
    "points": "INVALID_POINTS",
    "bonusPoints": "INVALID_BONUS",
    "bonusDays": "INVALID_BONUS",
}


class PlanBody(Body, frozen=True):
    """`points` are what comes into the wallet, at least the price; `bonusPoints` come on top and
    end after `bonusDays`."""

    CODES: ClassVar[dict[str, str]] = PLAN_CODES

    title: Title
    price: Amount
    points: Points
    bonus_points: Bonus = 0
    bonus_days: Days = 180
    description: Description | None = None
    sort: Sort = 0


class PlanChange(Body, frozen=True):
    """Only what changes. Top-ups that were ordered before keep their terms."""

    CODES: ClassVar[dict[str, str]] = PLAN_CODES

    title: Title | UnsetType = UNSET
    price: Amount | UnsetType = UNSET
    points: Points | UnsetType = UNSET
    bonus_points: Bonus | UnsetType = UNSET
    bonus_days: Days | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    sort: Sort | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class PlanView(Shape, frozen=True):
    plan_id: UUID
    title: str
    price: int
    points: int
    bonus_points: int
    bonus_days: int
    description: str | None
    currency: str


class PlanList(Shape, frozen=True):
    items: list[PlanView]


class PlanAnswer(Shape, frozen=True):
    plan: PlanView
    active: bool


class ChargeBody(Body, frozen=True):
    """`amount` is the plan's price, and what the payment was about."""

    CODES: ClassVar[dict[str, str]] = {
        "planId": "INVALID_PLAN_ID",
        "paymentId": "INVALID_PAYMENT_ID",
        "amount": "INVALID_AMOUNT",
    }

    plan_id: UUID
    payment_id: UUID
    amount: Amount


class ChargeAnswer(Shape, frozen=True):
    """`chargedPoints` is all that the plan gives, with its bonus and the amount that was paid.
    `balance` is what the wallet holds then, bonus included."""

    user_id: UUID
    charged_points: int
    balance: int
    plan_id: UUID
    payment_id: UUID


class PurchaseQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {**PageQuery.CODES, "sort": "INVALID_SORT"}

    sort: Literal["newest", "oldest"] = "newest"


class PurchaseView(Shape, frozen=True):
    """`planId` and `planTitle` are null for a top-up without a plan."""

    history_id: UUID
    plan_id: UUID | None
    plan_title: str | None
    amount: int
    points: int
    bonus_points: int
    payment_id: UUID
    created_at: datetime


class PurchaseList(Page, frozen=True):
    items: list[PurchaseView]
