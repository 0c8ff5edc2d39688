"""The settings. The only reader of the environment; it reports all faults at once.

Every field is `TALKTIME_<NAME>`, but DATABASE_URL and REDIS_URL keep their usual names. Lists are
separated by commas. Messages name the setting and the rule, never the value.
"""

import os
import sys
from collections.abc import Iterable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import msgspec
from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from server import failpoints
from server.config_rules import PLAIN_NAMES, PREFIX, production_faults, relations, setting_name
from server.push_settings import WEBPUSH_HOSTS
from server.secrets import development_secrets
from server.sms_settings import region_code
from signalling.limits import CallLimits, SocketLimits

MADE_IN_DEVELOPMENT = ("jwt_secret", "sandbox_webhook_secret", "otp_secret")
DAY_S = 86_400
OTP_TEXT = r"^[^{}]*\{code\}[^{}]*$"


class Argon2Profile(NamedTuple):
    memory_kib: int
    time_cost: int
    parallelism: int


ARGON2_PROFILES = {
    "standard": Argon2Profile(19_456, 2, 1),
    "strong": Argon2Profile(65_536, 3, 1),
    "test": Argon2Profile(8, 1, 1),
}


class ConfigError(Exception):
    """The settings do not hold; `faults` has one line for each, safe to print."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = sorted(set(faults))
        super().__init__("\n".join(self.faults))


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _networks(value: object) -> object:
    parts = _split(value)
    if isinstance(parts, tuple):
        return tuple(str(ip_network(part)) for part in parts)
    return parts


def _blank_is_none(value: object) -> object:
    return None if value == "" else value


# May be left out.
WEB_URL = r"^(https?://[^\s/]\S*)?$"
VERSION = r"^(\d{1,6}(\.\d{1,6}){0,3})?$"
Secret = Annotated[SecretStr | None, BeforeValidator(_blank_is_none)]
File = Annotated[Path | None, BeforeValidator(_blank_is_none)]
Host = Annotated[str, Field(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")]
Hosts = Annotated[tuple[Host, ...], NoDecode, BeforeValidator(_split)]
Origin = Annotated[str, Field(pattern=r"^(\*|https?://[^/\s,*]+)$")]
StunUrl = Annotated[str, Field(pattern=r"^stuns?:[^\s,]+$")]
TurnUrl = Annotated[str, Field(pattern=r"^turns?:[^\s,]+$")]
Networks = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_networks)]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
StunUrls = Annotated[tuple[StunUrl, ...], NoDecode, BeforeValidator(_split)]
Region = Annotated[str | None, BeforeValidator(region_code)]
Regions = Annotated[tuple[Region, ...], NoDecode, BeforeValidator(_split)]
HostPort = Annotated[str, Field(pattern=r"^(\[[0-9A-Fa-f:.]+\]|[\w.-]+):[1-9]\d{0,4}$")]
HostPorts = Annotated[tuple[HostPort, ...], NoDecode, BeforeValidator(_split)]
TurnUrls = Annotated[tuple[TurnUrl, ...], NoDecode, BeforeValidator(_split)]


def _number(default: int, low: int, high: int) -> Any:
    return Field(default, ge=low, le=high)


class Config(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="forbid", populate_by_name=True
    )

    mode: Literal["dev", "production"] = "production"
    node_name: str = Field("main", pattern=r"^[a-z0-9][a-z0-9._-]{0,62}$")
    host: str = Field("127.0.0.1", min_length=1)
    port: int = _number(8080, 0, 65_535)
    # Share the port with other processes of this host (SO_REUSEPORT).
    reuse_port: bool = False
    # A second port, for this host only, on which this very process answers; 0: none. With several
    # workers that of the first one; the others have the next.
    own_port: int = _number(0, 0, 65_535)
    # By whoever starts this process as one of several: the pipe on which it says that it listens,
    # and that nothing is for people to read.
    ready_fd: int = _number(-1, -1, 1_000_000)
    quiet: bool = False
    public_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    cors_origins: Origins = ()
    # Networks of proxies whose X-Forwarded-For is believed.
    trusted_proxies: Networks = ()
    # Requests of one address, of one user: so many at once, then so many a second; 0: no limit.
    address_burst: int = _number(400, 0, 1_000_000)
    address_per_s: int = _number(100, 0, 1_000)
    user_burst: int = _number(120, 0, 1_000_000)
    user_per_s: int = _number(30, 0, 1_000)
    loop: Literal["uvloop", "asyncio"] = "asyncio" if sys.platform == "win32" else "uvloop"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "json", "text"] = "auto"

    data_dir: Path = Path("data")
    database_url: Secret = Field(None, validation_alias="DATABASE_URL")
    # TLS to a database on another host may be left out inside a private network, said so here.
    database_private_network: bool = False
    db_pool_max: int = _number(20, 4, 500)
    # Not set: this process is the only node of its database.
    redis_url: Secret = Field(None, validation_alias="REDIS_URL")
    # Keeps several deployments on one Redis apart.
    redis_prefix: str = Field("", pattern=r"^[A-Za-z0-9_:-]{0,32}$")
    # Nodes speak to each other directly where they can, not by Redis. Those of other machines can
    # where this one has a host, of a private network: nothing is encrypted there. Port 0: any.
    links: bool = True
    link_host: str = Field("", pattern=r"^[A-Za-z0-9_.:-]{0,255}$")
    link_port: int = _number(0, 0, 65_535)
    # For tests of crashes, in development only: the moment to die at (`server/failpoints.py`).
    failpoint: str = Field("", pattern=failpoints.PATTERN)
    lease_ms: int = _number(15_000, 1_000, 300_000)
    beat_ms: int = _number(1_000, 50, 1_000)

    jwt_secret: Secret = None
    access_ttl_s: int = _number(900, 10, 900)
    refresh_ttl_s: int = _number(30 * DAY_S, 60, 90 * DAY_S)
    argon2_profile: Literal["standard", "strong", "test"] = "standard"
    # A log-in then ends the account's other sessions.
    single_session: bool = False

    # Whose national phone numbers are understood; not set: international numbers only.
    default_region: Region = None
    # Not set: on the console in development, off in production.
    sms: Literal["off", "console", "http", "twilio"] | None = None
    sms_countries: Regions = ()
    otp_secret: Secret = None
    otp_text: str = Field("{code} is your code. Tell it nobody.", pattern=OTP_TEXT, max_length=140)
    otp_ttl_s: int = _number(120, 30, 600)
    # Sends: in 60 s by phone and by address, by day and hour, and of the whole deployment.
    otp_resend_s: int = _number(0, 0, 600)
    otp_minute_max: int = _number(5, 1, 1_000)
    otp_phone_day_max: int = _number(10, 1, 1_000)
    otp_address_hour_max: int = _number(10, 1, 100_000)
    otp_block_hour_max: int = _number(15, 1, 10_000)
    otp_day_max: int = _number(1_000, 1, 100_000_000)
    # Wrong codes from one address.
    otp_failures_hour_max: int = _number(30, 3, 100_000)
    sms_http_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    sms_http_token: Secret = None
    sms_http_secret: Secret = None
    twilio_account_sid: str = Field("", pattern=r"^(AC[0-9a-f]{32})?$")
    twilio_auth_token: Secret = None
    # A number of the account's, or one of its messaging services.
    twilio_sender: str = Field("", pattern=r"^(\+[1-9][0-9]{6,14}|MG[0-9a-f]{32})?$")

    # What wakes sleeping phones: each kind is on when its settings are there.
    push_webhook_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    push_webhook_secret: Secret = None
    fcm_credentials_file: File = None
    apns_key_file: File = None
    apns_key_id: str = Field("", pattern=r"^([A-Z0-9]{10})?$")
    apns_team_id: str = Field("", pattern=r"^([A-Z0-9]{10})?$")
    apns_bundle_id: str = Field("", pattern=r"^[A-Za-z0-9.-]{0,155}$")
    apns_sandbox: bool = False  # For builds of development.
    webpush_vapid_private_key: Secret = None
    webpush_contact: str = Field("", pattern=r"^((mailto:|https://)[^\s<>]+)?$")
    # Push services that endpoints may belong to, with all hosts below them.
    webpush_hosts: Hosts = WEBPUSH_HOSTS

    # Lets Prometheus in from other hosts; without it /metrics answers this host alone.
    metrics_token: Secret = None
    # Where errors are reported, without anything of people; needs the extra `sentry`.
    sentry_dsn: Secret = None
    # Signs what the operator's media server tells of calls; without it there are no such routes.
    media_hook_secret: Secret = None

    # Where pictures are kept: "" is a folder in `data_dir`, s3://bucket[/prefix] a bucket.
    objects_url: str = Field("", pattern=r"^(s3://[a-z0-9.-]{3,63}(/[a-z0-9_/-]*)?)?$")
    objects_endpoint: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")  # "": Amazon's.
    objects_region: str = Field("us-east-1", pattern=r"^[a-z0-9-]+$")
    objects_access_key: Secret = None
    objects_secret_key: Secret = None
    # Where everybody can read the bucket; without it the pictures are served by us.
    objects_public_url: str = Field("", pattern=r"^(https?://[^\s?#]+[^\s?#/])?$")
    avatar_bytes_max: int = _number(5_242_880, 65_536, 20_971_520)
    avatar_upload_ms: int = _number(20_000, 100, 25_000)

    currency: str = Field("PTS", pattern=r"^[A-Z]{3}$")
    currency_exponent: int = _number(0, 0, 4)
    tariff: Literal["second", "minute"] = "second"
    rate_minor: int = _number(10, 0, 1_000_000_000)  # For one minute.
    platform_share_bps: int = _number(3_000, 0, 10_000)
    # Earnings can be taken out so long after they came. Not set: 7 days, in development at once.
    earnings_delay_s: int | None = Field(None, ge=0, le=90 * DAY_S)
    payout_min_minor: int = _number(1_000, 1, 1_000_000_000)
    # What an operator may add to wallets and take from them alone within 24 hours.
    adjustment_limit_minor: int = _number(10_000, 0, 1_000_000_000)
    sandbox_gateway: bool | None = None  # Not set: on in development only.
    sandbox_webhook_secret: Secret = None
    # A gateway is on when its keys are set. Webhook secrets: one, or two while they change.
    stripe_secret_key: Secret = None
    stripe_publishable_key: str = Field("", pattern=r"^(pk_[A-Za-z0-9_]+)?$")
    stripe_webhook_secrets: Secret = None
    stripe_api_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")
    monnify_api_key: Secret = None
    monnify_secret_key: Secret = None
    monnify_contract_code: str = Field("", pattern=r"^[0-9A-Za-z]*$")
    monnify_api_url: str = Field("", pattern=r"^(https?://[^\s?#]+)?$")

    # What an app is told of this deployment, at /settings.
    terms_url: str = Field("", pattern=WEB_URL)
    privacy_url: str = Field("", pattern=WEB_URL)
    app_version: str = Field("", pattern=VERSION)
    app_min_version: str = Field("", pattern=VERSION)
    notification_days: int = _number(90, 1, 3_650)  # Older rows of an inbox are deleted.

    # Of one socket: `signalling.limits.SocketLimits`.
    hello_ms: int = _number(5_000, 100, 60_000)
    frame_bytes_max: int = _number(65_536, 4_096, 262_144)
    ping_idle_ms: int = _number(25_000, 100, 300_000)
    dead_idle_ms: int = _number(60_000, 200, 900_000)
    ping_call_ms: int = _number(5_000, 100, 60_000)
    dead_call_ms: int = _number(15_000, 200, 120_000)
    send_queue_bytes_max: int = _number(1_048_576, 65_536, 16_777_216)
    send_queue_frames_max: int = _number(256, 16, 4_096)
    devices_per_user_max: int = _number(5, 1, 50)
    sockets_per_address_max: int = _number(50, 1, 1_000_000)
    # A device's call requests: so many at once, then one every 2 s.
    call_request_burst: int = _number(3, 1, 1_000_000_000)

    # How late this process may be, or what it writes, before it refuses new calls; 0: never.
    late_max_ms: int = _number(100, 0, 10_000)

    # Of one call: `signalling.limits.CallLimits`.
    reach_ms: int = _number(20_000, 100, 120_000)
    ring_ms: int = _number(30_000, 100, 120_000)
    caller_gone_ms: int = _number(15_000, 100, 120_000)
    connect_ms: int = _number(20_000, 100, 120_000)
    grace_ms: int = _number(30_000, 100, 300_000)
    grace_budget_ms: int = _number(90_000, 100, 3_600_000)
    grace_window_ms: int = _number(600_000, 100, 3_600_000)
    evidence_ms: int = _number(25_000, 100, 120_000)
    stats_ms: int = _number(10_000, 100, 60_000)
    duration_max_ms: int = _number(14_400_000, 1_000, 86_400_000)
    sdp_bytes_max: int = _number(32_768, 4_096, 65_536)
    buffered_signals_max: int = _number(64, 8, 1_024)
    buffered_bytes_max: int = _number(131_072, 32_768, 1_048_576)
    relay_only: bool = False
    calls_per_hour_max: int = _number(30, 1, 1_000_000_000)
    cooldown_calls: int = _number(3, 1, 1_000_000_000)

    stun_urls: StunUrls = ()
    turn_urls: TurnUrls = ()
    turn_secret: Secret = None
    turn_ttl_s: int = _number(600, 60, 3_600)
    # The consoles of the TURN servers, spoken to in plain text: in a private network only.
    turn_console: HostPorts = ()
    turn_console_password: Secret = None

    @classmethod
    def load(cls, *, dev: bool = False, **given: Any) -> Self:
        """Read and check the settings; `given` fields outrank the environment.

        In development the secrets that are not set are made once, and kept in
        `data_dir/secrets.json`.

        Raises:
            ConfigError: with every fault there is.
        """
        if dev:
            given["mode"] = "dev"
        faults = _unknown_names(os.environ, cls.model_fields)
        bad: set[str] = set()
        try:
            config = cls(**given)
        except ValidationError as error:
            for each in error.errors(include_input=False, include_url=False):
                field = _field_of(each["loc"])
                bad.add(field)
                faults.append(f"{setting_name(field)}: {each['msg']}")
            # The rules that compare settings still apply to the good ones.
            defaults = {
                name: field.default for name, field in cls.model_fields.items() if name in bad
            }
            try:
                config = cls(**(given | defaults))
            except ValidationError:
                raise ConfigError(faults) from None
        config, more = config._completed(bad)
        faults += more
        if faults:
            raise ConfigError(faults)
        return config

    def _completed(self, bad: set[str]) -> tuple[Self, list[str]]:
        """Fill what depends on the mode, and list the faults outside the fields in `bad`."""
        found = list(relations(self))
        config = self
        if self.mode == "dev":
            filled: dict[str, Any] = {}
            if self.sandbox_gateway is None:
                filled["sandbox_gateway"] = True
            if self.sms is None:
                filled["sms"] = "console"
            missing = [name for name in MADE_IN_DEVELOPMENT if getattr(self, name) is None]
            if missing and not (bad or found):
                path = self.data_dir / "secrets.json"
                try:
                    made = development_secrets(path, missing)
                except (OSError, ValueError) as error:
                    said = error.strerror if isinstance(error, OSError) else error
                    found.append(("data_dir", f"secrets.json in it {said}"))
                else:
                    filled |= {name: SecretStr(secret) for name, secret in made.items()}
            config = self.model_copy(update=filled)
        else:
            found += production_faults(self)
        lines = [f"{setting_name(field)}: {text}" for field, text in found if field not in bad]
        return config, lines

    @property
    def is_dev(self) -> bool:
        return self.mode == "dev"

    @property
    def log_form(self) -> str:
        """`json` or `text`."""
        if self.log_format == "auto":
            return "text" if self.is_dev else "json"
        return self.log_format

    @property
    def argon2(self) -> Argon2Profile:
        return ARGON2_PROFILES[self.argon2_profile]

    @property
    def provider_share_bps(self) -> int:
        return 10_000 - self.platform_share_bps

    @property
    def release_after_s(self) -> int:
        if self.earnings_delay_s is None:
            return 0 if self.is_dev else 7 * DAY_S
        return self.earnings_delay_s

    def secret(self, name: str) -> str:
        """The text of a secret that `load` made sure of; empty if it is not set."""
        kept: SecretStr | None = getattr(self, name)
        return kept.get_secret_value() if kept else ""

    def socket_limits(self) -> SocketLimits:
        return SocketLimits(**self._shared_with(SocketLimits))

    def call_limits(self) -> CallLimits:
        return CallLimits(**self._shared_with(CallLimits), ice_ttl_ms=self.turn_ttl_s * 1_000)

    def _shared_with(self, kind: type[msgspec.Struct]) -> dict[str, Any]:
        names = set(kind.__struct_fields__) & set(type(self).model_fields)
        return {name: getattr(self, name) for name in names}


def child_environment(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with these settings instead of its own."""
    return {**os.environ, **given}


def _field_of(location: tuple[int | str, ...]) -> str:
    """The field a fault of pydantic is about; it may name an alias, and a place in a list."""
    first = str(location[0]) if location else ""
    return next((field for field, name in PLAIN_NAMES.items() if name == first), first)


def _unknown_names(names: Iterable[str], fields: Iterable[str]) -> list[str]:
    """A misspelt setting would otherwise be ignored in silence."""
    known = {setting_name(field) for field in fields}
    ours = (name for name in names if name.upper().startswith(PREFIX))
    return [f"{name}: there is no such setting" for name in ours if name.upper() not in known]
