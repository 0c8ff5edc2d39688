"""What may be wrong with the settings of the payment companies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from rest.payments.gateways import amounts

if TYPE_CHECKING:
    from server.config import Config

STRIPE = ("stripe_secret_key", "stripe_publishable_key")
MONNIFY = ("monnify_api_key", "monnify_secret_key", "monnify_contract_code")
WEBHOOK_SECRETS_MAX = 2

Fault = tuple[str, str]


def webhook_secrets(config: Config) -> list[str]:
    """Those of Stripe, apart."""
    parts = config.secret("stripe_webhook_secrets").split(",")
    return [part.strip() for part in parts if part.strip()]


def gateway_faults(config: Config) -> Iterable[Fault]:
    """Rules between the settings of gateways, in any mode."""
    yield from _together(config, STRIPE)
    yield from _together(config, MONNIFY)
    if config.stripe_secret_key is not None:
        yield from _currency(config, STRIPE[0], "Stripe", amounts.STRIPE)
        if find_spec("stripe") is None:
            yield STRIPE[0], "needs the package stripe: pip install 'talktime[stripe]'"
        secrets = webhook_secrets(config)
        if len(secrets) > WEBHOOK_SECRETS_MAX:
            yield "stripe_webhook_secrets", f"are at most {WEBHOOK_SECRETS_MAX}, while they change"
        if not all(each.startswith("whsec_") for each in secrets):
            yield "stripe_webhook_secrets", "begin with whsec_; other keys do not belong here"
    if config.monnify_secret_key is not None:
        yield from _currency(config, MONNIFY[1], "Monnify", amounts.MONNIFY)


def production_gateway_faults(config: Config) -> Iterable[Fault]:
    """What production refuses of them: unproven webhooks, play money, and keys sent in clear."""
    if config.stripe_secret_key is not None:
        if not webhook_secrets(config):
            yield "stripe_webhook_secrets", "is missing; without it no payment is heard of"
        if "_test_" in config.secret("stripe_secret_key"):
            yield "stripe_secret_key", "is a test key, and test cards are not money"
    if config.monnify_api_key is not None and "_TEST_" in config.secret("monnify_api_key"):
        yield "monnify_api_key", "is a test key, and test transfers are not money"
    for field in ("stripe_api_url", "monnify_api_url"):
        url = urlsplit(getattr(config, field))
        if url.scheme == "http":
            yield field, "must begin with https://"
        if (url.hostname or "").startswith("sandbox."):
            yield field, "is a sandbox, whose money is not real"


def _together(config: Config, names: tuple[str, ...]) -> Iterable[Fault]:
    missing = [name for name in names if not getattr(config, name)]
    if missing and len(missing) < len(names):
        for name in missing:
            yield name, "is missing; it belongs to the other settings of this gateway"


def _currency(
    config: Config, field: str, gateway: str, decimals: Mapping[str, int]
) -> Iterable[Fault]:
    expected = decimals.get(config.currency)
    if expected is None:
        yield field, f"{gateway} does not take TALKTIME_CURRENCY {config.currency}"
    elif expected != config.currency_exponent:
        yield "currency_exponent", f"must be {expected} for {config.currency} at {gateway}"
