from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from rest.payments.gateways import wire
from rest.payments.gateways.monnify import MonnifyGateway
from rest.payments.gateways.port import Gateway
from rest.payments.gateways.stripe import StripeGateway
from tests.rest.harness import FakeClock
from tests.rest.payments.gateways import fake_monnify, fake_stripe
from tests.rest.payments.gateways.fake_monnify import FakeMonnify
from tests.rest.payments.gateways.fake_stripe import FakeStripe
from tests.rest.payments.gateways.vendors import (
    MonnifyVendor,
    SandboxVendor,
    StripeVendor,
    Vendor,
)
from tests.rest.payments.shop import Shop


@pytest.fixture
async def fake_of_stripe() -> AsyncIterator[FakeStripe]:
    fake = FakeStripe()
    await fake.start()
    yield fake
    await fake.close()


@pytest.fixture
async def fake_of_monnify() -> AsyncIterator[FakeMonnify]:
    fake = FakeMonnify()
    await fake.start()
    yield fake
    await fake.close()


@pytest.fixture
async def stripe_gateway(fake_of_stripe: FakeStripe) -> AsyncIterator[StripeGateway]:
    gateway = StripeGateway(
        fake_stripe.KEY,
        publishable_key=fake_stripe.PUBLISHABLE_KEY,
        webhook_secrets=[fake_stripe.WEBHOOK_SECRET, fake_stripe.NEXT_WEBHOOK_SECRET],
        api_url=fake_of_stripe.url,
    )
    yield gateway
    await gateway.close()


@pytest.fixture
async def monnify_gateway(
    fake_of_monnify: FakeMonnify, clock: FakeClock
) -> AsyncIterator[MonnifyGateway]:
    gateway = MonnifyGateway(
        fake_monnify.API_KEY,
        fake_monnify.SECRET_KEY,
        contract_code=fake_monnify.CONTRACT_CODE,
        exponent=2,
        public_url=lambda: "https://talk.example",
        clock=clock,
        api_url=fake_of_monnify.url,
    )
    yield gateway
    await gateway.close()


@pytest.fixture
def other_gateways(stripe_gateway: StripeGateway, monnify_gateway: MonnifyGateway) -> list[Gateway]:
    return [stripe_gateway, monnify_gateway]


@pytest.fixture
def vendor(
    request: pytest.FixtureRequest,
    shop: Shop,
    fake_of_stripe: FakeStripe,
    fake_of_monnify: FakeMonnify,
) -> Vendor:
    """The company named by the test's parameter, on the other side of `shop`."""
    match request.param:
        case "stripe":
            return StripeVendor(fake_of_stripe)
        case "monnify":
            return MonnifyVendor(fake_of_monnify)
    return SandboxVendor(shop)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline of each try, so short that a test can wait for it."""
    monkeypatch.setattr(wire, "TRY_S", 0.1)
