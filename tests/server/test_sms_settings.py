from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from server.config import Config, ConfigError

STRONG = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
SECOND = "a7Qe-Ym2Wz9Uo4Ik1Xb6Vn3Rt8Pl5Sd0"
THIRD = "q9Lr_Tz4Hk7Bn2Xc5Vw8Mj1Pd6Gf3Sy0"
ACCOUNT = "AC" + "0123456789abcdef" * 2
TWILIO = {
    "sms": "twilio",
    "twilio_account_sid": ACCOUNT,
    "twilio_auth_token": "short-vendor-token",
    "twilio_sender": "+12025550100",
}
WEBHOOK = {
    "sms": "http",
    "sms_http_url": "https://sms.example/send",
    "sms_http_token": "token",
    "sms_http_secret": THIRD,
}
PRODUCTION: dict[str, Any] = {
    "jwt_secret": STRONG,
    "otp_secret": SECOND,
    "public_url": "https://talk.example",
    "sms_countries": "ng, IN",
    "otp_day_max": 500,
}


def faults(**given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.load(**given)
    return caught.value.faults


@pytest.mark.parametrize(
    ("change", "named", "says"),
    [
        ({"sms": "console"}, "TALKTIME_SMS", "development only"),
        ({"otp_secret": None}, "TALKTIME_OTP_SECRET", "missing"),
        ({"otp_secret": "short"}, "TALKTIME_OTP_SECRET", "32 bytes"),
        ({"otp_secret": STRONG}, "TALKTIME_JWT_SECRET", "the same as TALKTIME_OTP_SECRET"),
        ({"sms_countries": ""}, "TALKTIME_SMS_COUNTRIES", "countries"),
        ({"otp_day_max": ...}, "TALKTIME_OTP_DAY_MAX", "must be set"),
        ({"twilio_auth_token": None}, "TALKTIME_TWILIO_AUTH_TOKEN", "twilio"),
        ({"twilio_account_sid": ""}, "TALKTIME_TWILIO_ACCOUNT_SID", "twilio"),
        ({"twilio_sender": ""}, "TALKTIME_TWILIO_SENDER", "twilio"),
        (WEBHOOK | {"sms_http_url": "http://sms.example/"}, "TALKTIME_SMS_HTTP_URL", "https://"),
        (WEBHOOK | {"sms_http_token": ""}, "TALKTIME_SMS_HTTP_TOKEN", "http"),
        (WEBHOOK | {"sms_http_secret": "short"}, "TALKTIME_SMS_HTTP_SECRET", "32 bytes"),
    ],
)
def test_production_refuses(change: dict[str, Any], named: str, says: str) -> None:
    given = {k: v for k, v in (PRODUCTION | TWILIO | change).items() if v is not ...}
    assert [line for line in faults(**given) if line.startswith(f"{named}:") and says in line]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("default_region", "XX"),
        ("default_region", "+49"),
        ("sms_countries", "NG,Nigeria"),
        ("sms", "pigeon"),
        ("otp_text", "your code"),
        ("otp_text", "{code} {phone}"),
        ("otp_ttl_s", 601),
        ("otp_minute_max", 0),
        ("twilio_account_sid", "AC1"),
        ("twilio_sender", "Talktime"),
        ("sms_http_url", "ftp://sms.example"),
    ],
)
def test_values_that_make_no_sense_are_named(tmp_path: Path, field: str, value: object) -> None:
    lines = faults(dev=True, data_dir=tmp_path, **{field: value})
    assert [line.split(":")[0] for line in lines] == [f"TALKTIME_{field.upper()}"]


def test_a_region_is_taken_in_any_case_and_blank_is_none(tmp_path: Path) -> None:
    assert Config.load(dev=True, data_dir=tmp_path, default_region=" ng ").default_region == "NG"
    assert Config.load(dev=True, data_dir=tmp_path, default_region="").default_region is None
