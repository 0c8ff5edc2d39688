from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from server import gateway_settings
from server.config import Config, ConfigError
from server.gateway_settings import webhook_secrets

STRONG = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
EURO: dict[str, Any] = {"currency": "EUR", "currency_exponent": 2}
NAIRA: dict[str, Any] = {"currency": "NGN", "currency_exponent": 2}
STRIPE: dict[str, Any] = {
    "stripe_secret_key": "sk_live_x",
    "stripe_publishable_key": "pk_live_x",
    "stripe_webhook_secrets": "whsec_one",
}
MONNIFY: dict[str, Any] = {
    "monnify_api_key": "MK_PROD_X",
    "monnify_secret_key": "X",
    "monnify_contract_code": "1234567890",
}


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TALKTIME_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(tmp_path / "data"))


def production(**given: Any) -> Config:
    return Config.load(jwt_secret=STRONG, public_url="https://talk.example", **given)


def faults(*, dev: bool = False, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.load(dev=True, **given) if dev else production(**given)
    return caught.value.faults


def test_both_gateways_start_in_production_with_their_keys() -> None:
    config = production(**NAIRA, **STRIPE, **MONNIFY)
    assert webhook_secrets(config) == ["whsec_one"]
    assert "sk_live_x" not in repr(config)
    assert "MK_PROD_X" not in repr(config)


def test_two_webhook_secrets_hold_while_they_change() -> None:
    config = production(**EURO, **STRIPE | {"stripe_webhook_secrets": "whsec_one, whsec_two,"})
    assert webhook_secrets(config) == ["whsec_one", "whsec_two"]


def test_yen_have_no_decimals() -> None:
    production(currency="JPY", currency_exponent=0, **STRIPE)


def test_development_takes_test_keys_and_needs_no_webhooks() -> None:
    given = STRIPE | {"stripe_secret_key": "sk_test_x", "stripe_webhook_secrets": ""}
    monnify = MONNIFY | {"monnify_api_url": "https://sandbox.monnify.com"}
    Config.load(dev=True, **NAIRA, **given, **monnify)


@pytest.mark.parametrize(
    ("given", "named", "says"),
    [
        ({**STRIPE}, "STRIPE_SECRET_KEY", "does not take TALKTIME_CURRENCY PTS"),
        ({**STRIPE, "currency": "EUR"}, "CURRENCY_EXPONENT", "must be 2 for EUR"),
        ({**STRIPE, **EURO, "currency": "JPY"}, "CURRENCY_EXPONENT", "must be 0 for JPY"),
        ({**MONNIFY, **EURO}, "MONNIFY_SECRET_KEY", "Monnify does not take"),
        ({**MONNIFY, "currency": "NGN"}, "CURRENCY_EXPONENT", "must be 2 for NGN"),
        ({**STRIPE, **EURO, "stripe_publishable_key": ""}, "STRIPE_PUBLISHABLE_KEY", "missing"),
        ({**STRIPE, **EURO, "stripe_secret_key": None}, "STRIPE_SECRET_KEY", "missing"),
        ({**MONNIFY, **NAIRA, "monnify_contract_code": ""}, "MONNIFY_CONTRACT_CODE", "missing"),
        ({**MONNIFY, **NAIRA, "monnify_api_key": ""}, "MONNIFY_API_KEY", "missing"),
        ({**EURO, **STRIPE, "stripe_webhook_secrets": "sk_live_x"}, "STRIPE_WEBHOOK_SECRETS", "wh"),
        (
            {**EURO, **STRIPE, "stripe_webhook_secrets": "whsec_1,whsec_2,whsec_3"},
            "STRIPE_WEBHOOK_SECRETS",
            "at most 2",
        ),
        ({**EURO, **STRIPE, "stripe_publishable_key": "sk_live_x"}, "STRIPE_PUBLISHABLE_KEY", "pk"),
    ],
)
@pytest.mark.parametrize("dev", [True, False])
def test_settings_that_cannot_work_are_refused_in_any_mode(
    dev: bool, given: dict[str, Any], named: str, says: str
) -> None:
    assert any(
        line.startswith(f"TALKTIME_{named}:") and says in line for line in faults(dev=dev, **given)
    )


@pytest.mark.parametrize(
    ("wrong", "named", "says"),
    [
        ({"stripe_webhook_secrets": ""}, "STRIPE_WEBHOOK_SECRETS", "missing"),
        ({"stripe_secret_key": "sk_test_x"}, "STRIPE_SECRET_KEY", "test key"),
        ({"stripe_secret_key": "rk_test_x"}, "STRIPE_SECRET_KEY", "test key"),
        ({"stripe_api_url": "http://stripe.example"}, "STRIPE_API_URL", "https://"),
        ({"monnify_api_key": "MK_TEST_X"}, "MONNIFY_API_KEY", "test key"),
        ({"monnify_api_url": "https://sandbox.monnify.com"}, "MONNIFY_API_URL", "sandbox"),
    ],
)
def test_production_refuses(wrong: dict[str, Any], named: str, says: str) -> None:
    (line,) = faults(**NAIRA, **STRIPE | MONNIFY | wrong)
    assert line.startswith(f"TALKTIME_{named}:")
    assert says in line


def test_stripe_without_its_package_is_told_at_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway_settings, "find_spec", lambda name: None)
    (line,) = faults(**EURO, **STRIPE)
    assert line.startswith("TALKTIME_STRIPE_SECRET_KEY: needs the package stripe")
