from __future__ import annotations

import pytest
from pydantic import ValidationError

from server.config import Config, child_environment
from signalling.limits import CallLimits, SocketLimits
from tests.server.settings import OTHER, STRONG, clean_environment, faults, production

__all__ = ["clean_environment"]  # A fixture, in force for every test here.


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
        ("own_port", -1, 65_536),
        ("ready_fd", -2, 1_000_001),
        ("currency_exponent", -1, 5),
    ],
)
def test_both_ends_of_a_range_are_enforced(field: str, low: int, high: int) -> None:
    for value in (low, high):
        assert [line.split(":")[0] for line in faults(dev=True, **{field: value})] == [
            f"TALKTIME_{field.upper()}"
        ]


def test_earnings_rest_a_week_and_in_development_not_at_all() -> None:
    assert production().release_after_s == 7 * 86_400
    assert Config.load(dev=True).release_after_s == 0
    assert Config.load(dev=True, earnings_delay_s=60).release_after_s == 60
    assert production(earnings_delay_s=0).release_after_s == 0


def test_what_apps_are_told_looks_like_links_and_versions() -> None:
    config = Config.load(
        dev=True, terms_url="https://talk.example/terms", app_version="1.4.0", app_min_version="1"
    )
    assert (config.terms_url, config.privacy_url) == ("https://talk.example/terms", "")
    found = faults(dev=True, terms_url="javascript:alert(1)", privacy_url="/privacy",
                   app_version="latest", app_min_version="1.", notification_days=0)  # fmt: skip
    assert [line.split(":")[0] for line in found] == [
        "TALKTIME_APP_MIN_VERSION",
        "TALKTIME_APP_VERSION",
        "TALKTIME_NOTIFICATION_DAYS",
        "TALKTIME_PRIVACY_URL",
        "TALKTIME_TERMS_URL",
    ]


def test_one_node_has_its_port_to_itself_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone = Config.load(dev=True)
    assert (alone.reuse_port, alone.own_port, alone.ready_fd, alone.quiet) == (False, 0, -1, False)
    monkeypatch.setenv("TALKTIME_REUSE_PORT", "true")
    monkeypatch.setenv("TALKTIME_OWN_PORT", "9101")
    monkeypatch.setenv("TALKTIME_READY_FD", "7")
    monkeypatch.setenv("TALKTIME_QUIET", "true")
    worker = Config.load(dev=True)
    assert (worker.reuse_port, worker.own_port) == (True, 9_101)
    assert (worker.ready_fd, worker.quiet) == (7, True)


def test_deployments_on_one_redis_are_kept_apart_by_a_plain_prefix(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REDIS_URL", f"redis://:{OTHER}@127.0.0.1/0")
    config = Config.load(dev=True, redis_prefix="shop-1:")
    assert config.redis_prefix == "shop-1:"
    assert OTHER not in repr(config)
    for wrong in ("a b", "{a}", "x" * 33, "ä"):
        assert [line.split(":")[0] for line in faults(dev=True, redis_prefix=wrong)] == [
            "TALKTIME_REDIS_PREFIX"
        ]


def test_a_child_has_our_environment_but_for_what_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TALKTIME_PORT", "9000")
    monkeypatch.setenv("TALKTIME_RING_MS", "1000")
    made = child_environment({"TALKTIME_PORT": "9001"})
    assert (made["TALKTIME_PORT"], made["TALKTIME_RING_MS"]) == ("9001", "1000")
    assert Config.load(dev=True).port == 9_000
