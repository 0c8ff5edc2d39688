from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiohttp.test_utils import unused_port

from rest.http.idempotency import HEADER
from rest.http.signature import sign
from rest.payments.gateways.port import Checkout, GatewayDown, GatewayStatus, Order
from rest.payments.gateways.sandbox import SIGNATURE_HEADER
from storage.ids import new_id
from tests.rest.harness import Person
from tests.rest.payments.shop import SECRET, Shop

Headers = dict[str, str]
Forgery = Callable[[Shop, bytes], tuple[bytes, Headers]]


def with_header(value: str) -> Forgery:
    return lambda shop, raw: (
        raw,
        {SIGNATURE_HEADER: value, "X-Payment-Provider": "sandbox"},
    )


def with_signature(change: Callable[[str], str]) -> Forgery:
    def forge(shop: Shop, raw: bytes) -> tuple[bytes, Headers]:
        headers = shop.signed(raw)
        return raw, headers | {SIGNATURE_HEADER: change(headers[SIGNATURE_HEADER])}

    return forge


def with_body(change: Callable[[bytes], bytes]) -> Forgery:
    return lambda shop, raw: (change(raw), shop.signed(raw))


def signed_as(change: Callable[[bytes], bytes]) -> Forgery:
    """The gateway's own signature, over a body that is not an event."""
    return lambda shop, raw: (change(raw), shop.signed(change(raw)))


def provider(name: str) -> Forgery:
    return lambda shop, raw: (raw, shop.signed(raw) | {"X-Payment-Provider": name})


FORGERIES: dict[str, Forgery] = {
    "no signature": lambda shop, raw: (raw, {"X-Payment-Provider": "sandbox"}),
    "empty signature": with_header(""),
    "no time": with_signature(lambda header: header.split(",")[1]),
    "no digest": with_signature(lambda header: header.split(",")[0]),
    "empty digest": with_signature(lambda header: header.split("v1=")[0] + "v1="),
    "short digest": with_signature(lambda header: header[:-1]),
    "upper case digest": with_signature(lambda header: header[:10] + header[10:].upper()),
    "digest of zeros": with_signature(lambda header: header.split("v1=")[0] + "v1=" + "0" * 64),
    "older scheme": with_signature(lambda header: header.replace("v1=", "v0=")),
    "time moved by a second": with_signature(
        lambda header: f"t={int(header[2:12]) + 1}{header[12:]}"
    ),
    "two times": with_signature(lambda header: f"t=1,{header}"),
    "words for a time": with_signature(lambda header: f"t=now{header[12:]}"),
    "a time in other digits": with_signature(lambda header: header.replace("1", "\u0661", 1)),
    "a very long header": with_signature(lambda header: header + ",v1=" + "0" * 8_000),
    "another secret": lambda shop, raw: (raw, shop.signed(raw, secret=b"x" * 32)),
    "no secret": lambda shop, raw: (raw, shop.signed(raw, secret=b"")),
    "six minutes old": lambda shop, raw: (raw, shop.signed(raw, late_s=-360)),
    "from the future": lambda shop, raw: (raw, shop.signed(raw, late_s=360)),
    "more money": with_body(lambda raw: raw.replace(b"1000", b"9000")),
    "a space more": with_body(lambda raw: raw + b" "),
    "empty body": with_body(lambda raw: b""),
    "signature of the bare body": lambda shop, raw: (
        raw,
        shop.signed(raw)
        | {
            SIGNATURE_HEADER: f"t={shop.clock() // 1000},v1=" + sign(SECRET, raw, 0).split("v1=")[1]
        },
    ),
    "neither a signature nor a provider": lambda shop, raw: (raw, {}),
    "no provider and an unknown signature": lambda shop, raw: (
        raw,
        {"Stripe-Signature": shop.signed(raw)[SIGNATURE_HEADER]},
    ),
    "unknown provider": provider("stripe"),
    "provider in capitals": provider("SANDBOX"),
    "signed nonsense": signed_as(lambda raw: b"nonsense"),
    "signed list": signed_as(lambda raw: b"[" + raw + b"]"),
    "signed fraction": signed_as(lambda raw: raw.replace(b"1000", b"1000.0")),
    "signed negative": signed_as(lambda raw: raw.replace(b"1000", b"-1000")),
}


@pytest.mark.parametrize("name", FORGERIES)
async def test_a_forged_webhook_is_refused_and_leaves_no_row(
    shop: Shop, ann: Person, name: str
) -> None:
    payment = await shop.order(ann)
    raw, headers = FORGERIES[name](shop, shop.event(payment["reference"]))

    answer = await shop.deliver(raw, headers)

    assert (answer.status, answer.error) == (400, "INVALID_WEBHOOK")
    assert await shop.events() == 0
    assert await shop.balance(ann) == 0
    assert await shop.status(ann, payment["id"]) == "processing"


