"""Many hands on one payment and one wallet: what must happen once happens once."""

from __future__ import annotations

import asyncio
from collections import Counter

from storage.errors import InsufficientFunds
from tests.rest.harness import Person
from tests.rest.payments.shop import PLAN, Shop
from tests.storage.world import check_books


async def test_verifies_webhooks_and_charges_of_one_payment_at_once(
    shop: Shop, ann: Person
) -> None:
    payment = await shop.order(ann)
    reference = payment["reference"]
    # Paid at the gateway; the webhooks are ours.
    place, shop.place.url = shop.place.url, "http://127.0.0.1:1"
    await shop.gateway.pay(reference, paid=True)
    shop.place.url = place
    same = shop.event(reference)
    path = f"/payments/verify/{reference}"

    answers = await asyncio.gather(
        *(shop.rest.call("POST", path, by=ann) for _ in range(50)),
        *(shop.deliver(same) for _ in range(25)),
        *(shop.deliver(shop.event(reference)) for _ in range(25)),
        *(shop.charge(ann, PLAN, payment["id"]) for _ in range(50)),
    )
    last = await shop.charge(ann, PLAN, payment["id"])

    assert {answer.status for answer in answers[:100]} == {200}
    charged = Counter(answer.status for answer in [*answers[100:], last])
    assert charged == {200: 1, 409: 50}
    assert await shop.balance(ann) == 1000
    assert await shop.balance(ann, "bonus") == 100
    assert await shop.topups(payment["id"]) == 2
    await check_books(shop.rest.pool)


async def test_a_wallet_with_money_for_37_pays_37_of_200(shop: Shop, ann: Person) -> None:
    await shop.bought(ann, 37 * 10 + 9, wallet="primary")

    statuses = Counter[int]()
    for _ in range(4):
        answers = await asyncio.gather(*(shop.pay(ann, 10) for _ in range(50)))
        statuses.update(answer.status for answer in answers)

    assert statuses == {201: 37, 402: 163}
    assert await shop.balance(ann, "primary") == 9
    assert await shop.balance(ann) == 370
    assert await shop.counts("select count(*) from payment where gateway = 'wallet'") == 37
    await check_books(shop.rest.pool)


async def test_a_refund_against_spending_is_all_or_nothing(
    shop: Shop, ann: Person, boss: Person
) -> None:
    async def spend() -> bool:
        try:
            await shop.spend(ann, 100)
        except InsufficientFunds:
            return False
        return True

    refunds = 0
    for _ in range(5):
        before = await shop.balance(ann)
        payment = await shop.bought(ann)
        refunded, spent = await asyncio.gather(
            shop.refund(boss, payment["id"]), asyncio.gather(*(spend() for _ in range(10)))
        )
        after = await shop.balance(ann)
        if refunded.status == 200:
            refunds += 1
            assert after == before - 100 * sum(spent)
        else:
            assert refunded.error == "INSUFFICIENT_FUNDS"
            assert after == before + 1000 - 100 * sum(spent)
    assert await shop.counts("select count(*) from payment where status = 'refunded'") == refunds
    await check_books(shop.rest.pool)
