from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from rest.payments.gateways.port import Found, GatewayEvent, GatewayStatus
from rest.payments.settle import Settler
from storage.pool import Pool
from tests.rest.harness import Person
from tests.rest.payments.shop import Shop

PAID = GatewayStatus("paid", 1000, "PTS")


async def test_one_event_fifty_times_at_once_credits_once(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    event = GatewayEvent("evt_1", "payment.paid", payment["reference"], PAID)

    outcomes = await asyncio.gather(*(shop.settler.event("sandbox", event) for _ in range(50)))

    assert sorted(outcomes) == ["completed"] + ["seen"] * 49
    assert await shop.balance(ann) == 1000
    assert shop.kicks.count == 1


async def test_events_and_questions_at_once_credit_once(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    reference = payment["reference"]
    events = [GatewayEvent(f"evt_{n}", "payment.paid", reference, PAID) for n in range(10)]

    await asyncio.gather(
        *(shop.settler.event("sandbox", event) for event in events),
        *(shop.settler.found("sandbox", reference, PAID) for _ in range(10)),
    )

    assert await shop.balance(ann) == 1000
    assert await shop.topups(payment["id"]) == 1
    assert shop.kicks.count == 1


async def test_an_event_without_news_of_money_is_noted_and_ignored(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    status = GatewayStatus("open", 0, "PTS")

    outcome = await shop.settler.event(
        "sandbox", GatewayEvent("evt_1", "payment.created", payment["reference"], status)
    )

    assert outcome == "ignored"
    assert await shop.status(ann, payment["id"]) == "processing"
    assert await shop.events() == 1


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        ("mispaid", "mismatch"),
        ("disputed", "disputed"),
        ("refund_failed", "refund_failed"),
    ],
)
async def test_news_that_settles_nothing_is_noted_in_its_word(
    shop: Shop, ann: Person, found: Found, outcome: str
) -> None:
    payment = await shop.order(ann)
    for number, reference in enumerate((payment["reference"], "pay_of_nobody")):
        event = GatewayEvent(
            f"evt_{number}", "payment.news", reference, GatewayStatus(found, 1000, "PTS")
        )
        assert await shop.settler.event("sandbox", event) == outcome

    assert await shop.balance(ann) == 0
    assert await shop.status(ann, payment["id"]) == "processing"
    assert await shop.events() == 2
    assert shop.kicks.count == 0


async def test_a_refund_of_what_we_refunded_is_no_news(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    async with shop.rest.pool.acquire() as conn:
        await conn.execute("update payment set status = 'refunded'")
    event = GatewayEvent(
        "evt_1", "charge.refunded", payment["reference"], GatewayStatus("refunded", 1000, "PTS")
    )
    assert await shop.settler.event("sandbox", event) == "unchanged"


async def test_an_event_leaves_nothing_when_the_credit_fails(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    event = GatewayEvent("evt_1", "payment.paid", payment["reference"], PAID)
    async with shop.rest.pool.acquire() as conn:
        await conn.execute("alter table outbox add constraint broken check (topic = 'x')")

    with pytest.raises(Exception, match="broken"):
        await shop.settler.event("sandbox", event)

    assert await shop.events() == 0
    assert await shop.balance(ann) == 0
    assert shop.kicks.count == 0
    async with shop.rest.pool.acquire() as conn:
        await conn.execute("alter table outbox drop constraint broken")
    assert await shop.settler.event("sandbox", event) == "completed"
    assert await shop.balance(ann) == 1000


async def test_what_the_gateway_took_back_is_taken_back_or_reported(
    shop: Shop, ann: Person
) -> None:
    whole, spent = await shop.bought(ann), await shop.bought(ann)
    back = GatewayStatus("refunded", 1000, "PTS")

    async def event(payment: dict[str, str], name: str) -> str:
        told = GatewayEvent(name, "charge.refunded", payment["reference"], back)
        return await shop.settler.event("sandbox", told)

    assert await event(whole, "evt_1") == "refunded"
    await shop.spend(ann, 1)
    with capture_logs() as logs:
        assert await event(spent, "evt_2") == "flagged"

    assert await shop.balance(ann) == 999
    assert await shop.status(ann, whole["id"]) == "refunded"
    assert await shop.status(ann, spent["id"]) == "completed"
    async with shop.rest.pool.acquire() as conn:
        rows = await conn.fetch("select event_id, outcome from psp_event where kind like 'c%'")
    assert {tuple(row) for row in rows} == {("evt_1", "refunded"), ("evt_2", "flagged")}
    assert [(log["event"], log["why"]) for log in logs] == [("payment_event_refused", "flagged")]


async def test_what_gateways_say_is_observed_after_it_is_committed(
    shop: Shop, ann: Person, pool: Pool
) -> None:
    heard: list[tuple[str, str, str]] = []
    settler = Settler(pool, kick=lambda: None, sellers={}, observe=lambda *said: heard.append(said))
    one, other = await shop.order(ann), await shop.order(ann)
    event = GatewayEvent("evt_1", "payment.paid", one["reference"], PAID)
    await settler.event("sandbox", event)
    await settler.event("sandbox", event)
    await settler.found("sandbox", other["reference"], PAID)
    assert heard == [
        ("sandbox", "webhook", "completed"),
        ("sandbox", "webhook", "seen"),
        ("sandbox", "question", "completed"),
    ]
