"""The settings of pushes: what belongs together, what is no key, and what they make."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
import pytest

from server.config import Config
from server.push_wiring import push_terms
from tests.server.push.test_fcm import FILE
from tests.server.push.test_tokens import EC_KEY, RSA_KEY, pem
from tests.server.settings import clean_environment, faults

__all__ = ["clean_environment"]

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
VAPID = base64.urlsafe_b64encode(EC_KEY.private_numbers().private_value.to_bytes(32)).decode()
WEBHOOK: dict[str, Any] = {
    "push_webhook_url": "https://ops.example/push",
    "push_webhook_secret": SECRET,
}
WEBPUSH = {"webpush_vapid_private_key": VAPID, "webpush_contact": "mailto:ops@talk.example"}


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Any]:
    key, account = tmp_path / "key.p8", tmp_path / "account.json"
    key.write_text(pem(EC_KEY))
    account.write_bytes(msgspec.json.encode(FILE))
    return {
        "fcm_credentials_file": str(account),
        "apns_key_file": str(key),
        "apns_key_id": "KEY1234567",
        "apns_team_id": "TEAM123456",
        "apns_bundle_id": "example.talk",
    }


@pytest.mark.parametrize("left_out", [*WEBHOOK, *WEBPUSH])
def test_half_of_the_settings_is_a_fault(left_out: str) -> None:
    given = {name: value for name, value in {**WEBHOOK, **WEBPUSH}.items() if name != left_out}
    [fault] = faults(dev=True, **given)
    assert fault.startswith(f"TALKTIME_{left_out.upper()}: is missing")


@pytest.mark.parametrize("left_out", ["apns_key_id", "apns_team_id", "apns_bundle_id"])
def test_apns_needs_all_of_its_settings(files: dict[str, Any], left_out: str) -> None:
    del files[left_out]
    [fault] = faults(dev=True, **files)
    assert fault.startswith(f"TALKTIME_{left_out.upper()}: is missing")


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"push_webhook_secret": "whsec_c2hvcnQ="}, "PUSH_WEBHOOK_SECRET"),
        ({"push_webhook_secret": "no prefix, but long enough for a secret"}, "PUSH_WEBHOOK_SECRET"),
        ({"webpush_vapid_private_key": "c2hvcnQ"}, "WEBPUSH_VAPID_PRIVATE_KEY"),
        ({"webpush_contact": "nobody"}, "WEBPUSH_CONTACT"),
        ({"webpush_hosts": "https://a.example"}, "WEBPUSH_HOSTS"),
        ({"push_webhook_url": "ftp://ops.example"}, "PUSH_WEBHOOK_URL"),
    ],
)
def test_what_is_no_key_or_address_is_named_and_not_quoted(
    changes: dict[str, str], name: str
) -> None:
    found = faults(dev=True, **(WEBHOOK | WEBPUSH | changes))
    assert any(fault.startswith(f"TALKTIME_{name}") for fault in found)
    assert not any(value in fault for fault in found for value in changes.values())


def test_files_that_are_away_or_other_ones_are_faults(
    files: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "key.p8").write_text(pem(RSA_KEY))
    (tmp_path / "account.json").write_bytes(b"x" * 70_000)
    assert faults(dev=True, **files) == [
        "TALKTIME_APNS_KEY_FILE: is no private key of the curve P-256",
        "TALKTIME_FCM_CREDENTIALS_FILE: is too large",
    ]
    (tmp_path / "key.p8").write_bytes(b"\xff")
    (tmp_path / "account.json").unlink()
    assert faults(dev=True, **files) == [
        "TALKTIME_APNS_KEY_FILE: is no text",
        "TALKTIME_FCM_CREDENTIALS_FILE: cannot be read: No such file or directory",
    ]


def test_without_the_extra_there_is_no_apns(
    files: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.push_settings.find_spec", lambda _: None)
    assert faults(dev=True, **files) == [
        "TALKTIME_APNS_KEY_FILE: needs the extra: pip install 'talktime[push]'"
    ]


def test_production_tells_nobody_in_clear_who_calls_whom() -> None:
    with_http = {**WEBHOOK, "push_webhook_url": "http://ops.example/push"}
    assert push_terms(Config.load(dev=True, **with_http)).providers == {"webhook"}
    assert faults(
        jwt_secret="Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c",
        public_url="https://talk.example",
        **with_http,
    ) == ["TALKTIME_PUSH_WEBHOOK_URL: must begin with https://"]


def test_a_weak_secret_is_refused_in_production() -> None:
    weak = "whsec_" + base64.b64encode(b"\0" * 32).decode()
    found = faults(
        jwt_secret="Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c",
        public_url="https://talk.example",
        **{**WEBHOOK, "push_webhook_secret": weak},
    )
    assert any("PUSH_WEBHOOK_SECRET: has fewer than" in fault for fault in found)
