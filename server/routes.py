"""Every route of the server, wired: one line for each domain."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web

from rest.account.avatars import AvatarRoutes, AvatarSettings
from rest.account.block_list import BlockRoutes
from rest.account.pictures import Pictures
from rest.account.routes import AccountRoutes
from rest.auth.codes import CodeKey
from rest.auth.desk import AuthSettings, SessionDesk
from rest.auth.otp import Otps
from rest.auth.otp_routes import OtpRoutes
from rest.auth.password_routes import PasswordRoutes
from rest.auth.passwords import HashCost, Passwords
from rest.auth.phone_routes import PhoneRoutes
from rest.auth.routes import AuthRoutes
from rest.auth.session_routes import SessionRoutes
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.calls.history_routes import HistoryRoutes
from rest.calls.refund_routes import RefundRoutes as CallRefundRoutes
from rest.calls.routes import CallRoutes
from rest.http.idempotency import Idempotency
from rest.http.openapi import build_openapi
from rest.http.route import Route, mount
from rest.media.routes import MediaRoutes
from rest.operators.routes import OperatorRoutes
from rest.payments.gateways.monnify import API_URL as MONNIFY_URL
from rest.payments.gateways.monnify import MonnifyGateway
from rest.payments.gateways.port import Gateway
from rest.payments.gateways.sandbox import SandboxGateway, lookup_in
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
from rest.wallet.payout_desk import PayoutDesk
from rest.wallet.payout_routes import PayoutRoutes
from rest.wallet.routes import WalletRoutes
from server.access import Access
from server.config import Config
from server.documents import Documents
from server.gateway_settings import webhook_secrets
from server.health import HealthRoutes
from server.metrics import Metrics
from server.sms_settings import otp_settings
from signalling.asyncapi import build_asyncapi
from signalling.calls.actions import Actions
from storage.combiner import Combiner
from storage.objects import Objects, S3Access, in_bucket, in_folder
from storage.pool import Pool
from storage.selling import Sellers

TAGS = {
    "auth": "Sign-up, log-in, one-time codes, tokens and sessions.",
    "calls": "Calls by request, with the engine of the socket; history and receipts.",
    "media hooks": "What an operator's media server tells of calls.",
    "notifications": "What one has been told besides the events of the socket.",
    "operations": "For operators and their balancers.",
    "payments": "Money in: payments, plans, gateways and refunds.",
    "payouts": "For operators: what providers want to be paid out.",
    "providers": "Companions, technicians, coaches: the directory and profiles.",
    "reviews": "What callers say of the providers they have talked with.",
    "settings": "What one wants to be told of, and what the app must know.",
    "user": "One's own profile, others' public one, and the block list.",
    "wallet": "Balances, entries, purchases, usage, earnings and payouts.",
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
    actions: Actions
    settler: Settler
    sellers: Sellers
    gateways: list[Gateway]
    combiner: Combiner
    version: str
    presence_of: Callable[[UUID, str], str]
    present: Callable[[], Mapping[UUID, str]]
    presence_changed: Callable[[UUID], None]
    session_ended: Callable[[UUID], None]
    draining: Callable[[], bool]


def all_routes(parts: Parts) -> list[Route]:
    pool, config, clock = parts.pool, parts.config, parts.clock
    idempotency = Idempotency(pool)
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
        *OtpRoutes(pool, otps, desk).table(),
        *PhoneRoutes(pool, otps, desk).table(),
        *AccountRoutes(
            pool,
            currency=config.currency,
            clock=clock,
            leave_call=parts.actions.leave,
            end_session=desk.end,
        ).table(),
        *AvatarRoutes(
            pool, parts.objects, Pictures(), clock=clock, settings=avatar_settings(config)
        ).table(),
        *BlockRoutes(pool).table(),
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
        ).table(),
        *PayoutDesk(pool).table(),
        *PaymentRoutes(
            pool,
            gateways=parts.gateways,
            settler=parts.settler,
            sellers=parts.sellers,
            idempotency=idempotency,
            currency=config.currency,
            clock=clock,
        ).table(),
        *PlanRoutes(pool, currency=config.currency).table(),
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
            end_as_admin=parts.actions.stop,
            region=config.default_region,
        ).table(),
        *HistoryRoutes(
            pool, parts.actions, clock=clock, currency_exponent=config.currency_exponent
        ).table(),
        *CallRefundRoutes(pool, idempotency=idempotency).table(),
        *(media if hook_secret else []),
        *OperatorRoutes(pool).table(),
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
    openapi = build_openapi(routes, version=parts.version, title="Talktime", tags=TAGS)
    app.add_routes(Documents(openapi, build_asyncapi(version=parts.version)).table())
    app.router.add_get("/metrics", metrics.handle)
    for gateway in parts.gateways:
        if isinstance(gateway, SandboxGateway):
            pages = SandboxPages(gateway, currency_exponent=parts.config.currency_exponent)
            app.add_routes(pages.table())


def make_passwords(config: Config) -> Passwords:
    cost = config.argon2
    return Passwords(
        HashCost(memory_kib=cost.memory_kib, passes=cost.time_cost, lanes=cost.parallelism)
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
