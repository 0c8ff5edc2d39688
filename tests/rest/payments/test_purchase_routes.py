from __future__ import annotations

import asyncio

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.harness import Person
from tests.rest.payments.shop import PLAN, Shop
from tests.storage.world import check_books

SMALL = "01970000-0000-7000-8000-000000000500"


async def test_a_completed_top_up_is_redeemed_for_its_plan(shop: Shop, ann: Person) -> None:
    payment = await shop.bought(ann)
    woken = shop.kicks.count

    answer = await shop.charge(ann, PLAN, payment["id"])

    assert answer.status == 200
    assert answer.body == {
        "success": True,
        "userId": str(ann.id),
        "chargedPoints": 1100,
        "balance": 1100,
        "planId": PLAN,
        "paymentId": payment["id"],
    }
    assert await shop.balance(ann, "bonus") == 100
    assert shop.kicks.count == woken + 1
    async with shop.rest.pool.acquire() as conn:
        told = await conn.fetch("select topic, body from outbox order by id")
    assert told[-2]["topic"] == "wallet_changed"
    body = told[-2]["body"]
    # A live call would spend the bonus from now on.
    assert isinstance(body.pop("bonusAccount"), int)
    assert body == {"currency": "PTS", "reason": "topup", "balance": 1100}
    assert told[-1]["body"]["type"] == "PLAN_REDEEMED"
    # Most of it was in the wallet before, told of as a payment.
    said = await shop.rest.pool.fetchval(
        "select message from notification where type = 'PLAN_REDEEMED'"
    )
    assert said.startswith("Your plan was redeemed: ")
    await check_books(shop.rest.pool)


async def test_a_plan_that_gives_more_points_than_it_costs_adds_the_rest(
    shop: Shop, ann: Person, boss: Person
) -> None:
    made = await shop.rest.call(
        "POST", "/wallet/plans", by=boss, json={"title": "X", "price": 1000, "points": 1250}
    )
    payment = await shop.bought(ann)

    answer = await shop.charge(ann, made.body["plan"]["planId"], payment["id"])

    assert (answer.body["chargedPoints"], answer.body["balance"]) == (1250, 1250)
    assert await shop.balance(ann) == 1250
    await check_books(shop.rest.pool)


async def test_a_payment_is_redeemed_once(shop: Shop, ann: Person) -> None:
    payment = await shop.bought(ann)

    answers = await asyncio.gather(*(shop.charge(ann, PLAN, payment["id"]) for _ in range(20)))

    assert sorted(answer.status for answer in answers) == [200] + [409] * 19
    assert {answer.error for answer in answers if answer.status == 409} == {
        "PAYMENT_ALREADY_PROCESSED"
    }
    assert await shop.balance(ann, "bonus") == 100


async def test_a_payment_that_was_for_a_plan_cannot_be_redeemed_again(
    shop: Shop, ann: Person
) -> None:
    payment = await shop.bought(ann, planId=PLAN)

    assert (await shop.charge(ann, PLAN, payment["id"])).error == "PAYMENT_ALREADY_PROCESSED"
    assert await shop.balance(ann, "bonus") == 100


async def test_a_repeat_under_its_key_gets_the_first_answer(shop: Shop, ann: Person) -> None:
    payment = await shop.bought(ann)
    body = {"planId": PLAN, "paymentId": payment["id"], "amount": 1000}

    answers = [
        await shop.rest.call(
            "POST", "/wallet/charge", by=ann, json=body, headers={HEADER: "k"}, status=200
        )
        for _ in range(2)
    ]

    assert answers[0].body == answers[1].body
    assert await shop.balance(ann, "bonus") == 100


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"planId": "1"}, "INVALID_PLAN_ID"),
        ({"paymentId": "1"}, "INVALID_PAYMENT_ID"),
        ({"paymentId": str(new_id())}, "INVALID_PAYMENT_ID"),
        ({"amount": 0}, "INVALID_AMOUNT"),
        ({"amount": 999}, "INVALID_AMOUNT"),
        ({"amount": "1000"}, "INVALID_AMOUNT"),
        ({"amount": 500, "planId": SMALL}, "INVALID_AMOUNT"),
        ({"planId": SMALL}, "INVALID_AMOUNT"),
        ({"bonus": 1}, "INVALID_PAYLOAD"),
    ],
)
async def test_a_wrong_charge_is_refused_and_moves_nothing(
    shop: Shop, ann: Person, wrong: dict[str, object], code: str
) -> None:
    payment = await shop.bought(ann)
    body = {"planId": PLAN, "paymentId": payment["id"], "amount": 1000} | wrong

    answer = await shop.rest.call("POST", "/wallet/charge", by=ann, json=body)

    assert (answer.status, answer.error) == (400, code)
    assert await shop.counts("select count(*) from plan_purchase") == 0
    assert await shop.balance(ann, "bonus") == 0


