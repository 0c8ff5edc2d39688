"""Plans: listed, bought on the terms of the moment, redeemed once, taken back whole."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest

from storage import bonus, payments, plans, settlement
from storage.errors import InsufficientFunds
from storage.ids import new_id
from storage.pool import Connection
from storage.settlement import Finding
from tests.storage.paying import balance_of, buy, make_plan, order, settle
from tests.storage.world import give, make_user


async def test_the_stock_is_listed_cheapest_first(conn: Connection) -> None:
    found = await plans.list_active(conn, limit=10)

    assert [(each.price_minor, each.points_minor, each.bonus_minor) for each in found] == [
        (500, 500, 0),
        (1000, 1000, 100),
        (3000, 3000, 500),
    ]
    assert await plans.list_active(conn, limit=1) == found[:1]


async def test_a_saved_plan_is_read_as_it_was_saved_until_it_is_retired(conn: Connection) -> None:
    plan = await make_plan(conn)
    assert await plans.read_active(conn, plan.id) == plan

    retired = msgspec.structs.replace(plan, active=False, description="gone")
    await plans.save(conn, retired)

    assert await plans.read_active(conn, plan.id) is None
    assert await plans.lock(conn, plan.id) == retired
    assert await plans.lock(conn, new_id()) is None


async def test_a_paid_plan_gives_its_points_and_a_bonus_with_an_end(conn: Connection) -> None:
    user = await make_user(conn)

    payment = await buy(conn, user.id, await make_plan(conn, points=1200, bonus=100))

    assert await balance_of(conn, user.id) == 1200
    assert await balance_of(conn, user.id, "bonus") == 100
    lot = await conn.fetchrow("select * from bonus_lot where key = $1", f"redeem:{payment.id}")
    assert lot is not None
    assert lot["amount"] == 100
    assert lot["expires_at"] - lot["granted_at"] == timedelta(days=180)


async def test_a_plan_that_gives_just_its_price_posts_nothing_more(conn: Connection) -> None:
    user = await make_user(conn)

    payment = await buy(conn, user.id, await make_plan(conn, points=1000, bonus=0))

    assert await balance_of(conn, user.id) == 1000
    assert (await conn.fetchval("select count(*) from operation where ref = $1", payment.id)) == 1
    await settlement.refund(conn, payment, reason="a test", sellers={})
    assert await balance_of(conn, user.id) == 0


async def test_a_payment_has_one_plan_and_redeems_it_once(conn: Connection) -> None:
    user, plan = await make_user(conn), await make_plan(conn)
    payment = await order(conn, user.id)
    await settle(conn, payment)

    assert await plans.redeem(conn, payment) == 0
    assert await plans.promise(conn, payment.id, plan)
    assert not await plans.promise(conn, payment.id, plan)
    assert [await plans.redeem(conn, payment) for _ in range(2)] == [1300, 0]
    assert await balance_of(conn, user.id) == 1200


async def test_a_plan_changed_after_the_order_gives_what_was_ordered(conn: Connection) -> None:
    user, plan = await make_user(conn), await make_plan(conn, points=1200, bonus=100)
    payment = await order(conn, user.id)
    await plans.promise(conn, payment.id, plan)

    await plans.save(conn, msgspec.structs.replace(plan, points_minor=1000, bonus_minor=0))
    await settle(conn, payment)

    assert await balance_of(conn, user.id) == 1200
    assert await balance_of(conn, user.id, "bonus") == 100


async def test_a_refund_takes_the_bonus_back_and_closes_its_lot(conn: Connection) -> None:
    user = await make_user(conn)
    payment = await buy(conn, user.id, await make_plan(conn))

    await settlement.refund(conn, payment, reason="a test", sellers={})

    assert await balance_of(conn, user.id) == 0
    assert await balance_of(conn, user.id, "bonus") == 0
    key = f"redeem:{payment.id}"
    assert await conn.fetchval("select expired_at is not null from bonus_lot where key = $1", key)


async def test_an_expired_bonus_is_not_taken_out_of_a_later_one(conn: Connection) -> None:
    user, plan = await make_user(conn), await make_plan(conn)
    old, new = await buy(conn, user.id, plan), await buy(conn, user.id, plan)
    assert await bonus.close_lot(conn, f"redeem:{old.id}")

    with pytest.raises(InsufficientFunds):
        async with conn.transaction():
            await settlement.refund(conn, old, reason="a test", sellers={})

    assert await balance_of(conn, user.id) == 2400
    found = await payments.lock(conn, old.id)
    assert found is not None
    assert found.status == "completed"
    assert (await settlement.refund(conn, new, reason="a test", sellers={})).status == "refunded"


async def test_purchases_are_completed_top_ups_of_the_spending_wallet(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    plan = await make_plan(conn)
    await give(conn, user.wallet, 5)
    bought = await buy(conn, user.id, plan)
    plain = await order(conn, user.id)
    await settle(conn, plain)
    await order(conn, user.id)
    await settle(conn, await order(conn, user.id, wallet="primary"))
    failed = await order(conn, user.id)
    await settle(conn, failed, Finding("failed", 1000, "PTS"))
    await settlement.refund(conn, await buy(conn, user.id, plan), reason="a test", sellers={})

    found, total = await plans.list_purchases(conn, user.id, newest_first=False, limit=10, offset=0)

    assert total == 2
    assert [
        (each.payment_id, each.plan_id, each.plan_title, each.points_minor, each.bonus_minor)
        for each in sorted(found, key=lambda each: each.payment_id)
    ] == [(bought.id, plan.id, "A plan", 1200, 100), (plain.id, None, None, 1000, 0)]
    page, total = await plans.list_purchases(conn, user.id, newest_first=True, limit=1, offset=1)
    assert (page, total) == (found[:1], 2)
    nothing = await plans.list_purchases(conn, other.id, newest_first=True, limit=9, offset=0)
    assert nothing == ([], 0)
