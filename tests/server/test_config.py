from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from server.config import Config, ConfigError, production_faults
from signalling.limits import CallLimits, SocketLimits

STRONG = "Jx3-vT0qZ8mB_wL5yR2kN7pD4sF9hG1c"
OTHER = "a7Qe-Ym2Wz9Uo4Ik1Xb6Vn3Rt8Pl5Sd0"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith("TALKTIME_") or name in ("DATABASE_URL", "REDIS_URL"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(tmp_path / "data"))


def faults(*, dev: bool = False, **given: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.load(dev=dev, **given)
    return caught.value.faults


def production(**given: Any) -> Config:
    whole = {"jwt_secret": STRONG, "public_url": "https://talk.example"}
    return Config.load(**(whole | given))


def test_development_needs_no_settings_and_keeps_its_secrets() -> None:
    first, second = Config.load(dev=True), Config.load(dev=True)
    assert first.is_dev
    assert first.sandbox_gateway is True
    assert first.secret("jwt_secret") == second.secret("jwt_secret") != ""
    assert first.secret("jwt_secret") != first.secret("sandbox_webhook_secret") != ""
    assert first.secret("turn_secret") == ""


def test_the_limits_are_those_of_the_protocol_unless_set() -> None:
    config = Config.load(dev=True)
    assert config.socket_limits() == SocketLimits()
    assert config.call_limits() == CallLimits()
    changed = Config.load(dev=True, ring_ms=1_000, hello_ms=200, turn_ttl_s=60)
    assert changed.call_limits().ring_ms == 1_000
    assert changed.call_limits().ice_ttl_ms == 60_000
    assert changed.socket_limits().hello_ms == 200


def test_the_environment_sets_every_kind_of_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKTIME_PORT", "9000")
    monkeypatch.setenv("TALKTIME_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    monkeypatch.setenv("TALKTIME_STUN_URLS", "")
    monkeypatch.setenv("TALKTIME_TURN_URLS", "turn:t.example:3478?transport=udp")
    monkeypatch.setenv("TALKTIME_TURN_SECRET", STRONG)
    monkeypatch.setenv("TALKTIME_RELAY_ONLY", "true")
    monkeypatch.setenv("TALKTIME_PLATFORM_SHARE_BPS", "2500")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1/x")
    config = Config.load(dev=True)
    assert config.port == 9_000
    assert config.cors_origins == ("https://a.example", "http://localhost:3000")
    assert config.stun_urls == ()
    assert config.turn_urls == ("turn:t.example:3478?transport=udp",)
    assert config.call_limits().relay_only
    assert config.provider_share_bps == 7_500
    assert config.secret("database_url") == "postgresql://u:p@127.0.0.1/x"


def test_given_values_outrank_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKTIME_PORT", "9000")
    assert Config.load(dev=True, port=0).port == 0


def test_settings_cannot_be_changed_afterwards() -> None:
    config = Config.load(dev=True)
    with pytest.raises(ValidationError, match="frozen"):
        config.port = 1


def test_all_faults_are_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALKTIME_PORT", "99999")
    monkeypatch.setenv("TALKTIME_RING_MS", "soon")
    monkeypatch.setenv("TALKTIME_STUN_URLS", "stun:ok.example,http://wrong.example")
    monkeypatch.setenv("TALKTIME_PING_CALL_MS", "20000")
    monkeypatch.setenv("TALKTIME_TYPO", "x")
    monkeypatch.setenv("TALKTIME_SANDBOX_GATEWAY", "yes")
    monkeypatch.setenv("DATABASE_URL", "mysql://somewhere")
    named = {line.split(":")[0] for line in faults()}
    assert named == {
        "DATABASE_URL",
        "TALKTIME_JWT_SECRET",
        "TALKTIME_PING_CALL_MS",
        "TALKTIME_PORT",
        "TALKTIME_PUBLIC_URL",
        "TALKTIME_RING_MS",
        "TALKTIME_SANDBOX_GATEWAY",
        "TALKTIME_STUN_URLS",
        "TALKTIME_TYPO",
    }


def test_faults_never_show_a_value(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JWT_SECRET", "TURN_SECRET", "PORT", "CURRENCY", "MODE", "RELAY_ONLY"):
        monkeypatch.setenv(f"TALKTIME_{name}", "hunter2-hunter2")
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:hunter2-hunter2@db.example/x")
    lines = faults()
    assert len(lines) >= 6
    assert "hunter2" not in "\n".join(lines)


def test_the_settings_do_not_print_their_secrets() -> None:
    config = production(database_url=f"postgresql://u:{OTHER}@127.0.0.1/x")
    assert STRONG not in repr(config)
    assert OTHER not in repr(config)


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [
        ("port", -1, 65_536),
        ("ring_ms", 99, 120_001),
        ("frame_bytes_max", 4_095, 262_145),
        ("platform_share_bps", -1, 10_001),
        ("access_ttl_s", 9, 901),
        ("duration_max_ms", 999, 86_400_001),
        ("db_pool_max", 1, 501),
        ("currency_exponent", -1, 5),
    ],
)
def test_both_ends_of_a_range_are_enforced(field: str, low: int, high: int) -> None:
    for value in (low, high):
        assert [line.split(":")[0] for line in faults(dev=True, **{field: value})] == [
            f"TALKTIME_{field.upper()}"
        ]


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
        ({"sandbox_gateway": True}, "TALKTIME_SANDBOX_GATEWAY", "development only"),
        ({"argon2_profile": "test"}, "TALKTIME_ARGON2_PROFILE", "tests only"),
        ({"cors_origins": "*"}, "TALKTIME_CORS_ORIGINS", "each origin"),
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


def test_earnings_rest_a_week_and_in_development_not_at_all() -> None:
    assert production().release_after_s == 7 * 86_400
    assert Config.load(dev=True).release_after_s == 0
    assert Config.load(dev=True, earnings_delay_s=60).release_after_s == 60
    assert production(earnings_delay_s=0).release_after_s == 0


def test_reports_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = "https://key@sentry.example/1"
    assert Config.load(dev=True, sentry_dsn=dsn).secret("sentry_dsn") == dsn
    monkeypatch.setattr("server.config.find_spec", lambda name: None)
    assert faults(dev=True, sentry_dsn=dsn) == [
        "TALKTIME_SENTRY_DSN: needs the extra: pip install 'talktime[sentry]'"
    ]
