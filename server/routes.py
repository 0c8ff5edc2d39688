"""Every route of the server, wired: one line for each domain."""

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from rest.account.routes import AccountRoutes
from rest.auth.passwords import HashCost, Passwords
from rest.auth.routes import AuthRoutes, AuthSettings
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.calls.routes import CallRoutes
from rest.http.idempotency import Idempotency
from rest.http.openapi import build_openapi
from rest.http.route import Route, mount
from rest.media.routes import MediaRoutes
from rest.notifications.routes import NotificationRoutes
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
from rest.payments.gateways.sandbox_pages import SandboxPages
from rest.payments.routes import PaymentRoutes
from rest.payments.settle import Settler
from rest.providers.routes import ProviderRoutes
from rest.settings.bodies import AppVersions, Links
from rest.settings.routes import SettingsRoutes
from rest.wallet.routes import WalletRoutes
from server.access import Access
from server.config import Config
from server.health import HealthRoutes
from server.metrics import Metrics
from signalling.calls.actions import Actions
from signalling.events import Event
from storage.combiner import Combiner
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
    actions: Actions
    settler: Settler
    sandbox: SandboxGateway | None
    combiner: Combiner
    version: str
    presence_of: Callable[[UUID, str], str]
    presence_changed: Callable[[UUID], None]
    session_ended: Callable[[UUID], None]
    tell: Callable[[UUID, Event], None]
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
    )
    gateways = [] if parts.sandbox is None else [parts.sandbox]
    hook_secret = config.secret("media_hook_secret").encode()
    media = MediaRoutes(parts.actions, secret=hook_secret, clock=clock).table()
    return [
        *auth.table(),
        *AccountRoutes(pool, currency=config.currency).table(),
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
        *NotificationRoutes(pool, idempotency=idempotency, tell=parts.tell).table(),
        *SettingsRoutes(
            pool,
            links=Links(terms=config.terms_url or None, privacy=config.privacy_url or None),
            app=AppVersions(
                version=config.app_version or None,
                min_supported_version=config.app_min_version or None,
            ),
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


def make_sandbox(
    config: Config, pool: Pool, base_url: Callable[[], str], clock: Callable[[], int]
) -> SandboxGateway | None:
    """The payment company of development; None where it is off."""
    if not config.sandbox_gateway:
        return None
    secret = config.secret("sandbox_webhook_secret").encode()
    return SandboxGateway([secret], base_url, lookup=lookup_in(pool), clock=clock)