async def test_a_signed_webhook_credits_the_wallet(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    answer = await shop.deliver(shop.event(payment["reference"]))

    assert (answer.status, answer.body["outcome"]) == (200, "completed")
    assert await shop.balance(ann) == 1000
    assert shop.kicks.count == 1


@pytest.mark.parametrize("query", ["?provider=sandbox", ""])
async def test_the_provider_may_stand_in_the_query_or_be_known_by_its_signature(
    shop: Shop, ann: Person, query: str
) -> None:
    payment = await shop.order(ann)
    raw = shop.event(payment["reference"])
    headers = shop.signed(raw)
    del headers["X-Payment-Provider"]

    path = f"/payments/webhook{query}"
    answer = await shop.rest.call("POST", path, raw=raw, headers=headers)

    assert answer.body["outcome"] == "completed"


async def test_the_same_webhook_fifty_times_at_once_credits_once(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    raw = shop.event(payment["reference"])

    answers = await asyncio.gather(*(shop.deliver(raw) for _ in range(50)))

    assert [answer.status for answer in answers] == [200] * 50
    assert sorted(answer.body["outcome"] for answer in answers) == ["completed"] + ["seen"] * 49
    assert await shop.balance(ann) == 1000
    assert await shop.topups(payment["id"]) == 1


async def test_two_events_about_one_payment_credit_once(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    answers = [await shop.deliver(shop.event(payment["reference"])) for _ in range(2)]

    assert [answer.body["outcome"] for answer in answers] == ["completed", "unchanged"]
    assert await shop.events() == 2
    assert await shop.balance(ann) == 1000


async def test_failed_after_paid_is_ignored(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    await shop.deliver(shop.event(payment["reference"]))

    answer = await shop.deliver(shop.event(payment["reference"], kind="payment.failed"))

    assert (answer.status, answer.body["outcome"]) == (200, "unchanged")
    assert await shop.status(ann, payment["id"]) == "completed"
    assert await shop.balance(ann) == 1000


async def test_an_event_about_nothing_is_noted_and_moves_nothing(shop: Shop) -> None:
    answer = await shop.deliver(shop.event("pay_of_nobody"))

    assert (answer.status, answer.body["outcome"]) == (200, "unknown")
    assert await shop.events() == 1


@pytest.mark.parametrize("wrong", [{"amount": 9_000}, {"currency": "NGN"}])
async def test_an_event_about_another_sum_moves_nothing(
    shop: Shop, ann: Person, wrong: dict[str, int | str]
) -> None:
    payment = await shop.order(ann)

    answer = await shop.deliver(shop.event(payment["reference"], **wrong))  # type: ignore[arg-type]

    assert (answer.status, answer.body["outcome"]) == (200, "mismatch")
    assert await shop.balance(ann) == 0
    assert await shop.status(ann, payment["id"]) == "processing"


async def test_a_webhook_over_64_kib_is_not_read(shop: Shop) -> None:
    raw = b" " * 65_537

    answer = await shop.deliver(raw)

    assert (answer.status, answer.error) == (413, "TOO_LARGE")
    assert await shop.events() == 0


async def test_a_payment_has_a_checkout_and_waits_for_its_money(shop: Shop, ann: Person) -> None:
    body = {"amount": 500, "method": "sandbox", "purpose": "topup", "description": "minutes"}

    answer = await shop.rest.call("POST", "/payments", by=ann, json=body, status=201)

    payment = answer.body["payment"]
    assert payment["status"] == "processing"
    assert payment["checkoutUrl"].endswith(f"/sandbox/checkout/{payment['reference']}")
    wanted = {"amount": 500, "currency": "PTS", "method": "sandbox", "description": "minutes"}
    assert wanted.items() <= payment.items()
    opened = await shop.rest.call("GET", f"/payments/{payment['id']}", by=ann, status=200)
    assert opened.body["payment"] == payment
    assert await shop.balance(ann) == 0


async def test_a_repeated_order_under_its_key_is_one_payment(shop: Shop, ann: Person) -> None:
    body = {"amount": 500, "method": "sandbox"}
    key = {HEADER: "order-1"}

    answers = [
        await shop.rest.call("POST", "/payments", by=ann, json=body, headers=key, status=201)
        for _ in range(3)
    ]

    assert len({answer.body["payment"]["id"] for answer in answers}) == 1
    listed = await shop.rest.call("GET", "/payments", by=ann, status=200)
    assert listed.body["total"] == 1


async def test_payments_are_listed_newest_first(shop: Shop, ann: Person) -> None:
    ids = [(await shop.order(ann, amount))["id"] for amount in (1, 2, 3)]

    answer = await shop.rest.call("GET", "/payments?limit=2", by=ann, status=200)

    assert [each["id"] for each in answer.body["items"]] == ids[:0:-1]
    assert answer.body["total"] == 3


async def test_verify_asks_the_gateway_and_settles_once(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    path = f"/payments/verify/{payment['reference']}"
    before = await shop.rest.call("POST", path, by=ann, status=200)
    assert before.body["payment"]["status"] == "processing"

    # The payer pays, and no webhook gets through.
    shop.place.url = f"http://127.0.0.1:{unused_port()}"
    assert not await shop.gateway.pay(payment["reference"], paid=True)
    assert await shop.balance(ann) == 0
    answers = await asyncio.gather(
        *(shop.rest.call("POST", path, by=ann, status=200) for _ in range(10))
    )

    assert {answer.body["payment"]["status"] for answer in answers} == {"completed"}
    assert await shop.balance(ann) == 1000
    assert await shop.topups(payment["id"]) == 1


async def test_nobody_sees_or_verifies_the_payment_of_another(shop: Shop, ann: Person) -> None:
    ben = await shop.rest.person("Ben")
    payment = await shop.order(ann)

    for method, path in (
        ("GET", f"/payments/{payment['id']}"),
        ("POST", f"/payments/verify/{payment['reference']}"),
        ("GET", f"/payments/{new_id()}"),
        ("POST", "/payments/verify/pay_of_nobody"),
    ):
        answer = await shop.rest.call(method, path, by=ben)
        assert (answer.status, answer.error) == (404, "PAYMENT_NOT_FOUND")
    listed = await shop.rest.call("GET", "/payments", by=ben, status=200)
    assert listed.body["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/payments"),
        ("GET", "/payments"),
        ("GET", f"/payments/{new_id()}"),
        ("POST", "/payments/verify/pay_of_nobody"),
    ],
)
async def test_payments_are_for_those_who_are_logged_in(shop: Shop, method: str, path: str) -> None:
    assert (await shop.rest.call(method, path)).status == 401


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"amount": 0}, "INVALID_AMOUNT"),
        ({"amount": -1}, "INVALID_AMOUNT"),
        ({"amount": 1.5}, "INVALID_AMOUNT"),
        ({"amount": 1.0}, "INVALID_AMOUNT"),
        ({"amount": "1"}, "INVALID_AMOUNT"),
        ({"amount": True}, "INVALID_AMOUNT"),
        ({"amount": None}, "INVALID_AMOUNT"),
        ({"amount": 10**9 + 1}, "INVALID_AMOUNT"),
        ({"amount": 2**63}, "INVALID_AMOUNT"),
        ({"method": "stripe"}, "INVALID_METHOD"),
        ({"method": ""}, "INVALID_METHOD"),
        ({"method": 1}, "INVALID_METHOD"),
        ({"purpose": "gift"}, "INVALID_PURPOSE"),
        ({"targetId": str(new_id())}, "INVALID_TARGET_ID"),
        ({"targetId": "1"}, "INVALID_TARGET_ID"),
        ({"planId": "1"}, "INVALID_PLAN_ID"),
        ({"wallet": "bonus"}, "INVALID_WALLET"),
        ({"wallet": "primary", "method": "wallet"}, "INVALID_WALLET"),
        ({"currency": "NGN"}, "CURRENCY_NOT_SUPPORTED"),
        ({"currency": "pts"}, "INVALID_PAYLOAD"),
        ({"description": "x" * 201}, "INVALID_PAYLOAD"),
        ({"description": "a\0b"}, "INVALID_PAYLOAD"),
        ({"status": "completed"}, "INVALID_PAYLOAD"),
        ({"userId": str(new_id())}, "INVALID_PAYLOAD"),
    ],
)
async def test_a_wrong_order_is_refused_and_leaves_no_payment(
    shop: Shop, ann: Person, wrong: dict[str, object], code: str
) -> None:
    body = {"amount": 500, "method": "sandbox"} | wrong

    answer = await shop.rest.call("POST", "/payments", by=ann, json=body)

    assert (answer.status, answer.error) == (400, code)
    assert answer.body["details"]["field"] == next(iter(wrong))
    listed = await shop.rest.call("GET", "/payments", by=ann, status=200)
    assert listed.body["total"] == 0


async def test_a_gateway_that_is_away_fails_the_payment(
    shop: Shop, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(order: Order) -> Checkout:
        raise GatewayDown("no answer")

    monkeypatch.setattr(shop.gateway, "create", away)
    body = {"amount": 500, "method": "sandbox"}

    answer = await shop.rest.call("POST", "/payments", by=ann, json=body)

    assert (answer.status, answer.error) == (503, "GATEWAY_UNAVAILABLE")
    listed = await shop.rest.call("GET", "/payments", by=ann, status=200)
    assert [each["status"] for each in listed.body["items"]] == ["failed"]


async def test_a_gateway_that_is_away_cannot_be_asked(
    shop: Shop, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(ref: str) -> GatewayStatus:
        raise GatewayDown("no answer")

    payment = await shop.order(ann)
    monkeypatch.setattr(shop.gateway, "query", away)

    path = f"/payments/verify/{payment['reference']}"
    answer = await shop.rest.call("POST", path, by=ann)

    assert (answer.status, answer.error) == (503, "GATEWAY_UNAVAILABLE")
    assert await shop.status(ann, payment["id"]) == "processing"
