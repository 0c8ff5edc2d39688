"""Shapes of the routes about people's wallets and payments."""

from datetime import UTC, datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.pages import Page, PageQuery
from rest.operators.people_bodies import SOMEBODY
from signalling.events import Shape
from storage.payments import Status


class AccountView(Shape, frozen=True):
    """One wallet: `balance` is what it holds, `held` what running calls have set aside of it."""

    id: UUID
    type: str
    balance: int
    available: int
    held: int
    currency: str


class AccountList(Shape, frozen=True):
    items: list[AccountView]


class PostingQuery(PageQuery, frozen=True):
    """`kind` is an operation's."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "kind": "INVALID_FILTER",
        "direction": "INVALID_FILTER",
    }

    kind: Annotated[str, Meta(pattern=r"^[a-z_]{1,40}$")] | None = None
    direction: Literal["credit", "debit"] | None = None


class PostingView(Shape, frozen=True):
    """What one operation of the ledger did to the wallet: `amount` is positive for money in. `ref`
    is the call, payment, payout or adjustment it belongs to, by `kind`."""

    operation: int
    key: str
    kind: str
    amount: int
    direction: str
    currency: str
    ref: UUID | None
    at: datetime


class PostingList(Page, frozen=True):
    wallet_id: UUID
    items: list[PostingView]


class PaymentQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "userId": "INVALID_FILTER",
        "status": "INVALID_FILTER",
        "gateway": "INVALID_FILTER",
    }

    user_id: UUID | None = None
    status: Status | None = None
    gateway: Literal["sandbox", "stripe", "monnify", "wallet"] | None = None


class FoundPaymentView(Shape, frozen=True):
    """`refundable`: it may be given back by `POST /payments/{id}/refund`, as far as its wallet
    still has the money. `gatewayRef` is what the gateway calls it."""

    id: UUID
    user_id: UUID
    user_name: str
    reference: str
    gateway: str
    gateway_ref: str | None
    amount: int
    currency: str
    status: Status
    purpose: str
    target_id: UUID | None
    wallet: str | None
    description: str | None
    created_at: datetime
    completed_at: datetime | None
    refundable: bool


class FoundPayments(Page, frozen=True):
    """`total` counts to 10,000."""

    items: list[FoundPaymentView]


_AT = datetime(2026, 1, 5, 12, tzinfo=UTC)
_WALLET = UUID("0198f2a0-0000-5000-8000-000000000006")
ACCOUNTS_EXAMPLE = AccountList(
    items=[
        AccountView(
            id=_WALLET, type="call_credits", balance=1_200, available=960, held=240, currency="PTS"
        )
    ]
)
POSTINGS_EXAMPLE = PostingList(
    wallet_id=_WALLET,
    items=[
        PostingView(
            operation=4711,
            key="payment:0198f2a0-0000-7000-8000-000000000007",
            kind="topup",
            amount=1_000,
            direction="credit",
            currency="PTS",
            ref=UUID("0198f2a0-0000-7000-8000-000000000007"),
            at=_AT,
        )
    ],
    total=1,
    limit=20,
    offset=0,
)
PAYMENTS_EXAMPLE = FoundPayments(
    items=[
        FoundPaymentView(
            id=UUID("0198f2a0-0000-7000-8000-000000000007"),
            user_id=SOMEBODY,
            user_name="Kai",
            reference="pay_1f0c9d7a44",
            gateway="stripe",
            gateway_ref="pi_3PqR",
            amount=1_000,
            currency="PTS",
            status="completed",
            purpose="topup",
            target_id=None,
            wallet="call_credits",
            description=None,
            created_at=_AT,
            completed_at=_AT,
            refundable=True,
        )
    ],
    total=1,
    limit=20,
    offset=0,
)
