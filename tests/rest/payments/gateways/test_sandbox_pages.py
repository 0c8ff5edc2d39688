from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from uuid import uuid4

import pytest

from rest.payments.gateways.port import Order
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
from tests.rest.harness import Person
from tests.rest.payments.shop import SECRET, Shop


async def page(shop: Shop, path: str) -> tuple[int, str, str]:
    async with shop.rest.client.get(path) as response:
        policy = response.headers["Content-Security-Policy"]
        return response.status, await response.text(), policy


async def press(shop: Shop, reference: str, data: object) -> tuple[int, str]:
    async with shop.rest.client.post(
        f"/sandbox/checkout/{reference}", data=data, allow_redirects=False
    ) as response:
        return response.status, response.headers.get("Location", "")


async def test_the_page_shows_the_price_and_two_buttons(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann, 12_000)

    status, text, _ = await page(shop, f"/sandbox/checkout/{payment['reference']}")

    assert status == 200
    assert "12,000 PTS" in text
    assert re.findall(r'value="(\w+)"', text) == ["pay", "decline"]


async def test_the_page_lives_by_its_own_policy(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    _, text, policy = await page(shop, f"/sandbox/checkout/{payment['reference']}")

    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "<script" not in text
    assert "http" not in text.replace("http-equiv", "")


async def test_pay_credits_the_wallet_and_comes_back_to_the_page(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    status, location = await press(shop, payment["reference"], {"outcome": "pay"})

    assert (status, location) == (303, f"/sandbox/checkout/{payment['reference']}")
    assert await shop.balance(ann) == 1000
    assert await shop.status(ann, payment["id"]) == "completed"
    _, text, _ = await page(shop, location)
    assert "Paid" in text
    assert "<button" not in text


async def test_decline_fails_the_payment_and_a_second_try_may_pay(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    await press(shop, payment["reference"], {"outcome": "decline"})
    assert await shop.status(ann, payment["id"]) == "failed"
    assert await shop.balance(ann) == 0
    _, text, _ = await page(shop, f"/sandbox/checkout/{payment['reference']}")
    assert "Declined" in text

    await press(shop, payment["reference"], {"outcome": "pay"})
    assert await shop.status(ann, payment["id"]) == "completed"
    assert await shop.balance(ann) == 1000


async def test_a_script_can_press_the_buttons_too(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)

    async with shop.rest.client.post(
        f"/sandbox/checkout/{payment['reference']}", json={"outcome": "pay"}
    ) as response:
        assert response.status == 200
        assert await response.json() == {"success": True, "status": "paid", "delivered": True}


async def test_an_order_from_before_a_restart_can_still_be_paid(shop: Shop, ann: Person) -> None:
    payment = await shop.order(ann)
    server = str(shop.rest.client.make_url("/"))
    restarted = SandboxGateway(
        [SECRET], lambda: server, lookup=lookup_in(shop.rest.pool), clock=shop.clock
    )

    assert await restarted.pay(payment["reference"], paid=True)

    assert await shop.balance(ann) == 1000
    await restarted.close()
    learnt = await lookup_in(shop.rest.pool)(payment["reference"])
    assert learnt is not None
    assert learnt.found == "paid"


async def test_what_the_payer_wrote_is_text_and_never_markup(shop: Shop) -> None:
    await shop.gateway.create(Order(uuid4(), "pay_markup_1", 5, "PTS", "<script>alert(1)</script>"))

    _, text, _ = await page(shop, "/sandbox/checkout/pay_markup_1")

    assert "<script" not in text
    assert "&lt;script&gt;" in text


async def test_an_unknown_order_is_not_found(shop: Shop) -> None:
    assert (await page(shop, "/sandbox/checkout/pay_nobody_1"))[0] == 404
    assert (await press(shop, "pay_nobody_1", {"outcome": "pay"}))[0] == 404


@pytest.mark.parametrize(
    "data", [{}, {"outcome": "free"}, {"other": "pay"}, b"\xff\x00", b"x=1&" * 9]
)
async def test_any_other_button_is_refused(shop: Shop, ann: Person, data: object) -> None:
    payment = await shop.order(ann)

    status, _ = await press(shop, payment["reference"], data)

    assert status == 400
    assert await shop.status(ann, payment["id"]) == "processing"
