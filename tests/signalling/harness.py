"""A node in memory: the server's own parts around a real database, with sockets that only remember.

    node = await Node.start(pool)
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai", price=100)
    phone = await node.handset(ann)
    answer = await phone.ok("call_request", toUserId=str(kai.id))

Time stands still until a test moves it with `node.passes(ms)`; each deadline on the way is met on
its millisecond, and the ledger has answered before time goes on. Every frame the server sends is
checked against its struct and its number as it comes.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from uuid import UUID

from server.people import grant, make_provider
from signalling.calls.actions import Actions
from signalling.calls.claims import PgClaims, Steady
from signalling.calls.host import Handle
from signalling.calls.lookups import CountedLookups
from signalling.calls.opening import House, Opener
from signalling.calls.registry import Registry
from signalling.calls.routed import RoutedActions
from signalling.codes import Code, Refused
from signalling.handlers.presence import PresenceBoard
from signalling.handlers.table import CallDesk
from signalling.limits import CallLimits, SocketLimits
from signalling.node import Ground, LiveNode
from signalling.nodes.fanout import Fanout
from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.push import NoPush, Push
from signalling.sockets.hub import Hub
from signalling.sockets.identity import Identity
from signalling.turn import TurnTerms
from storage import nodes, users, works
from storage.combiner import Combiner
from storage.ids import new_id
from storage.pool import Pool
from storage.terms import TermsReader
from tests.signalling.handsets import WAIT_S, Handset, Person

START_MS = 1_800_000_000_000
CURRENCY = "PTS"
TURN = TurnTerms(
    stun_urls=("stun:stun.example.org",),
    turn_urls=("turn:turn.example.org?transport=udp",),
    secret="a secret shared with the relay",
)


class Alarm:
    def __init__(self, run: Callable[[], None]) -> None:
        self.run = run
        self.off = False

    def cancel(self) -> None:
        self.off = True


class FakeTime:
    """A clock and the timers that hang on it; nothing fires but in `fire_next`."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self.now_ms = now_ms
        self._order = itertools.count()
        self._alarms: list[tuple[int, int, Alarm]] = []

    def __call__(self) -> int:
        return self.now_ms

    def later(self, delay_ms: int, run: Callable[[], None]) -> Handle:
        assert delay_ms >= 0
        alarm = Alarm(run)
        heapq.heappush(self._alarms, (self.now_ms + delay_ms, next(self._order), alarm))
        return alarm

    @property
    def armed(self) -> list[int]:
        """When the alarms that still count are due."""
        return sorted(at_ms for at_ms, _, alarm in self._alarms if not alarm.off)

    def fire_next(self, until_ms: int) -> bool:
        """Go to the next alarm, or to `until_ms` if none comes before; true if one has fired."""
        while self._alarms and self._alarms[0][0] <= until_ms:
            at_ms, _, alarm = heapq.heappop(self._alarms)
            if not alarm.off:
                self.now_ms = max(self.now_ms, at_ms)
                alarm.run()
                return True
        self.now_ms = max(self.now_ms, until_ms)
        return False


class Logins:
    """Handsets bring their identity; what can be done to a login here is to end it."""

    def __init__(self) -> None:
        self.ended: set[UUID] = set()

    async def authenticate(self, token: str) -> Identity:
        raise Refused(Code.UNAUTHORIZED, f"Handsets bring their identity; no token {token!r}.")

    def is_live(self, session_id: UUID) -> bool:
        return session_id not in self.ended


