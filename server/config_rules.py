"""Rules that settings must keep together, in any mode and in production.

Messages name the setting and the rule, never the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib.util import find_spec
from ipaddress import ip_network
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, parse_qs, urlsplit

from server.gateway_settings import gateway_faults, production_gateway_faults
from server.push_settings import push_faults, push_production_faults
from server.secrets import weaknesses
from server.sms_settings import sms_faults, sms_production_faults

if TYPE_CHECKING:
    from server.config import Config

PREFIX = "TALKTIME_"
PLAIN_NAMES = {"database_url": "DATABASE_URL", "redis_url": "REDIS_URL"}
SECRETS = (
    "jwt_secret",
    "sandbox_webhook_secret",
    "turn_secret",
    "turn_console_password",
    "metrics_token",
    "media_hook_secret",
    "otp_secret",
    "sms_http_secret",
    "push_webhook_secret",
)
# The embedded server has 100 connections; the queue, migrations and tools need a few of them.
EMBEDDED_POOL_MAX = 80
# 10.0.0.0/8 is the largest private network; nobody's own is shorter than these.
V4_BITS_MIN = 8
V6_BITS_MIN = 16

Fault = tuple[str, str]


def setting_name(field: str) -> str:
    """How the outside world spells a field: `TALKTIME_PORT` for `port`."""
    return PLAIN_NAMES.get(field, PREFIX + field.upper())


def relations(config: Config) -> Iterable[Fault]:
    """Rules between settings, in any mode."""
    if config.ping_idle_ms >= config.dead_idle_ms:
        yield "ping_idle_ms", f"must be less than {setting_name('dead_idle_ms')}"
    if config.ping_call_ms >= config.dead_call_ms:
        yield "ping_call_ms", f"must be less than {setting_name('dead_call_ms')}"
    if not config.grace_ms <= config.grace_budget_ms <= config.grace_window_ms:
        names = [setting_name(f"grace_{each}ms") for each in ("", "budget_", "window_")]
        yield "grace_budget_ms", f"{names[0]} ≤ {names[1]} ≤ {names[2]} must hold"
    if config.stats_ms >= config.evidence_ms:
        yield "stats_ms", f"must be less than {setting_name('evidence_ms')}"
    if config.lease_ms < 3 * config.beat_ms:
        yield "lease_ms", f"must be at least three times {setting_name('beat_ms')}"
    if config.buffered_bytes_max < config.sdp_bytes_max:
        yield "buffered_bytes_max", f"must be at least {setting_name('sdp_bytes_max')}"
    if bool(config.turn_urls) != bool(config.turn_secret):
        yield "turn_urls", f"and {setting_name('turn_secret')} belong together: set both or none"
    if bool(config.turn_console) != bool(config.turn_console_password):
        other = setting_name("turn_console_password")
        yield "turn_console", f"and {other} belong together: set both or none"
    if config.turn_console and not config.turn_urls:
        yield "turn_console", f"needs {setting_name('turn_urls')}"
    s3 = (config.objects_url, config.objects_access_key, config.objects_secret_key)
    if any(s3) != all(s3) or (config.objects_endpoint and not config.objects_url):
        names = [setting_name(f"objects_{each}_key") for each in ("access", "secret")]
        yield "objects_url", f"belongs together with {names[0]} and {names[1]}: set all or none"
    if config.relay_only and not config.turn_urls:
        yield "relay_only", f"needs {setting_name('turn_urls')}"
    yield from sms_faults(config)
    yield from push_faults(config)
    if config.sentry_dsn is not None:
        if not re.fullmatch(r"https?://\w+@[^/\s?#]+/\d+", config.secret("sentry_dsn")):
            yield "sentry_dsn", "must look like https://key@host/1"
        if find_spec("sentry_sdk") is None:
            yield "sentry_dsn", "needs the extra: pip install 'talktime[sentry]'"
    if config.database_url is None and config.db_pool_max > EMBEDDED_POOL_MAX:
        yield "db_pool_max", f"must be at most {EMBEDDED_POOL_MAX} with the embedded PostgreSQL"
    if config.database_url is not None:
        parts = _parts(config.secret("database_url"))
        if parts is None or parts.scheme not in ("postgres", "postgresql"):
            yield "database_url", "must look like postgresql://user:password@host:5432/database"
    yield from gateway_faults(config)


def production_faults(config: Config) -> list[Fault]:
    """What production refuses and development allows, as (field, reason)."""
    found: list[Fault] = []
    if config.jwt_secret is None:
        found.append(("jwt_secret", "is missing; 32 random bytes or more, as text"))
    texts = {name: config.secret(name) for name in SECRETS if getattr(config, name) is not None}
    for name, text in texts.items():
        found += [(name, reason) for reason in weaknesses(text)]
        shared = [setting_name(other) for other in texts if other > name and texts[other] == text]
        found += [(name, f"is the same as {other}; each purpose needs its own") for other in shared]
    if config.sandbox_gateway:
        found.append(("sandbox_gateway", "makes money out of nothing; it is for development only"))
    found += production_gateway_faults(config)
    if config.failpoint:
        found.append(("failpoint", "kills the server; it is for development only"))
    if config.argon2_profile == "test":
        found.append(("argon2_profile", "test is for tests only"))
    if "*" in config.cors_origins:
        found.append(("cors_origins", "must name each origin"))
    if any(_is_wide(text) for text in config.trusted_proxies):
        found.append(
            ("trusted_proxies", f"must be /{V4_BITS_MIN} (IPv6: /{V6_BITS_MIN}) or longer")
        )
    if not config.public_url.startswith("https://"):
        found.append(("public_url", "must be set, and begin with https://"))
    found += sms_production_faults(config)
    found += push_production_faults(config)
    if config.database_url is not None:
        found += _remote_faults(config)
    return found


def _is_wide(network: str) -> bool:
    """So large that clients are in it, who could then say where they come from."""
    parsed = ip_network(network)
    return parsed.prefixlen < (V4_BITS_MIN if parsed.version == 4 else V6_BITS_MIN)


def _parts(url: str) -> SplitResult | None:
    try:
        return urlsplit(url)
    except ValueError:
        return None


def _remote_faults(config: Config) -> Iterable[Fault]:
    parts = _parts(config.secret("database_url"))
    if parts is None:
        return
    query = parse_qs(parts.query)
    host = parts.hostname or query.get("host", [""])[0]
    if host in ("", "localhost", "::1") or re.match(r"/|127\.", host):
        return
    if not parts.password:
        yield "database_url", "needs a password, as the server is on another host"
    encrypted = query.get("sslmode", [""])[0] in ("require", "verify-ca", "verify-full")
    if not encrypted and not config.database_private_network:
        allowed = setting_name("database_private_network")
        yield "database_url", f"needs sslmode=verify-full or require (or set {allowed}=true)"
