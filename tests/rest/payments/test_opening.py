"""What a payment is for, and at whose price."""

from __future__ import annotations

from typing import Any

import pytest

from rest.http.errors import Problem
from rest.http.idempotency import HEADER
from rest.payments.bodies import PaymentBody
from rest.payments.opening import judge
from storage.ids import new_id
from tests.rest.harness import Answer, Person
from tests.rest.payments.shop import PLAN, Shop
from tests.storage.paying import Stall

SOME = new_id()


@pytest.fixture
def stall(shop: Shop) -> Stall:
    made = Stall()
    shop.sellers["quote"] = made
    return made


async def ask(shop: Shop, person: Person, **body: object) -> Answer:
    return await shop.rest.call("POST", "/payments", by=person, json={"method": "sandbox"} | body)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "amount"),
        ({"purpose": "quote"}, "targetId"),
        ({"amount": 1, "target_id": SOME}, "targetId"),
        ({"purpose": "order", "target_id": SOME, "plan_id": SOME}, "planId"),
        ({"purpose": "order", "target_id": SOME, "wallet": "primary"}, "wallet"),
        ({"purpose": "order", "target_id": SOME, "wallet": "call_credits"}, "wallet"),
        ({"plan_id": SOME, "wallet": "primary"}, "wallet"),
        ({"amount": 1, "wallet": "primary", "method": "wallet"}, "wallet"),
    ],
)
def test_fields_that_do_not_fit_together_are_named(given: dict[str, Any], field: str) -> None:
    with pytest.raises(Problem) as refused:
        judge(PaymentBody(**{"method": "sandbox"} | given))
    assert refused.value.details["field"] == field


@pytest.mark.parametrize(
    "given",
    [
        {"amount": 1},
        {"amount": 1, "wallet": "primary"},
        {"amount": 1, "method": "wallet"},
        {"plan_id": SOME},
        {"plan_id": SOME, "amount": 1, "wallet": "call_credits", "method": "wallet"},
        {"purpose": "subscription", "target_id": SOME},
        {"purpose": "subscription", "target_id": SOME, "amount": 1, "method": "wallet"},
    ],
)
def test_fields_that_fit_together_pass(given: dict[str, Any]) -> None:
    judge(PaymentBody(**{"method": "sandbox"} | given))


async def test_a_plan_is_paid_at_its_price_and_gives_its_bonus(shop: Shop, ann: Person) -> None:
    answer = await ask(shop, ann, planId=PLAN)
    payment = answer.body["payment"]
    assert (payment["amount"], payment["planId"]) == (1000, PLAN)

    await shop.deliver(shop.event(payment["reference"]))

    assert await shop.balance(ann) == 1000
    assert await shop.balance(ann, "bonus") == 100


async def test_a_plan_at_another_price_or_unknown_is_refused(shop: Shop, ann: Person) -> None:
    for body, status, code in (
        ({"planId": PLAN, "amount": 999}, 400, "INVALID_AMOUNT"),
        ({"planId": str(new_id())}, 404, "PLAN_NOT_FOUND"),
    ):
        answer = await ask(shop, ann, **body)
        assert (answer.status, answer.error) == (status, code)
    assert await shop.counts("select count(*) from payment") == 0


async def test_a_top_up_may_fill_the_primary_wallet(shop: Shop, ann: Person) -> None:
    await shop.bought(ann, wallet="primary")

    assert await shop.balance(ann, "primary") == 1000
    assert await shop.balance(ann) == 0


async def test_the_own_wallet_pays_at_once(shop: Shop, ann: Person) -> None:
    await shop.bought(ann, wallet="primary")

    answer = await shop.pay(ann, 600)

    assert answer.status == 201
    payment = answer.body["payment"]
    assert (payment["status"], payment["checkoutUrl"]) == ("completed", None)
    assert await shop.balance(ann, "primary") == 400
    assert await shop.balance(ann) == 600
    assert shop.kicks.count == 2
    path = f"/payments/verify/{payment['reference']}"
    verified = await shop.rest.call("POST", path, by=ann, status=200)
    assert verified.body["payment"] == payment


async def test_a_wallet_that_is_short_says_so_and_leaves_no_payment(
    shop: Shop, ann: Person
) -> None:
    await shop.bought(ann, wallet="primary")

    answer = await shop.pay(ann, 1001)

    assert (answer.status, answer.error) == (402, "INSUFFICIENT_FUNDS")
    assert answer.body["details"] == {"required": 1001, "available": 1000}
    assert await shop.counts("select count(*) from payment") == 1


async def test_a_plan_can_be_bought_from_the_own_wallet(shop: Shop, ann: Person) -> None:
    await shop.bought(ann, wallet="primary")

    answer = await ask(shop, ann, method="wallet", planId=PLAN)

    assert answer.body["payment"]["planId"] == PLAN
    assert [await shop.balance(ann, kind) for kind in ("primary", "call_credits", "bonus")] == [
        0,
        1000,
        100,
    ]


