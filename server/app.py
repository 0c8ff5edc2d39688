"""One server process: everything is made here, started in order and stopped in reverse."""

import asyncio
import gc
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.metadata import version
from uuid import UUID

from aiohttp import web

from rest.auth.codes import CodeKey
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from rest.http.money import spell
from rest.notifications.texts import after_call
from rest.payments.asking import Asker
from rest.payments.settle import Settler
from server.after_calls import AfterCalls
from server.background import (
    CHORES,
    Housekeeping,
    OutboxRelay,
    earnings_chore,
    expired_sessions,
    old_notifications,
)
from server.call_watch import CallWatch
from server.clock import node_clock
from server.config import Config
from server.deliveries import Deliveries
from server.doorman import HANDSHAKES, Doorman
from server.failpoints import fail_point, heard, queue_class
from server.handlers import job_handlers
from server.jobs import JobRunner
from server.makers import make_gateways, make_objects, make_passwords
from server.metrics import Metrics
from server.people import ensure_demo
from server.poller import Poller
from server.presence import PresenceReader
from server.revocations import Revocations
from server.routes import Parts, all_routes
from server.sms_settings import make_sms
from server.watching import Watching
from server.web_app import make_web_app
from signalling.calls.actions import Actions
from signalling.calls.host import Host, Later
from signalling.calls.lookups import CountedLookups
from signalling.calls.opening import House, Opener
from signalling.calls.performer import CallPerformer
from signalling.calls.recovery import recover
from signalling.calls.registry import Registry
from signalling.codes import By, Close
from signalling.events import Event
from signalling.frames import encode_event
from signalling.handlers.context import Context
from signalling.handlers.presence import PresenceBoard
from signalling.handlers.table import CallDesk
from signalling.nodes.fanout import Fanout
from signalling.nodes.memory import MemoryBus, MemoryPresence, MemoryRoutes, Space
from signalling.push import NoPush
from signalling.sockets.endpoint import SocketEndpoint
from signalling.sockets.hub import Hub
from signalling.turn import TurnTerms
from storage import ledger, nodes
from storage.pool import Connection, Pool, close_pool, connect, create_pool
from storage.selling import Sellers
from storage.terms import TermsReader

log = logging.getLogger(__name__)

# Generation 2 collections stall every call; what start-up made is never garbage.
GC_THRESHOLDS = (50_000, 50, 1_000)
# On the way down: calls end and settle first, then the sockets close, then the rest.
DRAIN_CALLS_S = 5.0


