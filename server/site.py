"""What the pages are told of the deployment before anybody has logged in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from server.config import Config
from server.demo_accounts import DEMO, DEMO_PASSWORD, DemoPerson


def site_of(config: Config, version: str, gateways: Iterable[str]) -> dict[str, Any]:
    """JSON values, all of them public. In development, who may be tried, with their passwords."""
    return {
        "dev": config.is_dev,
        "version": version,
        "currency": config.currency,
        "currencyExponent": config.currency_exponent,
        "gateways": sorted(gateways),
        "relayOnly": config.relay_only,
        "accounts": [_account(each) for each in DEMO] if config.is_dev else [],
    }


def _account(person: DemoPerson) -> dict[str, str]:
    role = "customer" if person.price_minor is None else "provider"
    return {
        "name": person.name,
        "email": person.email,
        "password": DEMO_PASSWORD,
        "role": "admin" if person.admin else role,
    }