async def test_what_was_paid_before_a_crash_is_not_paid_again(shop: Shop, ann: Person) -> None:
    await shop.bought(ann, wallet="primary")
    body, key = {"amount": 300, "method": "wallet"}, {HEADER: "k"}

    async def again(**more: int) -> Answer:
        # The answer was not kept: the server died after the payment's commit.
        async with shop.rest.pool.acquire() as conn:
            await conn.execute("delete from idempotency")
        return await shop.rest.call("POST", "/payments", by=ann, json=body | more, headers=key)

    answers = [await again() for _ in range(2)]

    assert answers[0].body == answers[1].body
    assert await shop.balance(ann) == 300
    assert (await again(amount=400)).error == "IDEMPOTENCY_CONFLICT"
    assert await shop.balance(ann) == 300


async def test_the_wallet_is_no_gateway_whose_webhook_could_pay(shop: Shop, ann: Person) -> None:
    raw = shop.event("pay_x")
    headers = shop.signed(raw) | {"X-Payment-Provider": "wallet"}
    assert (await shop.deliver(raw, headers)).error == "INVALID_WEBHOOK"


async def test_what_nobody_sells_cannot_be_paid(shop: Shop, ann: Person, stall: Stall) -> None:
    for purpose, target in (
        ("order", stall.target_id),
        ("subscription", stall.target_id),
        ("quote", new_id()),
    ):
        for method in ("sandbox", "wallet"):
            answer = await ask(shop, ann, method=method, purpose=purpose, targetId=str(target))
            assert (answer.status, answer.error) == (404, "TARGET_NOT_FOUND")
    assert await shop.counts("select count(*) from payment") == 0


async def test_a_sale_costs_what_its_seller_says(shop: Shop, ann: Person, stall: Stall) -> None:
    sale = {"purpose": "quote", "targetId": str(stall.target_id)}
    answer = await ask(shop, ann, **sale, amount=1)
    assert (answer.status, answer.error) == (400, "INVALID_AMOUNT")
    assert answer.body["details"] == {"field": "amount", "price": 1000}
    answer = await ask(shop, ann, **sale, currency="EUR")
    assert (answer.status, answer.error) == (400, "CURRENCY_NOT_SUPPORTED")

    answer = await ask(shop, ann, **sale, amount=1000)
    payment = answer.body["payment"]
    assert (payment["amount"], payment["targetId"], payment["wallet"]) == (
        1000,
        str(stall.target_id),
        None,
    )
    outcomes = [(await shop.deliver(shop.event(payment["reference"]))).body for _ in range(2)]

    assert [body["outcome"] for body in outcomes] == ["completed", "unchanged"]
    assert stall.told == ["paid completed"]
    assert await escrow(shop) == 1000


async def test_a_sale_can_be_paid_from_the_own_wallet(
    shop: Shop, ann: Person, stall: Stall
) -> None:
    sale = {"method": "wallet", "purpose": "quote", "targetId": str(stall.target_id)}
    assert (await ask(shop, ann, **sale)).status == 402
    await shop.bought(ann, wallet="primary")

    answer = await ask(shop, ann, **sale)

    assert answer.body["payment"]["status"] == "completed"
    assert await escrow(shop) == 1000
    assert await shop.balance(ann, "primary") == 0


async def test_a_seller_that_fails_at_the_webhook_leaves_the_event_to_come_again(
    shop: Shop, ann: Person, stall: Stall
) -> None:
    payment = (await ask(shop, ann, purpose="quote", targetId=str(stall.target_id))).body["payment"]
    raw = shop.event(payment["reference"])
    stall.broken = True

    assert (await shop.deliver(raw)).status == 500

    assert await shop.events() == 0
    assert await shop.status(ann, payment["id"]) == "processing"
    stall.broken = False
    assert (await shop.deliver(raw)).body["outcome"] == "completed"


async def test_money_for_what_was_sold_meanwhile_is_not_lost(
    shop: Shop, ann: Person, stall: Stall
) -> None:
    payment = (await ask(shop, ann, purpose="quote", targetId=str(stall.target_id))).body["payment"]
    stall.sold_out = True

    await shop.deliver(shop.event(payment["reference"]))

    found = await shop.rest.call("GET", f"/payments/{payment['id']}", by=ann, status=200)
    assert found.body["payment"]["wallet"] == "primary"
    assert await shop.balance(ann, "primary") == 1000


async def escrow(shop: Shop) -> int:
    return await shop.counts(
        "select coalesce(sum(posted), 0)::bigint from account where label = 'escrow:quote'"
    )
