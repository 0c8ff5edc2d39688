from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import uuid4

import msgspec
import pytest
import stripe

from rest.http.signature import Forged
from rest.payments.gateways.port import (
    GatewayDown,
    GatewayEvent,
    GatewayRefused,
    GatewayStatus,
    Order,
)
from rest.payments.gateways.stripe import API_VERSION, StripeGateway
from tests.rest.payments.gateways.fake_server import BAD_MOODS, Mood
from tests.rest.payments.gateways.fake_stripe import (
    KEY,
    NEXT_WEBHOOK_SECRET,
    PUBLISHABLE_KEY,
    WEBHOOK_SECRET,
    FakeStripe,
    sign,
)

NOW_S = 1_800_000_000
ORDER = Order(uuid4(), "pay_reference_1", 1000, "EUR", "ten euros")


def parse(gateway: StripeGateway, raw: bytes, header: str | None = None) -> GatewayEvent:
    signed = sign(raw, NOW_S) if header is None else header
    return gateway.parse_webhook({"Stripe-Signature": signed}, raw, NOW_S)


async def test_an_order_becomes_an_intent_with_our_reference(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe
) -> None:
    checkout = await stripe_gateway.create(ORDER)

    (intent,) = fake_of_stripe.intents.values()
    assert (checkout.ref, checkout.client_secret) == (intent["id"], intent["client_secret"])
    assert (checkout.url, checkout.publishable_key) == (None, PUBLISHABLE_KEY)
    assert (intent["amount"], intent["currency"]) == (1000, "eur")
    assert intent["metadata"] == {"reference": ORDER.reference}
    (headers,) = fake_of_stripe.headers
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Idempotency-Key"] == ORDER.reference
    assert headers["Stripe-Version"] == API_VERSION
    assert "X-Stripe-Client-Telemetry" not in headers


async def test_the_same_order_again_is_the_same_intent(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe
) -> None:
    assert await stripe_gateway.create(ORDER) == await stripe_gateway.create(ORDER)
    assert len(fake_of_stripe.intents) == 1


async def test_an_order_that_stripe_does_not_want_is_refused_with_its_word(
    stripe_gateway: StripeGateway,
) -> None:
    with pytest.raises(GatewayRefused) as caught:
        await stripe_gateway.create(msgspec.structs.replace(ORDER, amount_minor=1))
    assert str(caught.value) == "amount_too_small"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mood", BAD_MOODS)
async def test_a_misbehaving_stripe_is_down_and_nothing_of_it_is_believed(
    stripe_gateway: StripeGateway,
    fake_of_stripe: FakeStripe,
    mood: Mood,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0.01)
    fake_of_stripe.mood = mood
    async with asyncio.timeout(3):
        for asked in (stripe_gateway.create(ORDER), stripe_gateway.query("pi_1")):
            with pytest.raises(GatewayDown):
                await asked
    assert fake_of_stripe.trapped == 0


