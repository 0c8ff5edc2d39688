"""Every route of the server, wired: one line for each domain."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from rest.account.avatars import AvatarRoutes, AvatarSettings
from rest.account.block_list import BlockRoutes
from rest.account.pictures import Pictures
from rest.account.routes import AccountRoutes
from rest.auth.password_routes import PasswordRoutes
from rest.auth.passwords import HashCost, Passwords
from rest.auth.routes import AuthRoutes, AuthSettings
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.calls.routes import CallRoutes
from rest.http.idempotency import Idempotency
from rest.http.openapi import build_openapi
from rest.http.route import Route, mount
from rest.media.routes import MediaRoutes
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
from rest.payments.gateways.sandbox_pages import SandboxPages
from rest.payments.routes import PaymentRoutes
from rest.payments.settle import Settler
from rest.providers.routes import ProviderRoutes
from rest.wallet.routes import WalletRoutes
from server.access import Access
from server.config import Config
from server.health import HealthRoutes
from server.metrics import Metrics
from signalling.calls.actions import Actions
from storage.combiner import Combiner
from storage.objects import Objects, S3Access, in_bucket, in_folder
from storage.pool import Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the routes are made of."""

    pool: Pool
    config: Config
    clock: Callable[[], int]
    keys: TokenKeys
    sessions: Sessions
    passwords: Passwords
    objects: Objects
    actions: Actions
    settler: Settler
    sandbox: SandboxGateway | None
    combiner: Combiner
    version: str
    presence_of: Callable[[UUID, str], str]
    presence_changed: Callable[[UUID], None]
    session_ended: Callable[[UUID], None]
    draining: Callable[[], bool]


def all_routes(parts: Parts) -> list[Route]:
    pool, config, clock = parts.pool, parts.config, parts.clock
    idempotency = Idempotency(pool)
    auth = AuthRoutes(
        pool,
        parts.keys,
        parts.passwords,
        parts.sessions,
        clock=clock,
        settings=AuthSettings(currency=config.currency, refresh_idle_s=config.refresh_ttl_s),
        session_ended=parts.session_ended,
        leave_call=parts.actions.leave,
    )
    gateways = [] if parts.sandbox is None else [parts.sandbox]
    hook_secret = config.secret("media_hook_secret").encode()
    media = MediaRoutes(parts.actions, secret=hook_secret, clock=clock).table()
    return [
        *auth.table(),
        *PasswordRoutes(pool, parts.passwords, clock=clock, end_session=auth.end_session).table(),
        *AccountRoutes(
            pool,
            currency=config.currency,
            clock=clock,
            leave_call=parts.actions.leave,
            end_session=auth.end_session,
        ).table(),
        *AvatarRoutes(
            pool, parts.objects, Pictures(), clock=clock, settings=avatar_settings(config)
        ).table(),
        *BlockRoutes(pool).table(),
        *ProviderRoutes(
            pool,
            clock=clock,
            presence_of=parts.presence_of,
            presence_changed=parts.presence_changed,
            currency=config.currency,
        ).table(),
        *WalletRoutes(pool, currency=config.currency).table(),
        *PaymentRoutes(
            pool,
            gateways=gateways,
            settler=parts.settler,
            idempotency=idempotency,
            currency=config.currency,
            clock=clock,
        ).table(),
        *CallRoutes(
            pool,
            parts.actions,
            idempotency=idempotency,
            clock=clock,
            is_dev=config.is_dev,
            end_as_admin=parts.actions.stop,
        ).table(),
        *(media if hook_secret else []),
        *HealthRoutes(
            pool,
            version=parts.version,
            node=config.node_name,
            waiting=lambda: parts.combiner.waiting,
            healthy=lambda: parts.combiner.healthy,
            draining=parts.draining,
        ).table(),
    ]


def mount_all(
    app: web.Application, routes: list[Route], access: Access, parts: Parts, metrics: Metrics
) -> None:
    """Add the routes, the pages, and the documents made from the routes."""
    mount(app, routes, access.guard)
    document = build_openapi(routes, version=parts.version, title="Talktime")

    async def openapi(_: web.Request) -> web.Response:
        return web.json_response(document)

    app.router.add_get("/openapi.json", openapi)
    app.router.add_get("/metrics", metrics.handle)
    if parts.sandbox is not None:
        pages = SandboxPages(parts.sandbox, currency_exponent=parts.config.currency_exponent)
        app.add_routes(pages.table())


def make_passwords(config: Config) -> Passwords:
    cost = config.argon2
    return Passwords(
        HashCost(memory_kib=cost.memory_kib, passes=cost.time_cost, lanes=cost.parallelism)
    )


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


def make_sandbox(
    config: Config, pool: Pool, base_url: Callable[[], str], clock: Callable[[], int]
) -> SandboxGateway | None:
    """The payment company of development; None where it is off."""
    if not config.sandbox_gateway:
        return None
    secret = config.secret("sandbox_webhook_secret").encode()
    return SandboxGateway([secret], base_url, lookup=lookup_in(pool), clock=clock)
