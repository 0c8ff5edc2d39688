from __future__ import annotations

import asyncio

import orjson
import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.harness import Person
from tests.rest.payments.shop import PLAN, Shop
from tests.storage.paying import Stall
from tests.storage.world import check_books


async def test_a_refund_takes_back_the_money_and_its_plan(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment = await shop.bought(ann, planId=PLAN)

    answer = await shop.refund(boss, payment["id"])

    assert answer.status == 200
    assert answer.body["payment"]["status"] == "refunded"
    assert answer.body["payment"]["completedAt"] is not None
    assert await shop.balance(ann) == 0
    assert await shop.balance(ann, "bonus") == 0
    async with shop.rest.pool.acquire() as conn:
        line = await conn.fetchrow("select actor, action, reason from audit_log")
        jobs = await conn.fetch("select entrypoint, payload from pgqueuer")
        types = await conn.fetch(
            "select type from notification where user_id = $1 order by id", ann.id
        )
    assert tuple(line or ()) == (boss.id, "payment_refund", "paid twice")
    assert [(row["entrypoint"], orjson.loads(row["payload"])) for row in jobs] == [
        ("refund_payment", {"paymentId": payment["id"]})
    ]
    assert [row["type"] for row in types] == ["PAYMENT_COMPLETED", "PAYMENT_REFUNDED"]
    await check_books(shop.rest.pool)


async def test_twenty_refunds_at_once_are_one_with_one_answer(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment, other = await shop.bought(ann), await shop.bought(ann)

    answers = await asyncio.gather(*(shop.refund(boss, payment["id"]) for _ in range(20)))

    assert {answer.status for answer in answers} == {200}
    assert len({answer.raw for answer in answers}) == 1
    assert await shop.balance(ann) == 1000
    assert await shop.status(ann, other["id"]) == "completed"
    assert await shop.counts("select count(*) from audit_log") == 1
    assert await shop.counts("select count(*) from pgqueuer") == 1


async def test_a_repeat_under_its_key_gets_the_first_answer(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment = await shop.bought(ann)
    path, body = f"/payments/{payment['id']}/refund", {"reason": "paid twice"}
    answers = [
        await shop.rest.call("POST", path, by=boss, json=body, headers={HEADER: "k"}, status=200)
        for _ in range(2)
    ]
    assert answers[0].body == answers[1].body
    answer = await shop.rest.call(
        "POST", path, by=boss, json={"reason": "another"}, headers={HEADER: "k"}
    )
    assert (answer.status, answer.error) == (409, "IDEMPOTENCY_CONFLICT")


async def test_money_that_was_spent_is_not_refunded(shop: Shop, ann: Person, boss: Person) -> None:
    payment = await shop.bought(ann, planId=PLAN)
    await shop.spend(ann, 1)

    answer = await shop.refund(boss, payment["id"])

    assert (answer.status, answer.error) == (409, "INSUFFICIENT_FUNDS")
    assert answer.body["details"] == {"required": 1000, "available": 999}
    assert await shop.balance(ann) == 999
    assert await shop.balance(ann, "bonus") == 100
    assert await shop.status(ann, payment["id"]) == "completed"
    assert await shop.counts("select count(*) from audit_log") == 0


async def test_only_a_completed_payment_is_refundable(
    shop: Shop, ann: Person, boss: Person
) -> None:
    pending, failed = await shop.order(ann), await shop.order(ann)
    await shop.deliver(shop.event(failed["reference"], kind="payment.failed"))

    for payment in (pending, failed):
        answer = await shop.refund(boss, payment["id"])
        assert (answer.status, answer.error) == (409, "PAYMENT_NOT_REFUNDABLE")
    answer = await shop.refund(boss, str(new_id()))
    assert (answer.status, answer.error) == (404, "PAYMENT_NOT_FOUND")


async def test_what_was_sold_for_good_is_not_refundable(
    shop: Shop, ann: Person, boss: Person
) -> None:
    stall = Stall(final=True)
    shop.sellers["quote"] = stall
    body = {"method": "sandbox", "purpose": "quote", "targetId": str(stall.target_id)}
    made = await shop.rest.call("POST", "/payments", by=ann, json=body, status=201)
    payment = made.body["payment"]
    await shop.deliver(shop.event(payment["reference"]))

    assert (await shop.refund(boss, payment["id"])).error == "PAYMENT_NOT_REFUNDABLE"
    stall.final = False
    assert (await shop.refund(boss, payment["id"])).status == 200
    await check_books(shop.rest.pool)


async def test_no_gateway_is_asked_about_money_of_a_wallet(
    shop: Shop, ann: Person, boss: Person
) -> None:
    await shop.bought(ann, wallet="primary")
    payment = (await shop.pay(ann, 600)).body["payment"]

    await shop.refund(boss, payment["id"])

    assert await shop.balance(ann, "primary") == 1000
    assert await shop.counts("select count(*) from pgqueuer") == 0


@pytest.mark.parametrize("reason", ["", "no", "x" * 201, 1, None, "a\0bc"])
async def test_a_refund_has_a_reason(shop: Shop, ann: Person, boss: Person, reason: object) -> None:
    payment = await shop.bought(ann)
    path = f"/payments/{payment['id']}/refund"

    answer = await shop.rest.call("POST", path, by=boss, json={"reason": reason})

    assert (answer.status, answer.error) == (400, "INVALID_REASON")
    assert await shop.balance(ann) == 1000


async def test_refunds_are_for_operators(shop: Shop, ann: Person) -> None:
    payment = await shop.bought(ann)
    path = f"/payments/{payment['id']}/refund"

    assert (await shop.refund(ann, payment["id"])).status == 403
    assert (await shop.rest.call("POST", path, json={"reason": "mine"})).status == 401
    assert await shop.balance(ann) == 1000


async def test_nobody_refunds_a_payment_of_their_own(shop: Shop, boss: Person) -> None:
    payment = await shop.bought(boss)
    answer = await shop.refund(boss, payment["id"])
    assert (answer.status, answer.error) == (403, "SELF_APPROVAL")
    assert await shop.balance(boss) == 1000
