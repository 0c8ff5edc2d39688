from __future__ import annotations

import asyncio
import hmac
from hashlib import sha512
from uuid import uuid4

import msgspec
import pytest

from rest.http.signature import Forged
from rest.payments.gateways.monnify import MonnifyGateway
from rest.payments.gateways.port import (
    GatewayDown,
    GatewayEvent,
    GatewayRefused,
    GatewayStatus,
    Order,
)
from tests.rest.harness import FakeClock
from tests.rest.payments.gateways.fake_monnify import FakeMonnify, sign
from tests.rest.payments.gateways.fake_server import BAD_MOODS, Mood

ORDER = Order(uuid4(), "pay_reference_1", 450_050, "NGN", "minutes", "Ann", "ann@example.org")
# The example of the vendor's documentation, with its key and its signature.
EXAMPLE_KEY = "91MUDL9N6U3BQRXBQ2PJ9M0PW4J22M1Y"
EXAMPLE_SIGNATURE = (
    "f04fb635e04d71648bd3cc7999003da6861483342c856d05ddfa9b2dafacb873"
    "b0de1d0f8f67405d0010b4348b721c49fa171d317972618debba6b638aedcd3c"
)
EXAMPLE = (
    b'{"eventData":{"product":{"reference":"111222333","type":"OFFLINE_PAYMENT_AGENT"},'
    b'"transactionReference":"MNFY|76|20211117154810|000001",'
    b'"paymentReference":"0.01462001097368737","paidOn":"17/11/2021 3:48:10 PM",'
    b'"paymentDescription":"Mockaroo Jesse","metaData":{},"destinationAccountInformation":{},'
    b'"paymentSourceInformation":{},"amountPaid":78000,"totalPayable":78000,'
    b'"offlineProductInformation":{"code":"41470","type":"DYNAMIC"},"cardDetails":{},'
    b'"paymentMethod":"CASH","currency":"NGN","settlementAmount":77600,"paymentStatus":"PAID",'
    b'"customer":{"name":"Mockaroo Jesse","email":"111222333@ZZAMZ4WT4Y3E.monnify"}},'
    b'"eventType":"SUCCESSFUL_TRANSACTION"}'
)


def parse(gateway: MonnifyGateway, raw: bytes, signature: str | None = None) -> GatewayEvent:
    given = sign(raw) if signature is None else signature
    return gateway.parse_webhook({"monnify-signature": given}, raw, 0)


async def test_an_order_opens_a_checkout_in_decimals(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)

    assert checkout.ref == fake_of_monnify.transactions[ORDER.reference]["transactionReference"]
    assert checkout.url == "http://sandbox.sdk.monnify.com/checkout/x"
    assert (checkout.client_secret, checkout.publishable_key) == (None, None)
    (raw,) = fake_of_monnify.orders
    assert b'"amount":4500.50,' in raw
    assert msgspec.json.decode(raw) == {
        "amount": 4500.5,
        "currencyCode": "NGN",
        "contractCode": "1234567890",
        "paymentReference": ORDER.reference,
        "paymentDescription": "minutes",
        "redirectUrl": "https://talk.example",
        "customerName": "Ann",
        "customerEmail": "ann@example.org",
    }


