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
from server.cluster import make_cluster
from server.config import Config
from server.deliveries import Deliveries
from server.doorman import HANDSHAKES, Doorman
from server.failpoints import fail_point, heard, queue_class
from server.gauges import watch_server
from server.handlers import job_handlers
from server.jobs import JobRunner
from server.makers import (
    make_gateways,
    make_objects,
    make_passwords,
    make_turn,
    make_turn_sessions,
)
from server.metrics import Metrics
from server.name_keeper import NameKeeper
from server.people import ensure_demo
from server.poller import Poller
from server.presence import PresenceReader
from server.push_wiring import make_push
from server.records import Records
from server.revocations import Revocations
from server.routes import Parts, all_routes
from server.sms_wiring import make_sms
from server.watching import Watching
from server.web_app import make_web_app
from server.webhooks import Webhooks
from signalling.calls.claims import PgClaims
from signalling.calls.host import Host, Later
from signalling.calls.lookups import CountedLookups
from signalling.calls.opening import House
from signalling.codes import Close
from signalling.core.call import BEFORE_ANSWER
from signalling.core.gate import Gate
from signalling.node import Ground, LiveNode
from signalling.sockets.endpoint import SocketEndpoint
from storage import ledger, nodes
from storage.pool import Pool, close_pool, create_pool
from storage.selling import Sellers
from storage.terms import TermsReader

log = logging.getLogger(__name__)

