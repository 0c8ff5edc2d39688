"""Rules between the settings of text messages and one-time codes, and what they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from rest.auth.otp import OtpSettings
from rest.auth.sms.console import ConsoleSms
from rest.auth.sms.port import Sms
from rest.auth.sms.twilio import TwilioSms
from rest.auth.sms.webhook import WebhookSms
from rest.auth.sms.wire import Wire
from rest.http.phones import REGIONS

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
    if code and code not in REGIONS:
        raise ValueError("must be the two-letter code of a country")
    return code or None


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


def make_sms(config: Config, clock: Callable[[], int]) -> Sms | None:
    """The way messages go; None when they do not. `clock` gives Unix ms."""
    match config.sms:
        case "console":
            return ConsoleSms()
        case "http":
            return WebhookSms(
                config.sms_http_url,
                token=config.secret("sms_http_token"),
                secret=config.secret("sms_http_secret"),
                clock=clock,
                wire=Wire(),
            )
        case "twilio":
            return TwilioSms(
                account_sid=config.twilio_account_sid,
                auth_token=config.secret("twilio_auth_token"),
                sender=config.twilio_sender,
                wire=Wire(),
            )
    return None


def otp_settings(config: Config) -> OtpSettings:
    return OtpSettings(
        region=config.default_region,
        countries=frozenset(each for each in config.sms_countries if each),
        sending=sms_is_on(config),
        echo=config.is_dev,
        ttl_s=config.otp_ttl_s,
        resend_s=config.otp_resend_s,
        minute_max=config.otp_minute_max,
        phone_day_max=config.otp_phone_day_max,
        address_hour_max=config.otp_address_hour_max,
        block_hour_max=config.otp_block_hour_max,
        day_max=config.otp_day_max,
        failures_hour_max=config.otp_failures_hour_max,
    )
