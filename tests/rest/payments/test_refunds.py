"""The gateway's part of a refund, as a job."""

from __future__ import annotations

import pytest

from rest.payments.gateways.port import GatewayDown
from rest.payments.refunds import NotGivenBack, RefundJobs
from storage.ids import new_id
from tests.rest.harness import Person
from tests.rest.payments.shop import Shop


async def test_the_gateway_gives_back_the_whole_under_a_key_of_the_payment(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment = await shop.bought(ann)
    await shop.refund(boss, payment["id"])
    jobs = RefundJobs(shop.rest.pool, [shop.gateway])

    for _ in range(2):
        await jobs.refund({"paymentId": payment["id"]})

    assert shop.gateway.refunds == {
        f"refund:{payment['id']}": (f"sbx_{payment['reference']}", 1000, "PTS")
    }


async def test_a_gateway_that_is_away_is_asked_again(
    shop: Shop, ann: Person, boss: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(ref: str, amount_minor: int, currency: str, key: str) -> None:
        raise GatewayDown("no answer")

    payment = await shop.bought(ann)
    await shop.refund(boss, payment["id"])
    monkeypatch.setattr(shop.gateway, "refund", away)

    with pytest.raises(GatewayDown):
        await RefundJobs(shop.rest.pool, [shop.gateway]).refund({"paymentId": payment["id"]})


async def test_what_is_not_refunded_here_is_not_given_back(shop: Shop, ann: Person) -> None:
    payment = await shop.bought(ann)
    jobs = RefundJobs(shop.rest.pool, [shop.gateway])

    for payment_id in (payment["id"], str(new_id())):
        with pytest.raises(NotGivenBack):
            await jobs.refund({"paymentId": payment_id})
    assert shop.gateway.refunds == {}


async def test_a_gateway_that_is_no_longer_here_leaves_the_job_undone(
    shop: Shop, ann: Person, boss: Person
) -> None:
    payment = await shop.bought(ann)
    await shop.refund(boss, payment["id"])

    with pytest.raises(NotGivenBack, match="sandbox cannot be asked"):
        await RefundJobs(shop.rest.pool, []).refund({"paymentId": payment["id"]})
