"""Somebody to whom belongs one row of each kind that a path can name.

Whoever adds a path with parameters adds its beginning here: to `FREE` or `SIGNED`, or with a row to
`owned_rows`.
"""

from __future__ import annotations

import secrets
import time
from uuid import UUID

import msgspec

from server.people import grant, make_provider
from signalling.core.tariff import minute
from storage import (
    adjustments,
    avatars,
    credentials,
    devices,
    ledger,
    notifications,
    payments,
    payouts,
    plans,
    reviews,
    users,
    wallet,
    webhook_deliveries,
    webhooks,
)
from storage.earnings import AVAILABLE
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.past import past_call

DAY_MS = 86_400_000
# Beginnings of paths that name nobody's own rows; anybody who has logged in may give any id.
FREE = frozenset(
    {
        "/operators/users/{id}",
        "/otomo/{id}",
        "/providers/{id}",
        "/user/block/{id}",
        "/users/{id}",
    }
)
# Other servers ask for these, and prove it by a signature over the body.
SIGNED = frozenset({"/payments/webhook", "/sfu/calls/{id}"})
# Fields of bodies that hold an id: the row of this one, or any id, by whoever has logged in.
THEIRS = {"callId": "/calls/{id}", "paymentId": "/payments/{id}", "planId": "/wallet/plans/{id}"}
ANYBODYS = frozenset({"otomoId", "planId", "targetId", "toUserId", "upTo"})

# For each beginning of a path what stands for its parameters.
Rows = dict[str, dict[str, str]]


async def person(conn: Connection, name: str, currency: str) -> UUID:
    """Somebody who calls and is called, with money."""
    email = f"{name.lower()}@example.org"
    user_id = await users.create_user(conn, name=name, email=email, currency=currency)
    await make_provider(conn, user_id, name, 120)
    await grant(conn, user_id, 10_000, currency, f"grant:walk:{user_id}")
    return user_id


async def owned_rows(conn: Connection, owner: UUID, currency: str) -> Rows:
    """Make the rows; those of plans, jobs and webhooks are nobody's: naming them takes a role."""
    user, name = avatars.new_key(owner).split("/")[1:]
    call = str(await _call(conn, owner, currency))
    payment = await _payment(conn, owner, currency)
    payout = str(await _payout(conn, owner, currency))
    plan = plans.Plan(id=new_id(), title="1000 points", price_minor=1_000, points_minor=1_000)
    await plans.save(conn, plan)
    endpoint, delivery = await _webhook(conn)
    session = str(await _session(conn, owner))
    spending = wallet.wallet_id(owner, wallet.SPENDING_KIND, currency)
    return {
        "/auth/sessions/{id}": {"id": session},
        "/calls/{id}": {"id": call},
        "/conversations/{id}": {"id": call},
        "/devices/push/{id}": {"id": str(await _push_device(conn, owner))},
        "/jobs/{id}": {"id": "1"},
        "/media/avatars/{user}/{name}": {"user": user, "name": name},
        "/operators/calls/{id}": {"id": call},
        "/notifications/{id}": {"id": str(await _notification(conn, owner))},
        "/operators/adjustments/{id}": {"id": str(await _adjustment(conn, currency))},
        "/operators/users/{id}/sessions/{session}": {"id": str(owner), "session": session},
        "/operators/users/{id}/wallets/{wallet}": {"id": str(owner), "wallet": str(spending)},
        "/payments/verify/{reference}": {"reference": payment.reference},
        "/payments/{id}": {"id": str(payment.id)},
        "/payouts/{id}": {"id": payout},
        "/sfu/calls/{id}": {"id": call},
        "/wallet/payouts/{id}": {"id": payout},
        "/wallet/plans/{id}": {"id": str(plan.id)},
        "/wallets/{id}": {"id": str(spending)},
        "/webhooks/deliveries/{id}": {"id": delivery},
        "/webhooks/endpoints/{id}": {"id": endpoint},
    }


async def _adjustment(conn: Connection, currency: str) -> UUID:
    """One that waits, asked for by another for a third."""
    operator, customer = [await person(conn, name, currency) for name in ("Otto", "Cleo")]
    made = await adjustments.request(
        conn,
        adjustment_id=new_id(),
        user_id=customer,
        wallet="call_credits",
        amount_minor=500,
        currency=currency,
        reason="A gift.",
        operator=operator,
        alone_max_minor=0,
    )
    return made.id


async def _call(conn: Connection, owner: UUID, currency: str) -> UUID:
    """One that has ended, with a review."""
    callee = await person(conn, "Carl", currency)
    tariff = msgspec.to_builtins(minute(120, currency=currency))
    call_id = await past_call(conn, owner, callee, tariff=tariff)
    await reviews.post(conn, call_id=call_id, author_id=owner, score=4, comment="A good talk.")
    return call_id


async def _payment(conn: Connection, owner: UUID, currency: str) -> payments.Payment:
    return await payments.create(
        conn,
        payment_id=new_id(),
        user_id=owner,
        purpose="topup",
        gateway="sandbox",
        amount_minor=500,
        currency=currency,
        reference="pay_of_olga",
        description=None,
    )


async def _notification(conn: Connection, owner: UUID) -> UUID:
    await notifications.add(conn, user_id=owner, type="WELCOME", message="Hello.", source="walk")
    found, _, _ = await notifications.list_of(
        conn, owner, unread_only=True, type="WELCOME", limit=1, offset=0
    )
    return found[0].id


async def _payout(conn: Connection, owner: UUID, currency: str) -> UUID:
    """One that nobody has decided on, out of earnings that the house has given."""
    accounts = await ledger.open_accounts(conn, owner, currency, [AVAILABLE])
    house = await ledger.system_account(conn, "promo", "", currency)
    move = ledger.Move(house, accounts[AVAILABLE], 10_000, "grant")
    await ledger.post(conn, key=f"grant:earnings:{owner}", kind="grant", moves=[move])
    payout = await payouts.request(
        conn,
        payout_id=new_id(),
        user_id=owner,
        amount_minor=5_000,
        currency=currency,
        destination="Olga's bank",
        note=None,
    )
    return payout.id


async def _push_device(conn: Connection, owner: UUID) -> UUID:
    wish = devices.Wish(device_id="phone", platform="ios", provider="webhook", target="olgas")
    return (await devices.register(conn, owner, await _session(conn, owner), wish)).id


async def _session(conn: Connection, owner: UUID) -> UUID:
    session_id = new_id()
    await credentials.open_session(
        conn,
        session_id=session_id,
        user_id=owner,
        refresh_hash=secrets.token_bytes(32),
        now_ms=time.time_ns() // 1_000_000,
        idle_ms=DAY_MS,
        lifetime_ms=DAY_MS,
    )
    return session_id


async def _webhook(conn: Connection) -> tuple[str, str]:
    """An endpoint of the discard port, and an event that is on its way to it."""
    secret, url = webhooks.new_secret(), "http://127.0.0.1:9/"
    async with conn.transaction():
        made = await webhooks.create(conn, new_id(), url=url, events=[], secret=secret)
        assert made is not None
        news = webhook_deliveries.News(new_id(), "webhook.test", None, "{}")
        delivery = await webhook_deliveries.add_for(conn, made.id, news)
    return str(made.id), str(delivery)
