"""Payments of which no webhook told anything are asked about."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.test_utils import unused_port

from rest.payments.asking import AT_ONCE, Asker
from storage import payments
from tests.rest.harness import Person
from tests.rest.payments.shop import Shop

AGE = "update payment set created_at = created_at - $1 * interval '1 s', ask_at = now()"


@pytest.fixture
def asker(shop: Shop) -> Asker:
    return Asker(shop.rest.pool, [shop.gateway], shop.settler)


async def paid_unheard(shop: Shop, person: Person) -> dict[str, str]:
    """Paid at the gateway, whose webhook is lost."""
    payment = await shop.order(person)
    shop.place.url = f"http://127.0.0.1:{unused_port()}"
    assert not await shop.gateway.pay(payment["reference"], paid=True)
    return payment


async def test_a_payment_whose_webhook_is_lost_is_credited(
    shop: Shop, asker: Asker, ann: Person
) -> None:
    payment = await paid_unheard(shop, ann)
    assert await asker.ask_due() is False
    assert await shop.status(ann, payment["id"]) == "processing", "it is not due yet"

    await shop.rest.pool.execute(AGE, 120)
    await asyncio.gather(*(asker.ask_due() for _ in range(5)))

    assert await shop.status(ann, payment["id"]) == "completed"
    assert await shop.balance(ann) == 1000
    assert await shop.counts("select count(*) from payment where ask_at is not null") == 0


async def test_what_is_still_open_is_due_when_its_age_has_doubled_for_a_week(
    shop: Shop, asker: Asker, ann: Person
) -> None:
    await shop.order(ann)
    await shop.rest.pool.execute(AGE, 3_600)
    await asker.ask_due()
    waits = "select extract(epoch from ask_at - now())::int from payment"
    assert 3_590 < await shop.counts(waits) <= 3_605

    await shop.rest.pool.execute(AGE, 7 * 86_400)
    await asker.ask_due()
    assert await shop.counts("select count(*) from payment where ask_at is not null") == 0


async def test_what_cannot_be_asked_now_is_due_again(shop: Shop, asker: Asker, ann: Person) -> None:
    await shop.order(ann)
    await shop.rest.pool.execute(AGE, 3_600)
    silent = Asker(shop.rest.pool, [], shop.settler)
    await silent.ask_due()
    assert await shop.counts("select count(*) from payment where ask_at > now()") == 1


async def test_there_is_a_limit_to_what_is_asked_at_once(shop: Shop, ann: Person) -> None:
    for _ in range(AT_ONCE + 1):
        await shop.order(ann)
    await shop.rest.pool.execute(AGE, 3_600)
    async with shop.rest.pool.acquire() as conn:
        assert len(await payments.take_due(conn, limit=AT_ONCE)) == AT_ONCE
        assert len(await payments.take_due(conn, limit=AT_ONCE)) == 1