class Node:
    """The parts of one server, wired as the server wires them. Made by `start`."""

    pool: Pool
    time: FakeTime
    combiner: Combiner
    hub: Hub
    registry: Registry
    actions: Actions
    routed: RoutedActions
    live: LiveNode
    bus: MemoryBus
    terms: TermsReader
    opener: Opener
    doorman: Logins
    desk: CallDesk
    board: PresenceBoard
    fanout: Fanout
    claim: nodes.NodeClaim

    @classmethod
    async def start(
        cls,
        pool: Pool,
        *,
        call_limits: CallLimits | None = None,
        socket_limits: SocketLimits | None = None,
        push: Push | None = None,
        turn: TurnTerms = TURN,
        rate_minor: int = 0,
        now_ms: int = START_MS,
        name: str = "main",
        space: Space | None = None,
        time: FakeTime | None = None,
        steady: Steady | None = None,
    ) -> "Node":
        """`rate_minor` is what a minute with somebody who is no provider costs. Nodes that share a
        `space` make one deployment, and may share their `time`; without one a node is alone.
        `steady` says for how long this node has beaten without a gap, if not its ledger's queue."""
        self = cls()
        limits = call_limits or CallLimits()
        socket_limits = socket_limits or SocketLimits()
        self.pool, self.time = pool, time or FakeTime(now_ms)
        async with pool.acquire() as conn:
            self.claim = await nodes.claim_node(conn, name, self.time(), CURRENCY)
            # The connection goes back to the pool: a node of these tests holds no name.
            await conn.execute("select pg_advisory_unlock_all()")
        self.combiner = Combiner(
            pool,
            epoch=self.claim.epoch,
            clock=self.time,
            posting_gap_s=0,  # Its time is not the loop's, and `quiet` counts on the order.
            on_fenced=self._fenced,
        )
        await self.combiner.start()
        alone, space = space is None, space or Space()
        self.bus = MemoryBus(space, self.claim.address, alone=alone)
        self.doorman = Logins()
        self.terms = TermsReader(pool)
        ground = Ground(
            pool=pool,
            terms=CountedLookups(self.terms, limits),
            books=self.combiner,
            claims=PgClaims(pool, self.claim, steady or self.combiner.proof),
            bus=self.bus,
            presence=MemoryPresence(space, self.claim.address),
            doorman=self.doorman,
            house=House(
                tariff="minute",
                rate_minor=rate_minor,
                share_bps=7_000,
                platform=self.claim.platform_account,
            ),
            clock=self.time,
            later=self.time.later,
            call_limits=limits,
            socket_limits=socket_limits,
            push=push or NoPush(),
            turn=turn,
        )
        self.live = live = LiveNode(ground)
        self.desk, self.hub, self.registry = live.desk, live.hub, live.registry
        self.board, self.fanout, self.opener = live.board, live.fanout, live.opener
        self.actions, self.routed = live.actions, live.routed
        await self.bus.start()
        return self

    def _fenced(self) -> None:
        self.live.abandon_calls()

    async def stop(self) -> None:
        await self.live.stop()
        await self.bus.stop()
        await self.terms.close()
        await self.combiner.stop()

    async def person(
        self, name: str = "Ann", *, funds: int = 0, phone: str | None = None
    ) -> Person:
        """A customer with `funds` in the wallet."""
        async with self.pool.acquire() as conn, conn.transaction():
            user_id = await users.create_user(
                conn,
                name=name,
                currency=CURRENCY,
                email=f"{new_id().hex}@example.org",
                phone=phone,
            )
            if funds:
                await grant(conn, user_id, funds, CURRENCY, f"grant:test:{user_id}")
        return Person(user_id, name)

    async def provider(self, name: str = "Kai", *, price: int = 100) -> Person:
        """A companion who has set themselves online; a minute costs `price`."""
        person = await self.person(name)
        async with self.pool.acquire() as conn, conn.transaction():
            await make_provider(conn, person.id, name, price)
        return person

    def device(self, person: Person, device: str = "phone") -> Handset:
        """A device that has not connected yet."""
        return Handset(self, person, device)

    async def handset(self, person: Person, device: str = "phone") -> Handset:
        """A connected device."""
        handset = self.device(person, device)
        await handset.connect()
        return handset

    async def quiet(self) -> None:
        """Everything that was given to the ledger before has been answered."""
        for _ in range(2):
            async with asyncio.timeout(WAIT_S):
                await self.combiner.do(self._nothing())

    def _nothing(self) -> works.HandOver:
        """A work that changes nothing, and locks nothing, but is answered after what came before
        it."""
        return works.HandOver(call_id=new_id(), now_ms=0, state=b"")

    async def passes(self, ms: int) -> None:
        """Let time pass, deadline by deadline."""
        until_ms = self.time() + ms
        await self.quiet()
        while self.time.fire_next(until_ms):
            await self.quiet()
