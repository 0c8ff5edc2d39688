"""What a payment does to the ledger: settled once, whoever says that it was paid, and undone once.

Everything about one payment happens while its row is locked, in the caller's transaction.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from storage import jobs, ledger, notifications, outbox, payments, plans, wallet
from storage.errors import Conflict, InsufficientFunds
from storage.ledger import Move
from storage.payments import Payment
from storage.pool import Connection
from storage.selling import Price, Seller, Sellers

COMPLETED_TOPIC = "payment_completed"
# Pays from the payer's own primary wallet; no gateway is asked.
FROM_WALLET = "wallet"
REFUND_JOB = "refund_payment"

Found = Literal["paid", "failed", "cancelled", "refunded"]
Outcome = Literal[
    "completed", "failed", "cancelled", "refunded", "unchanged", "mismatch", "flagged", "unknown"
]


class Finding(msgspec.Struct, frozen=True):
    """What a gateway says about a payment. The amount is that which came, or went back."""

    found: Found
    amount_minor: int
    currency: str


async def escrow_account(conn: Connection, purpose: str, currency: str) -> int:
    """Where the money of a purpose is kept until its seller moves it on."""
    return await ledger.system_account(
        conn, "clearing", f"{ledger.ESCROW_PREFIX}{purpose}", currency
    )


async def settle(
    conn: Connection, *, gateway: str, reference: str, finding: Finding, sellers: Sellers
) -> tuple[Payment | None, Outcome]:
    """Apply what was found, once; the caller's transaction holds all of it together.

    Paid: the money is posted under the payment's operation key, a plan is redeemed or a seller
    delivers, and the owner is told (`balance` is what the spending wallet holds, `available` what
    may be spent of it). `unchanged`: it was settled before, or a failure came after the money.
    `mismatch`: another amount or currency than was asked for; nothing is credited. `flagged`: the
    gateway took the money back, and here it could not be undone. `unknown`: no such payment.

    Raises:
        InsufficientFunds: it is to be paid from a wallet, and there is less.
    """
    payment = await payments.lock_reference(conn, gateway, reference)
    if payment is None:
        return None, "unknown"
    match finding.found:
        case "refunded":
            return await _returned(conn, payment, finding, sellers)
        case _ if payment.status in ("completed", "refunded", finding.found):
            return payment, "unchanged"
        case "paid":
            paid = (finding.amount_minor, finding.currency)
            if paid != (payment.amount_minor, payment.currency):
                return payment, "mismatch"
            return await _paid(conn, payment, sellers)
        case "failed":
            failed = await payments.move(conn, payment, "failed", wallet=payment.wallet)
            message = "Your payment did not go through."
            await _notify(conn, failed, "PAYMENT_FAILED", message, source=":failed")
            return failed, "failed"
        case "cancelled":
            cancelled = await payments.move(conn, payment, "cancelled", wallet=payment.wallet)
            return cancelled, "cancelled"


async def _paid(conn: Connection, payment: Payment, sellers: Sellers) -> tuple[Payment, Outcome]:
    # Before the accounts, as a deletion does it.
    deleted = await conn.fetchval(
        "select status = 'deleted' from users where id = $1 for key share", payment.user_id
    )
    if not deleted:
        return await _complete(conn, payment, sellers), "completed"
    undone = await _complete_and_undo(conn, payment, "the account was deleted", sellers)
    if undone is None:
        return payment, "flagged"
    await promise_refund(conn, undone)
    return undone, "refunded"


async def promise_refund(conn: Connection, payment: Payment) -> None:
    """Have the gateway give back what the caller's transaction refunds."""
    if payment.gateway != FROM_WALLET:
        payload: dict[str, object] = {"paymentId": str(payment.id)}
        await jobs.enqueue(conn, REFUND_JOB, payload, key=f"{REFUND_JOB}:{payment.id}")


async def refund(conn: Connection, payment: Payment, *, reason: str, sellers: Sellers) -> Payment:
    """Undo a completed payment that is locked: its operation and its plan's, exactly.

    Run it in a transaction of its own, or a savepoint: a refusal may come in the middle.

    Raises:
        Conflict: it is not completed, or was spent on what cannot be taken back.
        InsufficientFunds: the wallet no longer has the money.
    """
    if payment.status != "completed":
        raise Conflict("only a completed payment can be refunded")
    if payment.wallet is None:
        seller = sellers.get(payment.purpose)
        if seller is None:
            raise Conflict("nobody can take back what was sold")
        await seller.refunded(conn, payment)
    operation = await ledger.find_operation(conn, _key(payment))
    assert operation is not None, "completed payments are posted"
    await ledger.reverse(conn, f"refund:{_key(payment)}", operation, reason)
    await plans.take_back(conn, payment.id, reason)
    refunded = await payments.move(conn, payment, "refunded", wallet=payment.wallet)
    if payment.wallet == wallet.SPENDING_KIND:
        await wallet.tell(conn, payment.user_id, payment.currency, reason="refund")
    await _notify(
        conn, refunded, "PAYMENT_REFUNDED", "Your payment was refunded.", source=":refunded"
    )
    return refunded


