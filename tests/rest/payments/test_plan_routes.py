from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from rest.http.idempotency import HEADER
from rest.payments.bodies import PlanChange
from rest.payments.plan_routes import changed
from storage.ids import new_id
from storage.plans import Plan
from tests.rest.harness import Person
from tests.rest.payments.shop import PLAN, Shop

NEW = {"title": "Big", "price": 2000, "points": 2500}


async def listed(shop: Shop) -> list[dict[str, Any]]:
    answer = await shop.rest.call("GET", "/wallet/plans", status=200)
    items: list[dict[str, Any]] = answer.body["items"]
    return items


async def test_anybody_sees_the_plans_cheapest_first(shop: Shop) -> None:
    items = await listed(shop)

    assert [(each["price"], each["points"], each["bonusPoints"]) for each in items] == [
        (500, 500, 0),
        (1000, 1000, 100),
        (3000, 3000, 500),
    ]
    assert items[1]["planId"] == PLAN
    assert items[1]["currency"] == "PTS"


async def test_a_new_plan_is_offered_changed_and_retired(shop: Shop, boss: Person) -> None:
    made = await shop.rest.call("POST", "/wallet/plans", by=boss, json=NEW, status=201)
    plan_id = made.body["plan"]["planId"]
    assert [each["price"] for each in await listed(shop)] == [500, 1000, 2000, 3000]

    path = f"/wallet/plans/{plan_id}"
    change = {"price": 400, "bonusPoints": 7, "description": "small now"}
    answer = await shop.rest.call("PATCH", path, by=boss, json=change, status=200)
    assert answer.body["plan"] == (await listed(shop))[0]
    assert answer.body["plan"].items() >= {**change, "points": 2500, "title": "Big"}.items()

    await shop.rest.call("DELETE", path, by=boss, status=200)
    await shop.rest.call("DELETE", path, by=boss, status=200)
    assert len(await listed(shop)) == 3
    answer = await shop.rest.call("PATCH", path, by=boss, json={"active": True}, status=200)
    assert answer.body["active"] is True
    assert len(await listed(shop)) == 4


async def test_a_repeated_offer_under_its_key_is_one_plan(shop: Shop, boss: Person) -> None:
    first, again = [
        await shop.rest.call(
            "POST", "/wallet/plans", by=boss, json=NEW, headers={HEADER: "n1"}, status=201
        )
        for _ in range(2)
    ]
    assert again.body == first.body
    assert len(await listed(shop)) == 4


async def test_who_changed_a_plan_is_written_down(shop: Shop, boss: Person) -> None:
    path = f"/wallet/plans/{PLAN}"
    await shop.rest.call("PATCH", path, by=boss, json={"bonusPoints": 900}, status=200)

    async with shop.rest.pool.acquire() as conn:
        row = await conn.fetchrow("select * from audit_log")
    assert row is not None
    assert (row["actor"], row["action"], row["target_id"]) == (
        boss.id,
        "plan_changed",
        UUID(PLAN),
    )
    assert row["details"]["bonus_minor"] == 900


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"title": ""}, "INVALID_TITLE"),
        ({"title": "x" * 61}, "INVALID_TITLE"),
        ({"price": 0}, "INVALID_PRICE"),
        ({"price": 10**9 + 1}, "INVALID_PRICE"),
        ({"price": 1.5}, "INVALID_PRICE"),
        ({"points": 1999}, "INVALID_POINTS"),
        ({"points": 2 * 10**9 + 1}, "INVALID_POINTS"),
        ({"bonusPoints": -1}, "INVALID_BONUS"),
        ({"bonusPoints": 10**9 + 1}, "INVALID_BONUS"),
        ({"bonusDays": 0}, "INVALID_BONUS"),
        ({"bonusDays": 3651}, "INVALID_BONUS"),
        ({"description": "x" * 201}, "INVALID_PAYLOAD"),
        ({"sort": 1001}, "INVALID_PAYLOAD"),
    ],
)
async def test_a_plan_out_of_bounds_is_refused(
    shop: Shop, boss: Person, wrong: dict[str, object], code: str
) -> None:
    made = await shop.rest.call("POST", "/wallet/plans", by=boss, json=NEW, status=201)
    path = f"/wallet/plans/{made.body['plan']['planId']}"

    for method, where, body in (
        ("POST", "/wallet/plans", NEW | wrong),
        ("PATCH", path, wrong),
    ):
        answer = await shop.rest.call(method, where, by=boss, json=body)
        assert (answer.status, answer.error) == (400, code)
        assert answer.body["details"]["field"] == next(iter(wrong))
    assert len(await listed(shop)) == 4


async def test_a_price_may_not_pass_the_points_by_a_change(shop: Shop, boss: Person) -> None:
    path = f"/wallet/plans/{PLAN}"
    answer = await shop.rest.call("PATCH", path, by=boss, json={"price": 1001})
    assert (answer.status, answer.error) == (400, "INVALID_POINTS")


async def test_plans_are_changed_by_operators_only(shop: Shop, ann: Person, boss: Person) -> None:
    for method, path, body in (
        ("POST", "/wallet/plans", NEW),
        ("PATCH", f"/wallet/plans/{PLAN}", {"price": 1}),
        ("DELETE", f"/wallet/plans/{PLAN}", None),
    ):
        assert (await shop.rest.call(method, path, json=body)).status == 401
        assert (await shop.rest.call(method, path, by=ann, json=body)).status == 403
    for method in ("PATCH", "DELETE"):
        answer = await shop.rest.call(method, f"/wallet/plans/{new_id()}", by=boss, json={})
        assert (answer.status, answer.error) == (404, "PLAN_NOT_FOUND")


def test_a_change_keeps_what_it_does_not_give() -> None:
    plan = Plan(id=new_id(), title="A", price_minor=1, points_minor=2, description="old")

    assert changed(plan, PlanChange()) == plan
    assert changed(plan, PlanChange(description=None)).description is None
