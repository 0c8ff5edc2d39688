from __future__ import annotations

from uuid import uuid4

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port

from rest.http.signature import Forged, sign
from rest.payments.gateways.port import GatewayDown, Order
from rest.payments.gateways.sandbox import SIGNATURE_HEADER, TRIES, Deposit, SandboxGateway
from tests.rest.harness import FakeClock

SECRET = b"the sandbox's secret, 32 bytes or more"
ORDER = Order(uuid4(), "pay_reference_1", 1000, "PTS")


async def nothing(reference: str) -> Deposit | None:
    return None


def make(url: str, clock: FakeClock, known: Deposit | None = None) -> SandboxGateway:
    async def lookup(reference: str) -> Deposit | None:
        return known

    return SandboxGateway([SECRET], lambda: url, lookup=lookup, clock=clock, between_tries_s=0.001)


class Till:
    """The server that hears webhooks; `fail` of them are answered with 503 first."""

    def __init__(self, fail: int = 0) -> None:
        self.fail = fail
        self.heard: list[tuple[dict[str, str], bytes]] = []

    async def webhook(self, request: web.Request) -> web.Response:
        self.heard.append((dict(request.headers), await request.read()))
        return web.Response(status=503 if len(self.heard) <= self.fail else 200)

    async def start(self) -> TestServer:
        app = web.Application()
        app.router.add_post("/payments/webhook", self.webhook)
        server = TestServer(app)
        await server.start_server()
        return server


async def test_an_order_has_one_checkout_however_often_it_is_made() -> None:
    gateway = make("http://talk.example/", FakeClock())

    first, again = await gateway.create(ORDER), await gateway.create(ORDER)

    assert first == again
    assert first.url == "http://talk.example/sandbox/checkout/pay_reference_1"
    assert (await gateway.query(first.ref)).found == "open"


async def test_an_unknown_reference_cannot_be_queried() -> None:
    gateway = make("http://talk.example", FakeClock())

    with pytest.raises(GatewayDown):
        await gateway.query("sbx_pay_nobody")


async def test_what_it_forgot_it_learns_from_the_order() -> None:
    gateway = make("http://talk.example", FakeClock(), known=Deposit(ORDER, "paid"))

    status = await gateway.query("sbx_pay_reference_1")

    assert (status.found, status.amount_minor, status.currency) == ("paid", 1000, "PTS")


async def test_a_refund_is_remembered_once_under_its_key() -> None:
    gateway = make("http://talk.example/", FakeClock())
    for amount in (1000, 999):
        await gateway.refund("sbx_pay_reference_1", amount, "PTS", "refund_1")
    assert gateway.refunds == {"refund_1": ("sbx_pay_reference_1", 1000, "PTS")}


async def test_a_payment_is_told_by_a_webhook_that_it_can_read_itself() -> None:
    clock, till = FakeClock(), Till()
    server = await till.start()
    gateway = make(str(server.make_url("/")), clock)
    checkout = await gateway.create(ORDER)

    assert await gateway.pay(ORDER.reference, paid=True)

    ((headers, raw),) = till.heard
    event = gateway.parse_webhook(headers, raw, clock() // 1000)
    assert (event.kind, event.reference) == ("payment.paid", ORDER.reference)
    assert event.status == await gateway.query(checkout.ref)
    await gateway.close()
    await server.close()


async def test_a_failed_delivery_is_repeated_as_the_same_event() -> None:
    till = Till(fail=2)
    server = await till.start()
    gateway = make(str(server.make_url("/")), FakeClock())
    await gateway.create(ORDER)

    assert await gateway.pay(ORDER.reference, paid=True)

    assert len(till.heard) == TRIES
    assert len({raw for _, raw in till.heard}) == 1
    await gateway.close()
    await server.close()


async def test_a_server_that_is_away_is_given_up_but_the_money_stays() -> None:
    gateway = make(f"http://127.0.0.1:{unused_port()}", FakeClock())
    checkout = await gateway.create(ORDER)

    assert not await gateway.pay(ORDER.reference, paid=True)

    assert (await gateway.query(checkout.ref)).found == "paid"
    await gateway.close()


async def test_a_paid_order_stays_paid_whatever_is_pressed_next() -> None:
    till = Till()
    server = await till.start()
    gateway = make(str(server.make_url("/")), FakeClock())
    checkout = await gateway.create(ORDER)
    await gateway.pay(ORDER.reference, paid=True)

    await gateway.pay(ORDER.reference, paid=False)

    assert (await gateway.query(checkout.ref)).found == "paid"
    assert all(b"payment.paid" in raw for _, raw in till.heard)
    await gateway.close()
    await server.close()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"{}",
        b"not json",
        b"\xff\xfe",
        b'{"id":"e","type":"payment.paid","reference":"r","amount":1.0,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":"1","currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":true,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":0,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":-5,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":1e3,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":1,"currency":"pts"}',
        b'{"id":"e","type":"payment.gift","reference":"r","amount":1,"currency":"PTS"}',
        b'{"id":"","type":"payment.paid","reference":"r","amount":1,"currency":"PTS"}',
        b'{"id":"e\\u0000","type":"payment.paid","reference":"r","amount":1,"currency":"PTS"}',
        b'{"id":"e","type":"payment.paid","reference":"r","amount":1,"currency":"PTS","more":1}',
        b"[" * 5_000,
    ],
)
def test_a_signature_makes_no_sense_of_nonsense(raw: bytes) -> None:
    clock = FakeClock()
    gateway = SandboxGateway([SECRET], lambda: "http://x", lookup=nothing, clock=clock)
    now_s = clock() // 1000

    with pytest.raises(Forged):
        gateway.parse_webhook({SIGNATURE_HEADER: sign(SECRET, raw, now_s)}, raw, now_s)