async def test_a_failure_that_passes_is_tried_again_under_the_same_key(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pause(self: object, seconds: float) -> None:
        fake_of_stripe.mood = "well"

    monkeypatch.setattr(stripe.AIOHTTPClient, "sleep_async", pause)
    fake_of_stripe.mood = "down"

    await stripe_gateway.create(ORDER)

    assert fake_of_stripe.asked == ["POST /v1/payment_intents"] * 2
    assert len(fake_of_stripe.intents) == 1


@pytest.mark.parametrize(
    ("status", "error", "found"),
    [
        ("requires_payment_method", None, "open"),
        ("requires_payment_method", {"code": "card_declined"}, "failed"),
        ("requires_action", None, "open"),
        ("processing", None, "open"),
        ("canceled", None, "cancelled"),
        ("succeeded", None, "paid"),
        ("something_new", None, "open"),
    ],
)
async def test_a_question_is_answered_in_our_words(
    stripe_gateway: StripeGateway,
    fake_of_stripe: FakeStripe,
    status: str,
    error: dict[str, str] | None,
    found: str,
) -> None:
    checkout = await stripe_gateway.create(ORDER)
    fake_of_stripe.intents[checkout.ref] |= {
        "status": status,
        "amount_received": 999,
        "last_payment_error": error,
    }
    answer = await stripe_gateway.query(checkout.ref)
    assert (answer.found, answer.amount_minor, answer.currency) == (found, 999, "EUR")


@pytest.mark.parametrize(("back", "found"), [(1000, "refunded"), (300, "mispaid")])
async def test_money_that_went_back_before_we_asked_is_not_paid(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe, back: int, found: str
) -> None:
    checkout = await stripe_gateway.create(ORDER)
    fake_of_stripe.intents[checkout.ref] |= {"status": "succeeded", "amount_received": 1000}
    fake_of_stripe.refunds.append({"payment_intent": checkout.ref, "amount": str(back)})

    answer = await stripe_gateway.query(checkout.ref)

    assert (answer.found, answer.amount_minor, answer.currency) == (found, back, "EUR")


async def test_an_intent_that_stripe_does_not_know_is_refused(
    stripe_gateway: StripeGateway,
) -> None:
    with pytest.raises(GatewayRefused, match="resource_missing"):
        await stripe_gateway.query("pi_nobody")


async def test_a_refund_is_made_once_under_its_key_and_stays_made_without_it(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe
) -> None:
    checkout = await stripe_gateway.create(ORDER)
    fake_of_stripe.intents[checkout.ref] |= {"status": "succeeded", "amount_received": 1000}

    for key in ("refund_1", "refund_1", "refund_1_after_a_day"):
        await stripe_gateway.refund(checkout.ref, 1000, "EUR", key)

    assert fake_of_stripe.refunds == [{"payment_intent": checkout.ref, "amount": "1000"}]


async def test_a_refund_that_stripe_does_not_make_is_refused_in_a_word_of_ours(
    stripe_gateway: StripeGateway,
) -> None:
    checkout = await stripe_gateway.create(ORDER)
    with pytest.raises(GatewayRefused) as caught:
        await stripe_gateway.refund(checkout.ref, 1000, "EUR", "refund_1")
    assert str(caught.value) == "refused"


@pytest.mark.parametrize(
    ("kind", "found"),
    [
        ("payment_intent.succeeded", "paid"),
        ("payment_intent.payment_failed", "failed"),
        ("payment_intent.canceled", "cancelled"),
        ("payment_intent.processing", "open"),
    ],
)
async def test_an_event_about_an_intent_says_what_was_received(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe, kind: str, found: str
) -> None:
    intent = fake_of_stripe.make_intent(1000, "eur", {"reference": "pay_1"})
    intent["amount_received"] = 700
    event = parse(stripe_gateway, fake_of_stripe.event(kind, intent, "evt_1"))
    assert (event.id, event.kind, event.reference) == ("evt_1", kind, "pay_1")
    assert event.status == GatewayStatus(found, 700, "EUR")  # type: ignore[arg-type]
    assert await stripe_gateway.confirm(event) == event
    assert fake_of_stripe.asked == []


@pytest.mark.parametrize(
    ("kind", "more", "found", "amount"),
    [
        ("charge.refunded", {"amount_refunded": 300}, "refunded", 300),
        ("charge.dispute.created", {}, "disputed", 1000),
        ("refund.failed", {}, "refund_failed", 1000),
    ],
)
async def test_later_news_finds_its_payment_by_the_intent(
    stripe_gateway: StripeGateway,
    fake_of_stripe: FakeStripe,
    kind: str,
    more: dict[str, int],
    found: str,
    amount: int,
) -> None:
    intent = fake_of_stripe.make_intent(1000, "eur", {"reference": "pay_1"})
    thing = {"amount": 1000, "currency": "eur", "payment_intent": intent["id"], **more}

    event = await stripe_gateway.confirm(parse(stripe_gateway, fake_of_stripe.event(kind, thing)))

    assert event.reference == "pay_1"
    assert event.status == GatewayStatus(found, amount, "EUR")  # type: ignore[arg-type]


@pytest.mark.parametrize("metadata", [{}, {"order": "7"}, {"reference": "not ours: 7"}])
async def test_what_the_account_sells_elsewhere_is_nothing_to_us(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe, metadata: dict[str, str]
) -> None:
    intent = fake_of_stripe.make_intent(1000, "eur", metadata)
    dispute = {"amount": 1000, "currency": "eur", "payment_intent": intent["id"]}
    for kind, thing in (
        ("payment_intent.succeeded", intent),
        ("charge.dispute.created", dispute),
        ("customer.created", {"id": "cus_1"}),
    ):
        event = parse(stripe_gateway, fake_of_stripe.event(kind, thing))
        event = await stripe_gateway.confirm(event)
        assert (event.kind, event.reference, event.status.found) == (kind, "", "open")


def test_two_secrets_hold_while_they_are_rotated(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe
) -> None:
    raw = fake_of_stripe.event("customer.created", {})
    old, new = (sign(raw, NOW_S, each) for each in (WEBHOOK_SECRET, NEXT_WEBHOOK_SECRET))
    both = f"{old},{new.split(',')[1]}"
    for header in (old, new, both):
        assert parse(stripe_gateway, raw, header).kind == "customer.created"


FORGERIES: dict[str, Callable[[bytes], str]] = {
    "empty": lambda raw: "",
    "no time": lambda raw: sign(raw, NOW_S).partition(",")[2],
    "no digest": lambda raw: f"t={NOW_S}",
    "older scheme alone": lambda raw: sign(raw, NOW_S).replace("v1=", "v2="),
    "another secret": lambda raw: sign(raw, NOW_S, "whsec_of_another_endpoint"),
    "empty secret": lambda raw: sign(raw, NOW_S, ""),
    "301 s old": lambda raw: sign(raw, NOW_S - 301),
    "301 s ahead": lambda raw: sign(raw, NOW_S + 301),
    "another time": lambda raw: sign(raw, NOW_S - 1).replace(str(NOW_S - 1), str(NOW_S)),
    "two times": lambda raw: f"t={NOW_S},{sign(raw, NOW_S - 900)}",
    "another order": lambda raw: ",".join(reversed(sign(raw, NOW_S).split(","))),
    "a digest of letters beyond ASCII": lambda raw: f"t={NOW_S},v1=" + "é" * 64,
    "a very long header": lambda raw: sign(raw, NOW_S) + ",v1=0" * 100,
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_signature_is_refused(
    stripe_gateway: StripeGateway, fake_of_stripe: FakeStripe, name: str
) -> None:
    raw = fake_of_stripe.event("customer.created", {})
    with pytest.raises(Forged):
        parse(stripe_gateway, raw, FORGERIES[name](raw))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"id":"evt_1"}',
        b'{"id":"evt 1","type":"a.b","data":{"object":{}}}',
        b'{"id":"evt_1\\u0000","type":"a.b","data":{"object":{}}}',
        b'{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{}}}',
        b'{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":'
        b'{"id":"pi_1","amount":1.0,"currency":"eur","status":"s"}}}',
        b"[" * 60_000,
    ],
)
def test_a_signature_makes_no_sense_of_nonsense(stripe_gateway: StripeGateway, raw: bytes) -> None:
    with pytest.raises(Forged):
        parse(stripe_gateway, raw)