async def test_an_unknown_or_retired_plan_is_not_found(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment = await shop.bought(ann)
    await shop.rest.call("DELETE", f"/wallet/plans/{PLAN}", by=boss, status=200)

    for plan_id in (PLAN, str(new_id())):
        answer = await shop.charge(ann, plan_id, payment["id"])
        assert (answer.status, answer.error) == (404, "PLAN_NOT_FOUND")


async def test_only_a_completed_payment_of_ones_own_is_redeemed(
    shop: Shop, ann: Person, boss: Person
) -> None:
    ben = await shop.rest.person("Ben")
    paid, pending, failed = [await shop.order(ann) for _ in range(3)]
    await shop.deliver(shop.event(paid["reference"]))
    await shop.deliver(shop.event(failed["reference"], kind="payment.failed"))
    primary = await shop.bought(ann, wallet="primary")
    refunded = await shop.bought(ann)
    await shop.refund(boss, refunded["id"])

    for person, payment, status, code in (
        (ben, paid, 400, "INVALID_PAYMENT_ID"),
        (ann, pending, 409, "PAYMENT_NOT_COMPLETED"),
        (ann, failed, 400, "INVALID_PAYMENT_ID"),
        (ann, primary, 400, "INVALID_PAYMENT_ID"),
        (ann, refunded, 400, "INVALID_PAYMENT_ID"),
    ):
        answer = await shop.charge(person, PLAN, payment["id"])
        assert (answer.status, answer.error) == (status, code)
    assert await shop.counts("select count(*) from plan_purchase") == 0


async def test_the_history_lists_what_was_bought(shop: Shop, ann: Person) -> None:
    ben = await shop.rest.person("Ben")
    first, second = await shop.bought(ann, planId=PLAN), await shop.bought(ann, 70)
    await shop.order(ann)

    path = "/wallet/purchase-history"
    newest = await shop.rest.call("GET", path, by=ann, status=200)
    oldest = await shop.rest.call("GET", f"{path}?sort=oldest&limit=1", by=ann, status=200)
    page = await shop.rest.call("GET", f"{path}?limit=1&page=2", by=ann, status=200)
    others = await shop.rest.call("GET", path, by=ben, status=200)

    assert [each["paymentId"] for each in newest.body["items"]] == [second["id"], first["id"]]
    assert newest.body["total"] == 2
    assert oldest.body["items"] == page.body["items"] == newest.body["items"][1:]
    item = oldest.body["items"][0]
    assert item.pop("createdAt").endswith("Z")
    assert item == {
        "historyId": first["id"],
        "planId": PLAN,
        "planTitle": "1000 points",
        "amount": 1000,
        "points": 1000,
        "bonusPoints": 100,
        "paymentId": first["id"],
    }
    assert newest.body["items"][0]["planId"] is None
    assert others.body["items"] == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("limit=x", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("sort=price", "INVALID_SORT"),
        ("sort=newest&sort=oldest", "INVALID_SORT"),
        ("page=0", "INVALID_PAGE"),
        ("colour=red", "INVALID_QUERY"),
    ],
)
async def test_a_wrong_page_of_the_history_is_refused(
    shop: Shop, ann: Person, query: str, code: str
) -> None:
    answer = await shop.rest.call("GET", f"/wallet/purchase-history?{query}", by=ann)
    assert (answer.status, answer.error) == (400, code)


async def test_purchases_are_for_those_who_are_logged_in(shop: Shop) -> None:
    for method, path in (("POST", "/wallet/charge"), ("GET", "/wallet/purchase-history")):
        assert (await shop.rest.call(method, path)).status == 401
