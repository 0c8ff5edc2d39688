"""Every screen that shows money says the same as the ledger: in mid-call, after it, refunded."""

from __future__ import annotations

from typing import Any

import pytest

from rest.calls.history_routes import HistoryRoutes
from rest.calls.refund_routes import RefundRoutes
from rest.http.idempotency import Idempotency
from rest.wallet.payout_routes import PayoutRoutes
from rest.wallet.routes import WalletRoutes
from storage.pool import Pool
from tests.rest.calls.conftest import Exchange, node, routes_of
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, Freshness, Person
from tests.signalling.harness import Node

__all__ = ["node"]


@pytest.fixture
async def exchange(start: Start, node: Node) -> Exchange:
    pool, idempotency = node.pool, Idempotency(node.pool)
    rest = await start(
        routes_of(node),
        HistoryRoutes(pool, node.routed, clock=node.time),
        RefundRoutes(pool, idempotency=idempotency),
        WalletRoutes(pool, currency=CURRENCY),
        PayoutRoutes(
            pool,
            idempotency=idempotency,
            currency=CURRENCY,
            release_after_s=60,
            amount_min=1,
            check_fresh=Freshness().check,
        ),
    )
    return Exchange(rest, node)


async def screens(exchange: Exchange, by: Person, call_id: str) -> dict[str, Any]:
    paths = {
        "balance": "/wallet/balance",
        "entries": "/wallet/entries?kind=call_charge",
        "all": "/wallet/entries",
        "wallets": "/wallets",
        "usage": "/wallet/usage",
        "earnings": "/wallet/earnings",
        "calls": "/calls",
        "call": f"/calls/{call_id}",
        "billing": f"/calls/{call_id}/billing",
        "receipt": f"/calls/{call_id}/receipt",
        "events": f"/calls/{call_id}/events",
    }
    return {name: (await exchange.get(by, path)).body for name, path in paths.items()}


async def moved(pool: Pool, call_id: str) -> tuple[int, int]:
    """What the call's transfers came to, and what of it was earned."""
    row = await pool.fetchrow(
        """
        select coalesce(sum(t.amount), 0)::bigint,
               coalesce(sum(t.amount) filter (where t.code = 'call_earning'), 0)::bigint
          from operation o join transfer t on t.operation = o.id
         where o.ref = $1::text::uuid and o.kind = 'call_charge'
        """,
        call_id,
    )
    assert row is not None
    return row[0], row[1]


def charges(seen: dict[str, Any]) -> set[int]:
    """What each screen says the call has cost."""
    (listed,) = seen["calls"]["items"]
    return {
        listed["cost"],
        seen["call"]["call"]["billedPoints"],
        sum(unit["chargedPoints"] for unit in seen["call"]["call"]["billingUnits"]),
        seen["billing"]["totalCharged"],
        seen["receipt"]["receipt"]["total"],
        sum(each["amount"] for each in seen["events"]["items"] if each["type"] == "charged"),
    }


async def test_all_screens_agree_with_the_ledger_at_every_moment(exchange: Exchange) -> None:
    pool = exchange.node.pool
    ann, kai = await exchange.customer(funds=1_000), await exchange.provider(price=100)
    call_id = await exchange.request(ann, kai)
    await exchange.patch(kai, call_id, "answer", status=200)
    for ms in (1, 60_000, 60_000):
        await exchange.node.passes(ms)
        charged, earned = await moved(pool, call_id)
        mine, theirs = [await screens(exchange, each, call_id) for each in (ann, kai)]
        assert charged > 0
        assert charges(mine) == charges(theirs) == {charged}
        assert -sum(each["amount"] for each in mine["entries"]["items"]) == charged
        balance = mine["balance"]
        assert balance["balance"] == 1_000 - charged
        assert balance["balance"] == sum(each["amount"] for each in mine["all"]["items"])
        assert balance["available"] == balance["balance"] - balance["held"]
        assert balance["held"] == await pool.fetchval("select hold from meter")
        assert theirs["earnings"]["pending"] == theirs["earnings"]["totalEarned"] == earned
        assert theirs["billing"]["earned"] == theirs["receipt"]["receipt"]["earned"] == earned
        assert mine["usage"]["items"] == []

    await exchange.patch(kai, call_id, "end", status=200)
    charged, earned = await moved(pool, call_id)
    mine = await screens(exchange, ann, call_id)
    assert charges(mine) == {charged}
    (used,) = mine["usage"]["items"]
    assert (used["callId"], used["otomoId"], used["otomoName"]) == (call_id, str(kai.id), "Kai")
    assert (used["usedPoints"], used["durationSeconds"], used["durationMinutes"]) == (
        charged,
        121,
        3,
    )
    assert used["createdAt"] == mine["call"]["call"]["endedAt"]
    assert (mine["balance"]["balance"], mine["balance"]["held"]) == (1_000 - charged, 0)

    await exchange.rest.call(
        "POST",
        f"/calls/{call_id}/refund",
        by=await exchange.admin(),
        json={"reason": "no sound"},
        status=200,
    )
    mine, theirs = [await screens(exchange, each, call_id) for each in (ann, kai)]
    assert charges(mine) == charges(theirs) == {charged}
    assert mine["billing"]["refunded"] == mine["usage"]["items"][0]["refundedPoints"] == charged
    assert mine["balance"]["balance"] == 1_000
    assert sum(each["amount"] for each in mine["all"]["items"]) == 1_000
    assert theirs["earnings"]["totalEarned"] == 0
