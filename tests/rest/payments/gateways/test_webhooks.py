"""Each company's webhooks through the real routes: what is proven is settled, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rest.http.signature import Forged
from rest.payments.gateways.port import Gateway
from tests.rest.harness import Answer, Person
from tests.rest.payments.gateways import fake_monnify, fake_stripe
from tests.rest.payments.gateways.fake_monnify import FakeMonnify
from tests.rest.payments.gateways.fake_stripe import PUBLISHABLE_KEY, FakeStripe
from tests.rest.payments.gateways.vendors import TIMED, VENDORS, Vendor, reserialised
from tests.rest.payments.shop import Shop

each_vendor = pytest.mark.parametrize("vendor", VENDORS, indirect=True)
each_timed_vendor = pytest.mark.parametrize("vendor", TIMED, indirect=True)


async def order(shop: Shop, person: Person, method: str) -> dict[str, Any]:
    body = {"amount": 1000, "method": method}
    answer = await shop.rest.call("POST", "/payments", by=person, json=body, status=201)
    return answer.body


async def bought(shop: Shop, person: Person, vendor: Vendor) -> tuple[str, str]:
    """Id and reference of a payment that waits for its money."""
    payment = (await order(shop, person, vendor.name))["payment"]
    assert payment["status"] == "processing"
    return payment["id"], payment["reference"]


async def deliver(shop: Shop, vendor: Vendor, raw: bytes, **how: Any) -> Answer:
    at_s = shop.clock() // 1000 + how.pop("late_s", 0)
    return await shop.deliver(raw, vendor.headers(raw, at_s, **how))


async def outcomes(shop: Shop, vendor: Vendor, *bodies: bytes) -> list[str]:
    answers = [await deliver(shop, vendor, raw) for raw in bodies]
    assert {answer.status for answer in answers} == {200}
    return [answer.body["outcome"] for answer in answers]


async def assert_nothing_happened(shop: Shop, person: Person, payment_id: str) -> None:
    assert await shop.events() == 0
    assert await shop.balance(person) == 0
    assert await shop.status(person, payment_id) == "processing"


async def test_each_gateway_says_in_its_way_where_to_pay(shop: Shop, ann: Person) -> None:
    sandbox, stripe, monnify = [await order(shop, ann, name) for name in VENDORS]

    assert "/sandbox/checkout/" in sandbox["payment"]["checkoutUrl"]
    assert monnify["payment"]["checkoutUrl"].endswith("monnify.com/checkout/x")
    for opened in (sandbox, monnify):
        assert (opened["clientSecret"], opened["publishableKey"]) == (None, None)
    assert stripe["payment"]["checkoutUrl"] is None
    assert stripe["publishableKey"] == PUBLISHABLE_KEY
    assert stripe["clientSecret"].startswith("pi_")


async def test_a_client_secret_is_shown_once_and_kept_nowhere_else(shop: Shop, ann: Person) -> None:
    opened = await order(shop, ann, "stripe")
    path = f"/payments/{opened['payment']['id']}"
    answer = await shop.rest.call("GET", path, by=ann, status=200)
    assert opened["clientSecret"].encode() not in answer.raw
    async with shop.rest.pool.acquire() as conn:
        row = await conn.fetchval("select payment::text from payment")
    assert opened["clientSecret"] not in row


@each_vendor
async def test_an_event_credits_once_however_often_it_is_told(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    raw = vendor.tell(reference)
    again = vendor.tell(reference)

    assert await outcomes(shop, vendor, raw, raw, again) == ["completed", "seen", "unchanged"]

    assert await shop.balance(ann) == 1000
    assert await shop.topups(payment_id) == 1
    assert await shop.events() == 2


@each_vendor
async def test_a_failure_after_the_money_changes_nothing(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    assert await outcomes(shop, vendor, vendor.tell(reference)) == ["completed"]
    assert await outcomes(shop, vendor, vendor.tell(reference, "failed")) == ["unchanged"]
    assert await shop.status(ann, payment_id) == "completed"
    assert await shop.balance(ann) == 1000


@each_vendor
async def test_money_after_a_failure_is_credited(shop: Shop, ann: Person, vendor: Vendor) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    assert await outcomes(shop, vendor, vendor.tell(reference, "failed")) == ["failed"]
    assert await shop.status(ann, payment_id) == "failed"
    assert await outcomes(shop, vendor, vendor.tell(reference)) == ["completed"]
    assert await shop.balance(ann) == 1000


@each_vendor
async def test_an_event_about_nobodys_payment_is_noted(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    assert await outcomes(shop, vendor, vendor.tell("pay_of_nobody")) == ["unknown"]
    assert await shop.events() == 1


@each_vendor
async def test_the_payment_of_another_gateway_is_nobodys(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    other = next(name for name in VENDORS if name != vendor.name)
    payment = (await order(shop, ann, other))["payment"]
    assert await outcomes(shop, vendor, vendor.tell(payment["reference"])) == ["unknown"]
    assert await shop.balance(ann) == 0


@each_vendor
@pytest.mark.parametrize(
    "wrong", [{"amount": 999}, {"amount": 1001}, {"amount": 100_000}, {"currency": "USD"}]
)
async def test_another_sum_is_not_credited(
    shop: Shop, ann: Person, vendor: Vendor, wrong: dict[str, Any]
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    assert await outcomes(shop, vendor, vendor.tell(reference, **wrong)) == ["mismatch"]
    assert await shop.balance(ann) == 0
    assert await shop.status(ann, payment_id) == "processing"


@each_vendor
async def test_fifty_copies_at_once_are_one_credit(shop: Shop, ann: Person, vendor: Vendor) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    raw = vendor.tell(reference)

    answers = await asyncio.gather(*(deliver(shop, vendor, raw) for _ in range(50)))

    assert {answer.status for answer in answers} == {200}
    assert sorted(each.body["outcome"] for each in answers) == ["completed"] + ["seen"] * 49
    assert await shop.balance(ann) == 1000
    assert await shop.topups(payment_id) == 1


@each_vendor
async def test_an_event_whose_credit_fails_is_not_recorded_and_may_come_again(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    raw = vendor.tell(reference)
    async with shop.rest.pool.acquire() as conn:
        await conn.execute("alter table outbox add constraint broken check (topic = 'x')")

    sent = vendor.headers(raw, shop.clock() // 1000)
    async with shop.rest.client.post("/payments/webhook", data=raw, headers=sent) as answer:
        assert answer.status == 500

    await assert_nothing_happened(shop, ann, payment_id)
    async with shop.rest.pool.acquire() as conn:
        await conn.execute("alter table outbox drop constraint broken")
    assert await outcomes(shop, vendor, raw) == ["completed"]


@each_vendor
@pytest.mark.parametrize(
    "forgery", ["stranger", "no header", "reserialised", "longer", "named another", "empty"]
)
async def test_what_is_not_proven_leaves_no_row(
    shop: Shop, ann: Person, vendor: Vendor, forgery: str
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    raw = vendor.tell(reference)
    headers = vendor.headers(raw, shop.clock() // 1000, stranger=forgery == "stranger")
    match forgery:
        case "no header":
            headers = {"X-Payment-Provider": vendor.name}
        case "named another":
            headers["X-Payment-Provider"] = next(each for each in VENDORS if each != vendor.name)
        case "reserialised":
            raw = reserialised(raw)
        case "longer":
            raw += b" "
        case "empty":
            raw = b""

    answer = await shop.deliver(raw, headers)

    assert (answer.status, answer.error) == (400, "INVALID_WEBHOOK")
    await assert_nothing_happened(shop, ann, payment_id)


@each_timed_vendor
@pytest.mark.parametrize("late_s", [-86_400, -301, 301, 86_400])
async def test_a_signature_of_another_time_leaves_no_row(
    shop: Shop, ann: Person, vendor: Vendor, late_s: int
) -> None:
    payment_id, reference = await bought(shop, ann, vendor)
    answer = await deliver(shop, vendor, vendor.tell(reference), late_s=late_s)
    assert (answer.status, answer.error) == (400, "INVALID_WEBHOOK")
    await assert_nothing_happened(shop, ann, payment_id)


@each_vendor
async def test_a_flip_of_any_byte_of_body_or_signature_is_seen(
    shop: Shop, vendor: Vendor, other_gateways: list[Gateway]
) -> None:
    gateways: list[Gateway] = [shop.gateway, *other_gateways]
    gateway = next(each for each in gateways if each.name == vendor.name)
    raw, now_s = vendor.tell("pay_1"), shop.clock() // 1000
    headers = vendor.headers(raw, now_s)
    (name, signature), *_ = headers.items()
    assert gateway.parse_webhook(headers, raw, now_s)

    for place in range(len(raw)):
        for bit in (0x01, 0x20, 0x80):
            bent = bytearray(raw)
            bent[place] ^= bit
            with pytest.raises(Forged):
                gateway.parse_webhook(headers, bytes(bent), now_s)
    for place in range(len(signature.partition(",v0=")[0])):
        sign = chr(ord(signature[place]) ^ 0x01)
        bent_signature = signature[:place] + sign + signature[place + 1 :]
        with pytest.raises(Forged):
            gateway.parse_webhook({name: bent_signature}, raw, now_s)


async def test_two_signatures_without_a_name_are_nobodys(shop: Shop, ann: Person) -> None:
    payment = (await order(shop, ann, "sandbox"))["payment"]
    raw = shop.event(payment["reference"])
    headers = shop.signed(raw) | {"monnify-signature": "0" * 128}
    del headers["X-Payment-Provider"]
    answer = await shop.deliver(raw, headers)
    assert (answer.status, answer.error) == (400, "INVALID_WEBHOOK")


async def test_an_old_event_of_monnify_is_worth_what_monnify_says_today(
    shop: Shop, ann: Person, fake_of_monnify: FakeMonnify
) -> None:
    payment = (await order(shop, ann, "monnify"))["payment"]
    transaction = fake_of_monnify.transactions[payment["reference"]]
    transaction |= {"paymentStatus": "PAID", "amountPaid": "10.00"}
    raw = fake_of_monnify.event(payment["reference"])
    transaction |= {"paymentStatus": "PENDING"}
    headers = {"monnify-signature": fake_monnify.sign(raw)}

    ahead = await shop.deliver(raw, headers)
    assert (ahead.status, ahead.error) == (503, "GATEWAY_UNAVAILABLE")
    await assert_nothing_happened(shop, ann, payment["id"])

    fake_of_monnify.mood = "down"
    assert (await shop.deliver(raw, headers)).status == 503
    fake_of_monnify.mood = "well"
    del fake_of_monnify.transactions[payment["reference"]]
    assert (await shop.deliver(raw, headers)).status == 400
    await assert_nothing_happened(shop, ann, payment["id"])

    fake_of_monnify.transactions[payment["reference"]] = transaction | {"paymentStatus": "PAID"}
    assert (await shop.deliver(raw, headers)).body["outcome"] == "completed"


async def test_a_dispute_is_noted_and_takes_nothing_by_itself(
    shop: Shop, ann: Person, fake_of_stripe: FakeStripe
) -> None:
    payment = (await order(shop, ann, "stripe"))["payment"]
    intent = fake_of_stripe.intent_of(payment["reference"])
    intent |= {"status": "succeeded", "amount_received": 1000}
    paid = fake_of_stripe.event("payment_intent.succeeded", intent)
    dispute = {"amount": 1000, "currency": "pts", "payment_intent": intent["id"]}
    disputed = fake_of_stripe.event("charge.dispute.created", dispute)

    found = []
    for raw in (paid, disputed, fake_of_stripe.event("customer.created", {})):
        headers = {"Stripe-Signature": fake_stripe.sign(raw, shop.clock() // 1000)}
        found.append((await shop.deliver(raw, headers)).body["outcome"])

    assert found == ["completed", "disputed", "ignored"]
    assert await shop.balance(ann) == 1000


@pytest.mark.usefixtures("impatient")
async def test_a_gateway_that_hangs_fails_the_payment_in_time(
    shop: Shop, ann: Person, fake_of_monnify: FakeMonnify
) -> None:
    fake_of_monnify.mood = "slow"
    body = {"amount": 1000, "method": "monnify"}
    answer = await shop.rest.call("POST", "/payments", by=ann, json=body)
    assert (answer.status, answer.error) == (503, "GATEWAY_UNAVAILABLE")
    listed = await shop.rest.call("GET", "/payments", by=ann, status=200)
    assert [each["status"] for each in listed.body["items"]] == ["failed"]


async def test_an_order_the_gateway_refuses_fails_with_its_word(shop: Shop, ann: Person) -> None:
    body = {"amount": 1, "method": "stripe"}
    answer = await shop.rest.call("POST", "/payments", by=ann, json=body)
    assert (answer.status, answer.error) == (402, "PAYMENT_REFUSED")
    assert answer.body["details"] == {"reason": "amount_too_small"}


@each_vendor
async def test_verify_finds_the_money_of_which_no_webhook_told(
    shop: Shop, ann: Person, vendor: Vendor
) -> None:
    _, reference = await bought(shop, ann, vendor)
    if vendor.name == "sandbox":
        shop.place.url = "http://127.0.0.1:1"
        await shop.gateway.pay(reference, paid=True)
    else:
        vendor.tell(reference)

    path = f"/payments/verify/{reference}"
    answers = await asyncio.gather(
        *(shop.rest.call("POST", path, by=ann, status=200) for _ in range(10))
    )

    assert {each.body["payment"]["status"] for each in answers} == {"completed"}
    assert await shop.balance(ann) == 1000
