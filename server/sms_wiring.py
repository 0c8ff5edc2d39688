"""What the settings of text messages and one-time codes make."""

from __future__ import annotations

from collections.abc import Callable

from rest.auth.otp import OtpSettings
from rest.auth.sms.console import ConsoleSms
from rest.auth.sms.port import Sms
from rest.auth.sms.twilio import TwilioSms
from rest.auth.sms.webhook import WebhookSms
from rest.auth.sms.wire import Wire
from server.config import Config
from server.sms_settings import sms_is_on


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