class Server:
    """`start` needs a migrated database; `stop` drains and leaves nothing behind."""

    def __init__(
        self,
        config: Config,
        dsn: str,
        *,
        clock: Callable[[], int] | None = None,
        later: Later | None = None,
    ) -> None:
        """`clock` and `later` are the time of the calls; tests let it run faster."""
        self.config = config
        self.version = version("talktime")
        self.metrics = Metrics(config.secret("metrics_token"), version=self.version)
        self.clock = clock or node_clock()
        self.draining = False
        self.base_url = config.public_url
        self._passed = fail_point(config.failpoint)
        self._dsn = dsn
        self._given_later = later

    async def start(self) -> web.Application:
        """Claim the node, settle what a dead life left, and make the app.

        Raises:
            NodeTaken: another live process runs under this node's name.
            Unavailable: the database does not answer.
        """
        async with AsyncExitStack() as started:
            app = await self._start(started)
            # From here on `stop` ends them, last started first; a start that fails does it itself.
            self._started = started.pop_all()
        return app

    async def _start(self, started: AsyncExitStack) -> web.Application:
        config, loop = self.config, asyncio.get_running_loop()
        if config.sentry_dsn is not None:
            from server.sentry import Reports  # An extra: there only where it is wanted.

            reports = Reports(
                config.secret("sentry_dsn"),
                release=self.version,
                environment=config.mode,
                node=config.node_name,
            )
            started.push_async_callback(reports.close)
        self._later: Later = self._given_later or (
            lambda delay_ms, run: loop.call_later(delay_ms / 1000, run)
        )
        self.pool: Pool = await create_pool(self._dsn, min_size=2, max_size=config.db_pool_max)
        started.push_async_callback(close_pool, self.pool)
        self._claim_conn: Connection = await connect(self._dsn, application_name="talktime claim")
        started.push_async_callback(self._claim_conn.close)
        claim = await nodes.claim_node(
            self._claim_conn, config.node_name, self.clock(), config.currency
        )
        await ledger.ensure_partitions(self._claim_conn)
        self.combiner = queue_class(self._passed)(
            self.pool,
            epoch=claim.epoch,
            clock=self.clock,
            beat_ms=config.beat_ms,
            on_fenced=self._fenced,
            on_slice=self.metrics.slice_written,
        )
        await self.combiner.start()
        started.push_async_callback(self.combiner.stop)
        outcomes = await recover(self._claim_conn, self.combiner, claim.epoch)
        self.metrics.calls_recovered.inc(len(outcomes))
        self.recovered = len(outcomes)
        self.terms = TermsReader(self.pool)
        started.push_async_callback(self.terms.close)
        self.keys = TokenKeys(config.secret("jwt_secret"), config.access_ttl_s)
        self.sessions = Sessions(self.clock, access_ttl_s=config.access_ttl_s)
        await self.sessions.load(self._claim_conn)
        self._make_signalling(claim.platform_account)
        started.push_async_callback(self.desk.stop)
        app = await self._make_app(started)
        await self.asking.start()
        started.push_async_callback(self.asking.stop)
        await self.housekeeping.start()
        started.push_async_callback(self.housekeeping.stop)
        await self.relay.start()
        started.push_async_callback(self.relay.stop)
        await self.after_calls.start()
        started.push_async_callback(self.after_calls.stop)
        await self.jobs.start()
        started.push_async_callback(self.jobs.stop)
        await self.hub.start()
        started.push_async_callback(self.hub.stop)
        await self.revocations.start()
        started.push_async_callback(self.revocations.stop)
        self._watch()
        gc.collect()
        gc.freeze()
        started.callback(gc.unfreeze)
        gc.set_threshold(*GC_THRESHOLDS)
        watching = Watching(self.metrics, self.pool, notice=self.jobs.notice)
        await watching.start()
        started.push_async_callback(watching.stop)
        return app

    def _make_signalling(self, platform: int) -> None:
        config = self.config
        self.socket_limits, self.call_limits = config.socket_limits(), config.call_limits()
        turn = TurnTerms(
            stun_urls=config.stun_urls,
            turn_urls=config.turn_urls,
            secret=config.secret("turn_secret"),
            ttl_ms=config.turn_ttl_s * 1_000,
        )
        space, name, push = Space(), config.node_name, NoPush()
        presence = MemoryPresence(space, name)
        self.board = PresenceBoard(self.socket_limits, self.clock)
        self.desk = CallDesk(
            doorman=Doorman(
                self.pool,
                self.keys,
                self.sessions,
                self.clock,
                handshakes=HANDSHAKES if config.user_burst and config.user_per_s else None,
            ),
            presence=presence,
            socket_limits=self.socket_limits,
            call_limits=self.call_limits,
        )
        self.hub = Hub(self.desk, self.socket_limits, self.clock)
        self.registry = Registry(MemoryRoutes(space, name), self.clock, self.board.changed)
        self.board.connect(self.hub, self.registry)
        self.fanout = Fanout(self.hub, presence, MemoryBus(space, name))
        performer = CallPerformer(
            self.fanout,
            self.combiner,
            push,
            turn,
            closed=self._closed,
            watcher=CallWatch(self.metrics),
        )
        opener = Opener(
            pool=self.pool,
            terms=CountedLookups(self.terms, self.call_limits),
            registry=self.registry,
            books=self.combiner,
            performer=performer,
            fanout=self.fanout,
            push=push,
            limits=self.call_limits,
            house=House(
                tariff=config.tariff,
                rate_minor=config.rate_minor,
                share_bps=config.provider_share_bps,
                platform=platform,
            ),
            clock=self.clock,
            later=self._later,
        )
        self.actions = Actions(
            pool=self.pool,
            registry=self.registry,
            opener=opener,
            hub=self.hub,
            turn=turn,
            clock=self.clock,
        )
        self.desk.connect(
            Context(
                pool=self.pool,
                hub=self.hub,
                fanout=self.fanout,
                registry=self.registry,
                actions=self.actions,
                board=self.board,
                turn=turn,
                clock=self.clock,
            )
        )

    async def _make_app(self, started: AsyncExitStack) -> web.Application:
        config = self.config
        self.passwords = make_passwords(config)
        started.callback(self.passwords.close)
        deliveries = Deliveries(tell=self._tell, funded=self.actions.funded)
        self.relay = OutboxRelay(self.pool, deliveries.deliver)
        money = partial(spell, currency=config.currency, exponent=config.currency_exponent)
        self.after_calls = AfterCalls(
            self.pool, partial(after_call, money=money), told=self.relay.kick
        )
        chores = [
            *CHORES,
            expired_sessions(self.clock),
            earnings_chore(config.release_after_s),
            old_notifications(config.notification_days),
        ]
        self.housekeeping = Housekeeping(self.pool, chores)
        self.revocations = Revocations(
            self.pool, self.sessions, clock=self.clock, session_ended=self._end_session
        )
        gateways = make_gateways(config, self.pool, lambda: self.base_url, self.clock)
        for gateway in gateways:
            started.push_async_callback(gateway.close)
        self.codes = CodeKey(config.secret("otp_secret"))
        sms = make_sms(config, self.clock)
        if sms is not None:
            started.push_async_callback(sms.close)
        # What can be paid for besides top-ups, by purpose.
        sellers: Sellers = {}
        if config.is_dev:
            await ensure_demo(self.pool, self.passwords, config.currency)
        parts = Parts(
            pool=self.pool,
            config=config,
            clock=self.clock,
            keys=self.keys,
            sessions=self.sessions,
            passwords=self.passwords,
            objects=make_objects(config),
            codes=self.codes,
            actions=self.actions,
            settler=Settler(
                self.pool,
                kick=self.relay.kick,
                sellers=sellers,
                observe=heard(self.metrics.gateway_spoke, self._passed),
            ),
            sellers=sellers,
            gateways=gateways,
            combiner=self.combiner,
            version=self.version,
            base_url=lambda: self.base_url,
            passed=self._passed,
            presence_of=self.board.of,
            present=self.board.present,
            presence_changed=PresenceReader(self.pool, self.board.learned).changed,
            session_ended=self._end_session,
            tell=self._tell,
            draining=lambda: self.draining,
        )
        asker = Asker(self.pool, gateways, parts.settler)
        self.asking = Poller("payments", asker.ask_due, poll_s=30.0)
        handlers = job_handlers(
            parts, sms=sms, otp_sent=self.metrics.code_sent, kick=self.relay.kick
        )
        self.jobs = JobRunner(self._dsn, handlers, observe=self.metrics.job_done)
        self.routes = all_routes(parts)
        endpoint = SocketEndpoint(
            self.hub,
            self.desk,
            self.socket_limits,
            self.clock,
            origins=frozenset(config.cors_origins),
            draining=lambda: self.draining,
        )
        return make_web_app(parts, self.routes, endpoint, self.metrics)

    def _watch(self) -> None:
        watch = self.metrics.watch
        watch("talktime_ws_connections", "Open sockets.", lambda: self.hub.sockets)
        watch("talktime_devices_connected", "Devices with a socket.", lambda: self.hub.count)
        watch("talktime_calls_active", "Live calls on this node.", lambda: len(self.registry))
        watch(
            "talktime_ledger_waiting",
            "Ledger works not yet written.",
            lambda: self.combiner.waiting,
        )
        watch("talktime_argon2_waiting", "Passwords to hash.", lambda: self.passwords.waiting)

    # -- what the parts ask of each other

    def _closed(self, host: Host) -> None:
        self.registry.drop(host)
        self.actions.closed(host)
        self.after_calls.kick()

    def _end_session(self, session_id: UUID) -> None:
        self.hub.close_session(session_id, Close.REVOKED)

    def _tell(self, user_id: UUID, event: Event) -> None:
        self.fanout.to_user(user_id, encode_event(event, self.clock()))

    def _fenced(self) -> None:
        """Another process has taken this node's calls: it must not go on with them."""
        log.critical("this node was fenced; it ends its calls and stops")
        for host in self.registry.hosts():
            host.close()
        self.stop_now()

    def stop_now(self) -> None:
        """Ask the runner to stop the process; replaced by whoever runs the server."""

    # -- the way down

    async def drain(self) -> None:
        """No new calls or sockets; live calls end and settle; devices are told to come back."""
        self.draining = True
        ends = [
            asyncio.create_task(self.actions.stop(host.id, By.SERVER))
            for host in self.registry.hosts()
        ]
        if ends:
            await asyncio.wait(ends, timeout=DRAIN_CALLS_S)
        await self.hub.close_all(Close.SERVICE_RESTART, 0)

    async def stop(self) -> None:
        await self._started.aclose()
