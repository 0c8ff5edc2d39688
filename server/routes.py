"""Every route of the server, wired: one line for each domain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from aiohttp import web

from rest.account.avatars import AvatarRoutes
from rest.account.block_list import BlockRoutes
from rest.account.pictures import Pictures
from rest.account.routes import AccountRoutes
from rest.auth.codes import CodeKey
from rest.auth.desk import AuthSettings, SessionDesk
from rest.auth.otp import Otps
from rest.auth.otp_routes import OtpRoutes
from rest.auth.password_routes import PasswordRoutes
from rest.auth.passwords import Passwords
from rest.auth.phone_routes import PhoneRoutes
from rest.auth.routes import AuthRoutes
from rest.auth.session_routes import SessionRoutes
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.calls.chat_routes import ChatRoutes
from rest.calls.history_routes import HistoryRoutes
from rest.calls.refund_routes import RefundRoutes as CallRefundRoutes
from rest.calls.routes import CallRoutes
from rest.devices.routes import DeviceRoutes
from rest.http.idempotency import Idempotency
from rest.http.openapi import build_openapi
from rest.http.route import Route, mount
from rest.media.routes import MediaRoutes
from rest.notifications.routes import NotificationRoutes
from rest.operators.adjustment_routes import AdjustmentRoutes
from rest.operators.call_routes import OperatorCallRoutes, Overseer
from rest.operators.login_routes import LoginRoutes
from rest.operators.money_routes import MoneyRoutes
from rest.operators.overview_routes import OverviewRoutes
from rest.operators.people_routes import PeopleRoutes
from rest.operators.record_routes import RecordRoutes
from rest.operators.routes import OperatorRoutes
from rest.operators.webhook_routes import WebhookRoutes
from rest.payments.gateways.port import Gateway
from rest.payments.gateways.sandbox import SandboxGateway
from rest.payments.gateways.sandbox_pages import SandboxPages
from rest.payments.plan_routes import PlanRoutes
from rest.payments.purchase_routes import PurchaseRoutes
from rest.payments.refund_routes import RefundRoutes
from rest.payments.routes import PaymentRoutes
from rest.payments.settle import Settler
from rest.providers.own import OwnProfileRoutes
from rest.providers.reviews import ReviewRoutes
from rest.providers.routes import ProviderRoutes
from rest.providers.shown import Shown
from rest.settings.bodies import AppVersions, Links
from rest.settings.routes import SettingsRoutes
from rest.wallet.payout_desk import PayoutDesk
from rest.wallet.payout_routes import PayoutRoutes
from rest.wallet.routes import WalletRoutes
from server.access import Access
from server.config import Config
from server.documents import Documents
from server.graphql_wiring import graphql_table
from server.health import HealthRoutes, seems_ready
from server.makers import avatar_settings
from server.metrics import Metrics
from server.pages import Pages
from server.push_wiring import push_terms
from server.records import Records
from server.site import site_of
from server.sms_wiring import otp_settings
from signalling.asyncapi import build_asyncapi
from signalling.calls.routed import RoutedActions
from signalling.events import Event
from signalling.nodes.bus import Bus
from storage import users
from storage.combiner import Combiner
from storage.deadline import Deadline
from storage.objects import Objects
from storage.pool import Pool
from storage.selling import Sellers

CONSOLE_DEADLINE = Deadline(4.0)
TAGS = {
    "auth": "Sign-up, log-in, one-time codes, tokens and sessions.",
    "calls": "Calls by request, with the engine of the socket; history and receipts.",
    "devices": "Which of one's devices can be woken for a call.",
    "media hooks": "What an operator's media server tells of calls.",
    "notifications": "What one has been told besides the events of the socket.",
    "operations": "For operators and their balancers.",
    "operators": "What operators see of people, money and calls, and what they may do.",
    "payments": "Money in: payments, plans, gateways and refunds.",
    "payouts": "For operators: what providers want to be paid out.",
    "providers": "Companions, technicians, coaches: the directory and profiles.",
    "reviews": "What callers say of the providers they have talked with.",
    "settings": "What one wants to be told of, and what the app must know.",
    "user": "One's own profile, others' public one, and the block list.",
    "wallet": "Balances, entries, purchases, usage, earnings and payouts.",
    "webhooks": "For operators: servers of theirs that are told of calls.",
}


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
    codes: CodeKey
    actions: RoutedActions
    settler: Settler
    sellers: Sellers
    gateways: list[Gateway]
    combiner: Combiner
    version: str
    base_url: Callable[[], str]
    passed: Callable[[str], None] | None
    presence_of: Callable[[UUID, str], str]
    present: Callable[[], Mapping[UUID, str]]
    presence_changed: Callable[[UUID], None]
    session_ended: Callable[[UUID], None]
    tell: Callable[[UUID, Event], None]
    draining: Callable[[], bool]
    bus: Bus
    webhooks_changed: Callable[[], None]
    overseer: Overseer
    records: Records


def all_routes(parts: Parts) -> list[Route]:
    pool, config, clock = parts.pool, parts.config, parts.clock
    idempotency = Idempotency(pool, epoch=parts.records.epoch, passed=parts.passed)
    desk = SessionDesk(
        parts.keys,
        parts.sessions,
        clock=clock,
        settings=AuthSettings(
            currency=config.currency,
            region=config.default_region,
            refresh_idle_s=config.refresh_ttl_s,
            single_session=config.single_session,
        ),
        session_ended=parts.session_ended,
        presence_of=parts.presence_of,
    )
    otps = Otps(pool, parts.codes, clock=clock, settings=otp_settings(config))
    hook_secret = config.secret("media_hook_secret").encode()
    media = MediaRoutes(parts.actions, secret=hook_secret, clock=clock).table()
    shown = Shown(clock=clock, presence_of=parts.presence_of, currency=config.currency)
    return [
        *AuthRoutes(
            pool,
            parts.keys,
            parts.passwords,
            desk,
            clock=clock,
            leave_call=parts.actions.leave,
        ).table(),
        *PasswordRoutes(pool, parts.passwords, desk, clock=clock).table(),
        *SessionRoutes(pool, desk, clock=clock).table(),
        *OtpRoutes(pool, otps, parts.passwords, desk).table(),
        *PhoneRoutes(pool, otps, desk).table(),
        *AccountRoutes(
            pool,
            currency=config.currency,
            clock=clock,
            leave_call=parts.actions.leave,
            end_session=desk.end,
            check_fresh=desk.check_fresh,
        ).table(),
        *AvatarRoutes(
            pool, parts.objects, Pictures(), clock=clock, settings=avatar_settings(config)
        ).table(),
        *BlockRoutes(pool).table(),
        *DeviceRoutes(pool, push_terms(config)).table(),
        *ProviderRoutes(pool, shown, present=parts.present).table(),
        *OwnProfileRoutes(
            pool,
            shown,
            share_bps=config.provider_share_bps,
            presence_changed=parts.presence_changed,
        ).table(),
        *ReviewRoutes(pool, idempotency=idempotency).table(),
        *WalletRoutes(pool, currency=config.currency).table(),
        *PayoutRoutes(
            pool,
            idempotency=idempotency,
            currency=config.currency,
            release_after_s=config.release_after_s,
            amount_min=config.payout_min_minor,
            check_fresh=desk.check_fresh,
        ).table(),
        *PayoutDesk(pool, idempotency=idempotency).table(),
        *PaymentRoutes(
            pool,
            gateways=parts.gateways,
            settler=parts.settler,
            sellers=parts.sellers,
            idempotency=idempotency,
            currency=config.currency,
            clock=clock,
        ).table(),
        *PlanRoutes(pool, idempotency=idempotency, currency=config.currency).table(),
        *PurchaseRoutes(pool, idempotency=idempotency, kick=parts.settler.kick).table(),
        *RefundRoutes(
            pool, sellers=parts.sellers, idempotency=idempotency, kick=parts.settler.kick
        ).table(),
        *CallRoutes(
            pool,
            parts.actions,
            idempotency=idempotency,
            clock=clock,
            is_dev=config.is_dev,
            base_url=parts.base_url,
            end_as_admin=parts.actions.stop,
            region=config.default_region,
        ).table(),
        *HistoryRoutes(
            pool, parts.actions, clock=clock, currency_exponent=config.currency_exponent
        ).table(),
        *ChatRoutes(pool).table(),
        *CallRefundRoutes(
            pool, idempotency=idempotency, release_after_s=config.release_after_s
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
        *OperatorRoutes(pool).table(),
        *OperatorCallRoutes(pool, parts.overseer, stop=parts.actions.stop, clock=clock).table(),
        *OverviewRoutes(
            pool, epoch=parts.records.epoch, gauges=parts.records.gauges, currency=config.currency
        ).table(),
        *WebhookRoutes(pool, strict=not config.is_dev, changed=parts.webhooks_changed).table(),
        *PeopleRoutes(
            pool,
            currency=config.currency,
            clock=clock,
            stop=parts.actions.stop,
            end_session=desk.end,
        ).table(),
        *LoginRoutes(pool, clock=clock, end_session=desk.end).table(),
        *MoneyRoutes(pool, sellers=parts.sellers).table(),
        *RecordRoutes(pool, lease_ms=config.lease_ms).table(),
        *AdjustmentRoutes(
            pool,
            idempotency=idempotency,
            currency=config.currency,
            alone_max=config.adjustment_limit_minor,
            kick=parts.settler.kick,
        ).table(),
        *HealthRoutes(
            pool,
            version=parts.version,
            node=config.node_name,
            waiting=lambda: parts.combiner.waiting,
            healthy=lambda: parts.combiner.healthy,
            draining=parts.draining,
            bus=parts.bus,
        ).table(),
    ]


def mount_all(
    app: web.Application, routes: list[Route], access: Access, parts: Parts, metrics: Metrics
) -> None:
    """Add the routes, the pages, and the documents made from the routes."""
    mount(app, routes, access.guard)
    version = parts.version
    documents = Documents(
        partial(build_openapi, routes, version=version, title="Talktime", tags=TAGS),
        partial(build_asyncapi, version=version),
    )
    app.add_routes(documents.table())
    site = site_of(parts.config, parts.version, [each.name for each in parts.gateways])
    app.add_routes(Pages(site, has_console=lambda: _has_admin(parts.pool)).table())
    app.router.add_get("/metrics", metrics.handle)
    metrics.watch(
        "talktime_ready",
        "1 while this node takes calls, as far as it knows.",
        lambda: seems_ready(parts.combiner.healthy, parts.draining(), parts.bus),
    )
    app.add_routes(graphql_table(parts.pool, parts.config, metrics, access.guard))
    for gateway in parts.gateways:
        if isinstance(gateway, SandboxGateway):
            pages = SandboxPages(gateway, currency_exponent=parts.config.currency_exponent)
            app.add_routes(pages.table())


async def _has_admin(pool: Pool) -> bool:
    async with CONSOLE_DEADLINE(), pool.acquire() as conn:
        return await users.has_admin(conn)