# Generation 2 collections stall every call; what start-up made is never garbage.
GC_THRESHOLDS = (50_000, 50, 1_000)
# On the way down: calls are left to others first, then the sockets close, then the rest. All of
# them at once would come back at once.
SPREAD_MS = 2
SPREAD_MAX_MS = 10_000


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
        self.fenced = False
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
        keeper = NameKeeper(self._dsn, config.node_name)
        claim = await keeper.claim(self.clock(), config.currency)
        started.push_async_callback(keeper.stop, claim.epoch)
        await ledger.ensure_partitions(keeper.conn)
        self.records = Records(self.pool, claim.epoch, self.metrics, clock=self.clock)
        started.push_async_callback(self.records.stop)
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
        self.terms = TermsReader(self.pool)
        started.push_async_callback(self.terms.close)
        self.keys = TokenKeys(config.secret("jwt_secret"), config.access_ttl_s)
        self.sessions = Sessions(self.clock, access_ttl_s=config.access_ttl_s)
        await self.sessions.load(keeper.conn)
        self.webhooks = Webhooks(self.pool, self.metrics, strict=not config.is_dev)
        await self.webhooks.start()
        started.push_async_callback(self.webhooks.stop)
        self.cluster = make_cluster(config, self._dsn, claim.address, self.metrics)
        self.live = self._make_node(claim)
        started.push_async_callback(self.live.stop)
        await self.records.start(self.live)
        app = await self._make_app(started)
        await self.cluster.start()
        started.push_async_callback(self.cluster.stop)
        await self.live.adopter.take_orphans()
        self.recovered = len(self.live.registry)
        await self.sweep.start()
        started.push_async_callback(self.sweep.stop)
        await self.asking.start()
        started.push_async_callback(self.asking.stop)
        await self.housekeeping.start()
        started.push_async_callback(self.housekeeping.stop)
        await self.relay.start()
        started.push_async_callback(self.relay.stop)
        await self.after_calls.start()
        started.push_async_callback(self.after_calls.stop)
        await self.push.start()
        started.push_async_callback(self.push.stop)
        await self.jobs.start()
        started.push_async_callback(self.jobs.stop)
        self.watching = Watching(self.metrics, self.pool, notice=self.jobs.notice)
        await self.turn_sessions.start()
        started.push_async_callback(self.turn_sessions.stop)
        await self.live.hub.start()
        started.push_async_callback(self.live.hub.stop)
        await self.revocations.start()
        started.push_async_callback(self.revocations.stop)
        watch_server(
            self.metrics,
            self.live,
            gate=self.gate,
            clock=self.clock,
            ledger_waiting=lambda: self.combiner.waiting,
            passwords_waiting=lambda: self.passwords.waiting,
        )
        gc.collect()
        gc.freeze()
        started.callback(gc.unfreeze)
        gc.set_threshold(*GC_THRESHOLDS)
        await self.watching.start()
        started.push_async_callback(self.watching.stop)
        return app

    def _make_node(self, claim: nodes.NodeClaim) -> LiveNode:
        config = self.config
        limits = config.call_limits()
        self.gate = Gate(config.late_max_ms, self.clock())
        self.push = make_push(
            config, self.pool, self.clock, self._later, self.metrics.push_went, self._is_ringing
        )
        return LiveNode(
            Ground(
                pool=self.pool,
                terms=CountedLookups(self.terms, limits),
                books=self.combiner,
                claims=PgClaims(self.pool, claim, self.combiner.proof, lease_ms=config.lease_ms),
                bus=self.cluster.bus,
                presence=self.cluster.presence,
                doorman=Doorman(
                    self.pool,
                    self.keys,
                    self.sessions,
                    self.clock,
                    handshakes=HANDSHAKES if config.user_burst and config.user_per_s else None,
                ),
                house=House(
                    tariff=config.tariff,
                    rate_minor=config.rate_minor,
                    share_bps=config.provider_share_bps,
                    platform=claim.platform_account,
                ),
                clock=self.clock,
                later=self._later,
                call_limits=limits,
                socket_limits=config.socket_limits(),
                push=self.push,
                turn=make_turn(config),
                watcher=self.records.beside(self.webhooks.beside(CallWatch(self.metrics))),
                proved_s=lambda: self.combiner.proof.at_s,
                wait_ms=self._wait_ms,
                closed=self._closed,
                parted=self.records.put,
                adopted=self.metrics.call_adopted,
                fenced=self.metrics.nodes_fenced,
                session_ended=self.sessions.revoke,
            )
        )

    async def _make_app(self, started: AsyncExitStack) -> web.Application:
        config = self.config
        self.passwords = make_passwords(config)
        started.callback(self.passwords.close)
        deliveries = Deliveries(tell=self.live.tell, funded=self.live.routed.funded)
        self.relay = OutboxRelay(self.pool, deliveries.deliver)
        money = partial(spell, currency=config.currency, exponent=config.currency_exponent)
        self.after_calls = AfterCalls(
            self.pool,
            partial(after_call, money=money),
            told=self.relay.kick,
            also=self.webhooks.ended,
        )
        chores = [
            *CHORES,
            *self.webhooks.chores(),
            *self.records.chores(),
            expired_sessions(self.clock),
            earnings_chore(config.release_after_s),
            old_notifications(config.notification_days),
        ]
        self.housekeeping = Housekeeping(self.pool, chores)
        self.turn_sessions = make_turn_sessions(config, self.pool, self.metrics)
        self.revocations = Revocations(
            self.pool, self.sessions, clock=self.clock, session_ended=self.live.close_session
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
            actions=self.live.routed,
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
            presence_of=self.live.board.of,
            present=self.live.board.present,
            presence_changed=PresenceReader(self.pool, self.live.board.set).changed,
            session_ended=self.live.end_session,
            tell=self.live.tell,
            draining=lambda: self.draining,
            bus=self.cluster.bus,
            webhooks_changed=self.webhooks.changed,
            overseer=self.live.oversight,
            records=self.records,
        )
        asker = Asker(self.pool, gateways, parts.settler)
        self.sweep = Poller("orphans", self.live.adopter.sweep, poll_s=self.cluster.sweep_s)
        self.live.exchange.on_nodes(left=lambda _: self.sweep.kick())
        self.asking = Poller("payments", asker.ask_due, poll_s=30.0)
        handlers = job_handlers(
            parts, sms=sms, otp_sent=self.metrics.code_sent, kick=self.relay.kick
        )
        handlers |= self.webhooks.handlers()
        self.jobs = JobRunner(self._dsn, handlers, observe=self.metrics.job_done)
        self.routes = all_routes(parts)
        endpoint = SocketEndpoint(
            self.live.hub,
            self.live.desk,
            self.live.ground.socket_limits,
            self.clock,
            origins=frozenset(config.cors_origins),
            draining=lambda: self.draining,
        )
        return make_web_app(parts, self.routes, endpoint, self.metrics)

    # -- what the parts ask of each other

    def _wait_ms(self) -> int:
        late_ms = max(self.combiner.late_ms, self.watching.loop_late_ms)
        return self.gate.wait_ms(late_ms, self.clock())

    def _closed(self, host: Host) -> None:
        self.records.put(host)
        self.turn_sessions.kick()
        self.after_calls.kick()

    def _is_ringing(self, call_id: UUID) -> bool:
        host = self.live.registry.find(call_id)
        return host is not None and host.call.state in BEFORE_ANSWER

    def _fenced(self) -> None:
        """Other nodes have taken this one's calls: it must not go on with them."""
        log.critical("this node was fenced: others run its calls, and it stops")
        self.fenced = True
        self.live.abandon_calls()
        self.stop_now()

    def stop_now(self) -> None:
        """Ask the runner to stop the process; replaced by whoever runs the server."""

    # -- the way down

    async def drain(self) -> int:
        """No new calls or sockets; live calls go to other nodes, or wait for this one's next life;
        devices are told to come back. How many calls were left to others."""
        self.draining = True
        self.cluster.bus.drain()
        count = 0 if self.fenced else await self.live.hand_over()
        sockets = self.live.hub.sockets
        await self.live.hub.close_all(
            Close.SERVICE_RESTART, min(SPREAD_MAX_MS, sockets * SPREAD_MS)
        )
        return count

    async def stop(self) -> None:
        await self._started.aclose()