async def test_a_payer_without_an_address_gets_one_of_this_server(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    await monnify_gateway.create(msgspec.structs.replace(ORDER, payer_email=None))
    order = msgspec.json.decode(fake_of_monnify.orders[0])
    assert order["customerEmail"] == "pay_reference_1@talk.example"


async def test_a_checkout_on_another_scheme_is_not_shown_to_anybody(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    fake_of_monnify.checkout_scheme = "javascript"
    with pytest.raises(GatewayDown):
        await monnify_gateway.create(ORDER)


async def test_an_order_that_monnify_does_not_want_is_refused(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    fake_of_monnify.transaction(ORDER.reference)
    with pytest.raises(GatewayRefused, match="refused"):
        await monnify_gateway.create(ORDER)


async def test_many_at_once_log_in_once_and_again_when_the_token_ends(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, clock: FakeClock
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    await asyncio.gather(*(monnify_gateway.query(checkout.ref) for _ in range(10)))
    clock.move(3_506_000)
    await monnify_gateway.query(checkout.ref)
    assert fake_of_monnify.logins == 1

    clock.move(2_000)  # A minute before its end it is not used any more.
    await asyncio.gather(*(monnify_gateway.query(checkout.ref) for _ in range(10)))
    assert fake_of_monnify.logins == 2


async def test_a_token_that_ended_early_is_renewed_once(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    fake_of_monnify.token = "another"
    answers = await asyncio.gather(*(monnify_gateway.query(checkout.ref) for _ in range(10)))
    assert {answer.found for answer in answers} == {"open"}
    assert fake_of_monnify.logins == 2


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("logged_in", [True, False])
@pytest.mark.parametrize("mood", BAD_MOODS)
async def test_a_misbehaving_monnify_is_down_and_nothing_of_it_is_believed(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, mood: Mood, logged_in: bool
) -> None:
    if logged_in:
        await monnify_gateway.query((await monnify_gateway.create(ORDER)).ref)
    fake_of_monnify.mood = mood
    other = msgspec.structs.replace(ORDER, reference="pay_reference_2")
    async with asyncio.timeout(3):
        for asked in (monnify_gateway.create(other), monnify_gateway.query("MNFY|1")):
            with pytest.raises(GatewayDown):
                await asked
    assert fake_of_monnify.trapped == 0


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("PENDING", "open"),
        ("PAID", "paid"),
        ("OVERPAID", "mispaid"),
        ("PARTIALLY_PAID", "mispaid"),
        ("FAILED", "failed"),
        ("EXPIRED", "failed"),
        ("ABANDONED", "cancelled"),
        ("CANCELLED", "cancelled"),
        ("REVERSED", "refunded"),
    ],
)
async def test_a_question_is_answered_in_our_words(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, status: str, found: str
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    truth = {"paymentStatus": status, "amountPaid": "4500.50"}
    fake_of_monnify.transactions[ORDER.reference] |= truth
    answer = await monnify_gateway.query(checkout.ref)
    assert (answer.found, answer.amount_minor, answer.currency) == (found, 450_050, "NGN")


@pytest.mark.parametrize(
    "wrong",
    [
        {"amountPaid": "4500.505"},
        {"amountPaid": "NaN"},
        {"amountPaid": -1},
        {"amountPaid": True},
        {"paymentStatus": "PAID_BY_MAGIC"},
        {"currency": "naira"},
        {"transactionReference": "MNFY|of|another"},
    ],
)
async def test_an_answer_that_makes_no_sense_is_no_answer(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, wrong: dict[str, object]
) -> None:
    await monnify_gateway.create(ORDER)
    event = parse(monnify_gateway, fake_of_monnify.event(ORDER.reference))
    truth = {"paymentStatus": "PAID", "amountPaid": 4500.5}
    fake_of_monnify.transactions[ORDER.reference] |= truth | wrong
    if "transactionReference" in wrong:
        with pytest.raises(GatewayRefused):
            await monnify_gateway.query(event.ref or "")
    else:
        with pytest.raises(GatewayDown):
            await monnify_gateway.confirm(event)


async def test_an_answer_about_another_payment_is_no_answer(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    paid = {"paymentStatus": "PAID", "amountPaid": "4500.50"}
    fake_of_monnify.confused = fake_of_monnify.transaction("pay_of_another") | paid
    for asked in (
        monnify_gateway.query(checkout.ref),
        monnify_gateway.confirm(parse(monnify_gateway, fake_of_monnify.event(ORDER.reference))),
    ):
        with pytest.raises(GatewayDown):
            await asked


def test_the_published_example_of_a_webhook_verifies(monnify_gateway: MonnifyGateway) -> None:
    assert hmac.new(EXAMPLE_KEY.encode(), EXAMPLE, sha512).hexdigest() == EXAMPLE_SIGNATURE
    assert sign(EXAMPLE, EXAMPLE_KEY) == EXAMPLE_SIGNATURE
    event = parse(monnify_gateway, EXAMPLE)
    assert (event.kind, event.ref) == ("SUCCESSFUL_TRANSACTION", "MNFY|76|20211117154810|000001")
    assert event.reference == "", "its reference is none that we make"


async def test_of_an_event_nothing_is_believed_but_which_payment_it_is_about(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    transaction = fake_of_monnify.transaction("pay_1")
    transaction |= {"paymentStatus": "PAID", "amountPaid": 999_999, "currency": "USD"}
    event = parse(monnify_gateway, fake_of_monnify.event("pay_1"))
    assert event.status.found == "open"

    transaction |= {"paymentStatus": "PARTIALLY_PAID", "amountPaid": "7.00", "currency": "NGN"}
    confirmed = await monnify_gateway.confirm(event)

    assert confirmed == msgspec.structs.replace(event, status=GatewayStatus("mispaid", 700, "NGN"))


async def test_an_event_ahead_of_its_payment_has_to_come_again(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    with pytest.raises(GatewayDown):
        await monnify_gateway.confirm(parse(monnify_gateway, fake_of_monnify.event("pay_1")))


@pytest.mark.parametrize(
    ("kind", "found"), [("SUCCESSFUL_REFUND", "refunded"), ("FAILED_REFUND", "refund_failed")]
)
async def test_news_of_a_refund_finds_its_payment_by_the_transaction(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, kind: str, found: str
) -> None:
    fake_of_monnify.transaction("pay_1")
    event = parse(monnify_gateway, fake_of_monnify.event("pay_1", kind))
    assert event.reference == ""

    confirmed = await monnify_gateway.confirm(event)

    assert (confirmed.reference, confirmed.status.found) == ("pay_1", found)


@pytest.mark.parametrize(("back", "amount"), [("10.00", 1000), ("1.00", 100)])
async def test_news_of_a_refund_says_how_much_went_back(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify, back: str, amount: int
) -> None:
    fake_of_monnify.transaction("pay_1").update(paymentStatus="PAID", amountPaid="10.00")
    event = parse(monnify_gateway, fake_of_monnify.event("pay_1", "SUCCESSFUL_REFUND", back=back))
    confirmed = await monnify_gateway.confirm(event)
    assert confirmed.status == GatewayStatus("refunded", amount, "PTS")


async def test_a_refund_of_no_known_amount_is_no_event(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    with pytest.raises(Forged):
        parse(monnify_gateway, fake_of_monnify.event("pay_1", "SUCCESSFUL_REFUND", back="much"))


async def test_a_refund_that_fails_at_once_was_not_made(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    fake_of_monnify.transaction(ORDER.reference)["paymentStatus"] = "PAID"
    fake_of_monnify.refund_status = "FAILED"
    with pytest.raises(GatewayRefused):
        await monnify_gateway.refund(checkout.ref, 450_050, "NGN", "refund_1")


async def test_other_events_are_about_nothing_and_nobody_is_asked(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    for raw in (
        fake_of_monnify.event("pay_1", "SETTLEMENT"),
        fake_of_monnify.event("0.014 of another shop"),
        b'{"eventType":"low_balance_alert","eventData":[]}',
    ):
        event = await monnify_gateway.confirm(parse(monnify_gateway, raw))
        assert (event.reference, event.status.found) == ("", "open")
    assert fake_of_monnify.asked == []


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"{}",
        b'{"eventType":"SUCCESSFUL_TRANSACTION"}',
        b'{"eventType":"SUCCESSFUL_TRANSACTION","eventData":7}',
        b'{"eventType":"SUCCESSFUL_TRANSACTION","eventData":{"paymentReference":7}}',
        b'{"eventType":"A\\u0000B","eventData":{}}',
        b"[" * 60_000,
    ],
)
def test_a_signature_makes_no_sense_of_nonsense(
    monnify_gateway: MonnifyGateway, raw: bytes
) -> None:
    with pytest.raises(Forged):
        parse(monnify_gateway, raw)


async def test_a_refund_is_made_once_under_its_key(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    fake_of_monnify.transactions[ORDER.reference]["paymentStatus"] = "PAID"

    for _ in range(2):
        await monnify_gateway.refund(checkout.ref, 450_050, "NGN", "refund:1/2")

    (refund,) = fake_of_monnify.refunds.values()
    assert (refund["refundReference"], refund["refundAmount"]) == ("refund:1/2", 4500.5)


async def test_a_refund_that_monnify_does_not_make_is_refused(
    monnify_gateway: MonnifyGateway, fake_of_monnify: FakeMonnify
) -> None:
    checkout = await monnify_gateway.create(ORDER)
    with pytest.raises(GatewayRefused):
        await monnify_gateway.refund(checkout.ref, 450_050, "NGN", "refund_1")

    fake_of_monnify.transactions[ORDER.reference]["paymentStatus"] = "PAID"
    await monnify_gateway.refund(checkout.ref, 450_050, "NGN", "refund_2")
    fake_of_monnify.refunds["refund_2"]["refundStatus"] = "FAILED"
    with pytest.raises(GatewayRefused):
        await monnify_gateway.refund(checkout.ref, 450_050, "NGN", "refund_2")