async def _returned(
    conn: Connection, payment: Payment, finding: Finding, sellers: Sellers
) -> tuple[Payment, Outcome]:
    """The gateway gave the money back; perhaps without our asking."""
    if payment.status == "refunded":
        return payment, "unchanged"
    whole = (finding.amount_minor, finding.currency) == (payment.amount_minor, payment.currency)
    if not whole:
        return payment, "flagged"
    why = "refunded by the gateway"
    if payment.status != "completed":
        # The news of the payment itself was lost or is late; it must not be credited after this.
        undone = await _complete_and_undo(conn, payment, why, sellers)
        return (payment, "flagged") if undone is None else (undone, "refunded")
    try:
        async with conn.transaction():
            return await refund(conn, payment, reason=why, sellers=sellers), "refunded"
    except (Conflict, InsufficientFunds):
        return payment, "flagged"


async def _complete_and_undo(
    conn: Connection, payment: Payment, reason: str, sellers: Sellers
) -> Payment | None:
    """Book money that came and went; None, and nothing done, if it cannot go."""
    try:
        async with conn.transaction():
            completed = await _complete(conn, payment, sellers)
            return await refund(conn, completed, reason=reason, sellers=sellers)
    except (Conflict, InsufficientFunds):
        return None


async def _complete(conn: Connection, payment: Payment, sellers: Sellers) -> Payment:
    body: dict[str, object] = {
        "paymentId": str(payment.id),
        "purpose": payment.purpose,
        "amount": payment.amount_minor,
        "currency": payment.currency,
    }
    seller = await _seller_who_delivers(conn, payment, sellers)
    if seller is not None:
        escrow = await escrow_account(conn, payment.purpose, payment.currency)
        await _post(conn, payment, "purchase", escrow)
        completed = await payments.move(conn, payment, "completed", wallet=None)
        await seller.paid(conn, completed)
    else:
        kind = payment.wallet or "primary"
        account = await wallet.account_of(conn, payment.user_id, kind, payment.currency)
        assert account is not None, "accounts are made at sign-up"
        if payment.plan_id is not None:
            # All at once, in the ledger's order: who redeems another payment holds some of them.
            promo = await ledger.system_account(conn, "promo", "", payment.currency)
            await ledger.lock(conn, [promo, account, await _source(conn, payment)])
        await _post(conn, payment, "topup", account)
        await plans.redeem(conn, payment)
        completed = await payments.move(conn, payment, "completed", wallet=kind)
        if kind == wallet.SPENDING_KIND:
            balance = await wallet.read_balance(conn, payment.user_id, payment.currency)
            assert balance is not None
            body["balance"] = balance.posted_minor
            body["available"] = balance.available_minor
            if balance.bonus_account is not None:
                body["bonusAccount"] = balance.bonus_account
    await outbox.add(conn, topic=COMPLETED_TOPIC, user_id=payment.user_id, body=body)
    await _notify(conn, completed, "PAYMENT_COMPLETED", "Your payment was received.")
    return completed


async def _seller_who_delivers(
    conn: Connection, payment: Payment, sellers: Sellers
) -> Seller | None:
    """None for a top-up, and for what is no longer sold, or not for this money."""
    if payment.target_id is None:
        return None
    seller = sellers.get(payment.purpose)
    if seller is None:
        return None
    price = await seller.price(conn, payment.user_id, payment.target_id)
    return seller if price == Price(payment.amount_minor, payment.currency) else None


def _key(payment: Payment) -> str:
    return f"payment:{payment.id}"


async def _source(conn: Connection, payment: Payment) -> int:
    """The account that the money comes from."""
    if payment.gateway == FROM_WALLET:
        own = await wallet.account_of(conn, payment.user_id, "primary", payment.currency)
        assert own is not None, "accounts are made at sign-up"
        return own
    return await ledger.system_account(conn, "clearing", payment.gateway, payment.currency)


async def _post(conn: Connection, payment: Payment, kind: str, to_account: int) -> None:
    source = await _source(conn, payment)
    await ledger.post(
        conn,
        key=_key(payment),
        kind=kind,
        ref=payment.id,
        moves=[Move(source, to_account, payment.amount_minor, kind)],
    )


async def _notify(
    conn: Connection, payment: Payment, type: str, message: str, source: str = ""
) -> None:
    await notifications.add(
        conn,
        user_id=payment.user_id,
        type=type,
        message=message,
        source=f"payment:{payment.id}{source}",
        category="wallet_alert",
        related_type="payment",
        related_id=payment.id,
    )
