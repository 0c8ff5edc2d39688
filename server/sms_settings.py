"""Rules between the settings of text messages and one-time codes.

`server/sms_wiring.py` has what they make.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from server.config import Config
    from server.config_rules import Fault

NEEDED = {
    "http": ("sms_http_url", "sms_http_token", "sms_http_secret"),
    "twilio": ("twilio_account_sid", "twilio_auth_token", "twilio_sender"),
}


def region_code(value: object) -> object:
    """The code of a country in capitals; None where it is blank.

    Raises:
        ValueError: there is no such country.
    """
    if not isinstance(value, str):
        return value
    code = value.strip().upper()
    if not code:
        return None
    from rest.http.phones import REGIONS  # Takes a while to load, and few name a country.

    if code not in REGIONS:
        raise ValueError("must be the two-letter code of a country")
    return code


def sms_is_on(config: Config) -> bool:
    return config.sms not in (None, "off")


def sms_faults(config: Config) -> Iterator[Fault]:
    """What is missing for the chosen way of sending, in any mode."""
    for name in NEEDED.get(config.sms or "off", ()):
        if not getattr(config, name):
            yield name, f"is needed when messages go by {config.sms}"


def sms_production_faults(config: Config) -> Iterator[Fault]:
    """What production refuses: codes that anybody could read, and a bill without a limit."""
    if not sms_is_on(config):
        return
    if config.sms == "console":
        yield "sms", "console shows codes on the terminal; it is for development only"
    if config.otp_secret is None:
        yield "otp_secret", "is missing; 32 random bytes or more, as text"
    if not config.sms_countries:
        yield "sms_countries", "must name the countries that messages may go to"
    if "otp_day_max" not in config.model_fields_set:
        yield "otp_day_max", "must be set: so many messages a day you are ready to pay for"
    if config.sms == "http" and not config.sms_http_url.startswith("https://"):
        yield "sms_http_url", "must begin with https://"
