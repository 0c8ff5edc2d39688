"""Parts that the settings choose between, made."""

from __future__ import annotations

from collections.abc import Callable

from rest.account.avatars import AvatarSettings
from rest.auth.passwords import HashCost, Passwords
from rest.payments.gateways.monnify import API_URL as MONNIFY_URL
from rest.payments.gateways.monnify import MonnifyGateway
from rest.payments.gateways.port import Gateway
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
from server.config import Config
from server.gateway_settings import webhook_secrets
from server.metrics import Metrics
from server.turn_sessions import TurnSessions
from signalling.turn import TurnTerms
from storage.objects import Objects, S3Access, in_bucket, in_folder
from storage.pool import Pool


def make_passwords(config: Config) -> Passwords:
    cost = config.argon2
    return Passwords(
        HashCost(memory_kib=cost.memory_kib, passes=cost.time_cost, lanes=cost.parallelism)
    )


def make_turn(config: Config) -> TurnTerms:
    return TurnTerms(
        stun_urls=config.stun_urls,
        turn_urls=config.turn_urls,
        secret=config.secret("turn_secret"),
        ttl_ms=config.turn_ttl_s * 1_000,
    )


def make_gateways(
    config: Config, pool: Pool, public_url: Callable[[], str], clock: Callable[[], int]
) -> list[Gateway]:
    """The gateways that are on; they must be closed. `clock` gives Unix ms."""
    made: list[Gateway] = []
    if config.sandbox_gateway:
        secret = config.secret("sandbox_webhook_secret").encode()
        made.append(SandboxGateway([secret], public_url, lookup=lookup_in(pool), clock=clock))
    if config.stripe_secret_key is not None:
        # The SDK takes half a second and 34 MiB, so it is not for those who do not use it.
        from rest.payments.gateways.stripe import API_URL, StripeGateway

        made.append(
            StripeGateway(
                config.secret("stripe_secret_key"),
                publishable_key=config.stripe_publishable_key,
                webhook_secrets=webhook_secrets(config),
                api_url=config.stripe_api_url or API_URL,
            )
        )
    if config.monnify_secret_key is not None:
        made.append(
            MonnifyGateway(
                config.secret("monnify_api_key"),
                config.secret("monnify_secret_key"),
                contract_code=config.monnify_contract_code,
                exponent=config.currency_exponent,
                public_url=public_url,
                clock=clock,
                api_url=config.monnify_api_url or MONNIFY_URL,
            )
        )
    return made


def make_turn_sessions(config: Config, pool: Pool, metrics: Metrics) -> TurnSessions:
    password = config.secret("turn_console_password")
    return TurnSessions(pool, config.turn_console, password, observe=metrics.relays_ended)


def make_objects(config: Config) -> Objects:
    """The store of pictures: a bucket if there is one, else a folder."""
    if not config.objects_url:
        return in_folder(config.data_dir / "objects")
    return in_bucket(
        S3Access(
            url=config.objects_url,
            access_key=config.secret("objects_access_key"),
            secret_key=config.secret("objects_secret_key"),
            region=config.objects_region,
            endpoint=config.objects_endpoint,
        )
    )


def avatar_settings(config: Config) -> AvatarSettings:
    """Without an address of our own, as in development, those of pictures are paths."""
    return AvatarSettings(
        url_base=config.objects_public_url or f"{config.public_url.rstrip('/')}/media",
        bytes_max=config.avatar_bytes_max,
        upload_s=config.avatar_upload_ms / 1000,
    )
