from __future__ import annotations

from pathlib import Path

from rest.auth.otp import OtpSettings
from rest.auth.sms.console import ConsoleSms
from rest.auth.sms.twilio import TwilioSms
from rest.auth.sms.webhook import WebhookSms
from server.config import Config
from server.sms_wiring import make_sms, otp_settings
from tests.server.test_sms_settings import PRODUCTION, STRONG, TWILIO, WEBHOOK


def now_ms() -> int:
    return 1_800_000_000_000


def test_development_sends_to_the_terminal_and_echoes_codes(tmp_path: Path) -> None:
    config = Config.load(dev=True, data_dir=tmp_path)
    assert isinstance(make_sms(config, now_ms), ConsoleSms)
    assert len(config.secret("otp_secret")) >= 32
    assert otp_settings(config) == OtpSettings(echo=True)


def test_production_sends_nothing_unless_told_to() -> None:
    config = Config.load(jwt_secret=STRONG, public_url="https://talk.example")
    assert make_sms(config, now_ms) is None
    assert otp_settings(config) == OtpSettings(sending=False)


async def test_production_with_everything_said_sends() -> None:
    for given, kind in ((TWILIO, TwilioSms), (WEBHOOK, WebhookSms)):
        config = Config.load(**(PRODUCTION | given))
        assert isinstance(make_sms(config, now_ms), kind)
        settings = otp_settings(config)
        assert settings.countries == {"NG", "IN"}
        assert (settings.sending, settings.echo, settings.day_max) == (True, False, 500)
