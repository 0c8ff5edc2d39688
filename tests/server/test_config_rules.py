from __future__ import annotations

from typing import Any

import pytest

from server.config import Config, ConfigError
from server.config_rules import production_faults
from tests.server.settings import OTHER, STRONG, clean_environment, faults, production

TURN = {"turn_urls": "turn:t.example", "turn_secret": OTHER}

__all__ = ["clean_environment"]  # A fixture, in force for every test here.


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ping_idle_ms": 60_000}, "PING_IDLE_MS"),
        ({"grace_ms": 100_000}, "GRACE_BUDGET_MS"),
        ({"grace_budget_ms": 700_000}, "GRACE_BUDGET_MS"),
        ({"evidence_ms": 10_000}, "STATS_MS"),
        ({"lease_ms": 2_000}, "LEASE_MS"),
        ({"turn_urls": "turn:t.example"}, "TURN_URLS"),
        ({"turn_secret": STRONG}, "TURN_URLS"),
        ({"relay_only": True}, "RELAY_ONLY"),
        (TURN | {"turn_console": "turn.example:5766"}, "TURN_CONSOLE"),
        (TURN | {"turn_console_password": STRONG}, "TURN_CONSOLE"),
        ({"turn_console": "a:1,[::1]:2", "turn_console_password": STRONG}, "TURN_CONSOLE"),
        ({"sentry_dsn": "https://sentry.example/1"}, "SENTRY_DSN"),
        ({"sentry_dsn": "key@sentry.example"}, "SENTRY_DSN"),
        ({"db_pool_max": 81}, "DB_POOL_MAX"),
        ({"buffered_bytes_max": 32_768, "sdp_bytes_max": 40_000}, "BUFFERED_BYTES_MAX"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, Any], named: str) -> None:
    assert [line.split(":")[0] for line in faults(dev=True, **given)] == [f"TALKTIME_{named}"]


def test_production_starts_with_the_two_settings_it_must_have() -> None:
    config = production()
    assert not config.is_dev
    assert not config.sandbox_gateway
    assert config.log_form == "json"
    assert production_faults(config) == []


@pytest.mark.parametrize(
    ("given", "named", "says"),
    [
        ({"jwt_secret": None}, "TALKTIME_JWT_SECRET", "missing"),
        ({"jwt_secret": ""}, "TALKTIME_JWT_SECRET", "missing"),
        ({"jwt_secret": STRONG[:31]}, "TALKTIME_JWT_SECRET", "32 bytes"),
        ({"jwt_secret": "abcdefghi" * 5}, "TALKTIME_JWT_SECRET", "10 different"),
        ({"jwt_secret": "my-secret-" * 5}, "TALKTIME_JWT_SECRET", "well-known"),
        ({"sandbox_webhook_secret": STRONG}, "TALKTIME_JWT_SECRET", "SANDBOX_WEBHOOK_SECRET"),
        ({"sandbox_webhook_secret": "short"}, "TALKTIME_SANDBOX_WEBHOOK_SECRET", "32 bytes"),
        (
            TURN | {"turn_console": "t:5766", "turn_console_password": OTHER},
            "TALKTIME_TURN_CONSOLE_PASSWORD",
            "its own",
        ),
        ({"sandbox_gateway": True}, "TALKTIME_SANDBOX_GATEWAY", "development only"),
        ({"argon2_profile": "test"}, "TALKTIME_ARGON2_PROFILE", "tests only"),
        ({"cors_origins": "*"}, "TALKTIME_CORS_ORIGINS", "each origin"),
        ({"trusted_proxies": "0.0.0.0/0"}, "TALKTIME_TRUSTED_PROXIES", "/8"),
        ({"trusted_proxies": "10.0.0.0/8,0.0.0.0/1,128.0.0.0/1"}, "TALKTIME_TRUSTED_PROXIES", "/8"),
        ({"trusted_proxies": "10.0.0.0/7"}, "TALKTIME_TRUSTED_PROXIES", "/8"),
        ({"trusted_proxies": "::/0"}, "TALKTIME_TRUSTED_PROXIES", "/16"),
        ({"trusted_proxies": "2000::/15"}, "TALKTIME_TRUSTED_PROXIES", "/16"),
        ({"public_url": "http://talk.example"}, "TALKTIME_PUBLIC_URL", "https://"),
        ({"public_url": ""}, "TALKTIME_PUBLIC_URL", "https://"),
        ({"database_url": "postgresql://u@d.example/x?sslmode=require"}, "DATABASE_URL", "passw"),
        ({"database_url": "postgresql://u:p@d.example/x"}, "DATABASE_URL", "sslmode"),
        ({"database_url": "postgresql://u@/x?host=d.example"}, "DATABASE_URL", "password"),
    ],
)
def test_production_refuses(given: dict[str, Any], named: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        production(**given)
    assert any(line.startswith(f"{named}:") and says in line for line in caught.value.faults)


def test_production_takes_proxies_of_a_network_of_one_s_own() -> None:
    config = production(trusted_proxies="10.0.0.0/8, 127.0.0.1, fd00::/16, ::1")
    assert production_faults(config) == []


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@db.example/x?sslmode=verify-full",
        "postgresql://u@localhost/x",
        "postgresql://u@127.0.0.1:5433/x",
        "postgresql://u@/x?host=/run/postgresql",
    ],
)
def test_production_takes_a_database_that_is_near_or_well_guarded(url: str) -> None:
    assert production(database_url=url).secret("database_url") == url


def test_a_private_network_may_do_without_tls_when_that_is_said() -> None:
    production(database_url="postgresql://u:p@database/x", database_private_network=True)


def test_a_bucket_needs_both_keys_and_a_folder_none() -> None:
    assert Config.load(dev=True).objects_url == ""
    keys = {"objects_access_key": "AKIA0000000000000000", "objects_secret_key": OTHER}
    config = production(objects_url="s3://pictures/talktime", **keys)
    assert config.secret("objects_secret_key") == OTHER
    for wrong in (
        {"objects_url": "s3://pictures"},
        keys,
        {"objects_url": "s3://pictures", "objects_access_key": "AKIA0000000000000000"},
        {"objects_endpoint": "https://s3.example"},
    ):
        assert [each.split(":")[0] for each in faults(dev=True, **wrong)] == [
            "TALKTIME_OBJECTS_URL"
        ]
    assert faults(dev=True, objects_url="https://pictures.example")[0].startswith(
        "TALKTIME_OBJECTS_URL"
    )


def test_reports_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = "https://key@sentry.example/1"
    assert Config.load(dev=True, sentry_dsn=dsn).secret("sentry_dsn") == dsn
    monkeypatch.setattr("server.config_rules.find_spec", lambda name: None)
    assert faults(dev=True, sentry_dsn=dsn) == [
        "TALKTIME_SENTRY_DSN: needs the extra: pip install 'talktime[sentry]'"
    ]
