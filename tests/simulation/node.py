"""A node: one process after another under one name, each with a real `LiveNode`."""

import asyncio
from random import Random
from typing import TYPE_CHECKING
from uuid import UUID

from server.poller import Poller
from signalling.calls.claims import PgClaims
from signalling.calls.opening import House
from signalling.codes import Close
from signalling.events import Profile
from signalling.limits import CallLimits, SocketLimits
from signalling.node import Ground, LiveNode
from signalling.sockets.identity import Identity
from signalling.turn import TurnTerms
from storage.errors import Fenced, Unavailable
from storage.nodes import NodeClaim
from storage.pool import LOST, within
from storage.terms import Ask, Terms
from tests.simulation.bus import Member, SimPresence
from tests.simulation.database import SimCombiner, SimPool
from tests.simulation.loop import ProcessLoop

if TYPE_CHECKING:
    from tests.simulation.world import World

LIMITS = CallLimits(duration_max_ms=200_000, ice_ttl_ms=120_000, calls_per_hour_max=100_000)
SOCKETS = SocketLimits(call_request_burst=1_000)
HOUSE_PRICE = 60
SWEEP_MS = 1_000
TURN = TurnTerms(stun_urls=("stun:example.org",))
SPREAD_MS = 400


class SimTerms:
    def __init__(self, world: "World") -> None:
        self._world = world

    async def read(self, ask: Ask) -> Terms | None:
        database = self._world.database
        found: Terms | None = await within(4.0, database.do(lambda: database.rows.terms(ask)))
        return found


class SimDoorman:
    """A token is the number of its user."""

    async def authenticate(self, token: str) -> Identity:
        user_id = UUID(int=int(token))
        return Identity(
            user_id=user_id,
            session_id=user_id,
            profile=Profile(user_id=user_id, name=f"user {token}"),
            roles=frozenset(),
            expires_ms=2**50,
        )

    def is_live(self, session_id: UUID) -> bool:
        return True


class Node:
    """`lives` counts its processes. `live` is None before one serves and after it has ended."""

    def __init__(self, world: "World", number: int, dice: Random) -> None:
        self.world = world
        self.number = number
        self.name = f"n{number}"
        self.dice = dice
        self.lives = 0
        self.listening = False
        self.draining = False
        self.paused = False
        self.fenced = False
        self.up = False  # there is a process
        self.zombie = False  # this process has been paused for long
        self.live: LiveNode | None = None
        self.member: Member | None = None
        self.epoch = 0
        self.skew_ms = dice.choice(world.skews_ms)
        self.loop = self._new_loop()
        self._stop: asyncio.Event | None = None

    def clock(self) -> int:
        return self.world.time.unix_ms() + self.skew_ms

    def _new_loop(self) -> ProcessLoop:
        # It has only what is used of a loop.
        return ProcessLoop(self.world.time, self.world.failed)  # type: ignore[abstract]

    # -- from outside

    def start(self) -> None:
        if self.up:
            return
        self.lives += 1
        self.up = True
        self.draining = self.paused = self.zombie = self.fenced = False
        self.loop = self._new_loop()
        self.world.loops.append(self.loop)
        self.world.trace(f"{self.name} starts")
        self.loop.create_task(self._run())

    def kill(self) -> None:
        """kill -9."""
        if not self.up:
            return
        self.world.trace(f"{self.name} killed")
        self.loop.kill()
        self._gone()
        if self.member is not None:
            self.world.space.killed(self.member)
        silent = self.dice.random() < 0.2
        for line in self.world.lines_of(self):
            if silent:
                line.mute = True  # The machine is gone, not only the process.
            else:
                line.cut()

    def pause(self, ms: int) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        if not self.up or self.paused:
            return
        self.world.trace(f"{self.name} paused for {ms}")
        life = self.lives
        self.paused = True
        self.zombie = self.zombie or ms > 2_000
        self.loop.pause()
        if self.member is not None:
            self.world.space.silent(self.member, ms)

        def go_on() -> None:
            if self.lives == life and self.up:
                self.go_on()

        self.world.time.later(ms, go_on)

    def go_on(self) -> None:
        if not self.paused:
            return
        self.world.trace(f"{self.name} goes on")
        self.paused = False
        self.loop.go_on()
        if self.member is not None:
            self.world.space.heard_again(self.member)

    def drain(self) -> None:
        """SIGTERM."""
        self.world.trace(f"{self.name} drains")
        if self.up and self._stop is not None:
            self.loop.after(0, self._stop.set)

    # -- the process

    def _gone(self) -> None:
        self.up = self.listening = False
        self.live = None
        life = self.world.ledger.lives.get(self.epoch)
        if life is not None:
            life.locked = False

    async def _run(self) -> None:
        """As `server/app.py` starts and stops its parts."""
        world = self.world
        self._stop = asyncio.Event()
        while True:
            try:
                claim = await world.database.do(lambda: world.claim(self.name, self.clock()))
                if claim is not None:
                    break
            except OSError:  # The lock on the name goes with the connection.
                for life in world.ledger.lives.values():
                    life.locked = life.locked and life.name != self.name
            await asyncio.sleep(0.5)
        self.epoch = claim.epoch
        combiner = SimCombiner(
            world.database, epoch=claim.epoch, clock=self.clock, on_fenced=self._fenced
        )
        try:
            await combiner.start()
        except (Unavailable, Fenced):
            self._exit()
            return
        member = Member(world.space, claim.address, self.loop, world.number())
        self.member = member
        world.addresses[claim.address] = self
        self.live = live = LiveNode(self._ground(claim, combiner, member))
        await member.start()
        sweep = Poller("orphans", self._sweep_orphans, poll_s=1.0)
        try:
            await live.adopter.take_orphans()
            live.exchange.on_nodes(left=lambda _: sweep.kick())
            await sweep.start()
            self._sweep_sockets(live)
            self.listening = True
            await self._stop.wait()
            self.draining = True
            member.drain()
            if not self.fenced:
                await live.hand_over()
            await live.hub.close_all(Close.SERVICE_RESTART, SPREAD_MS)
        except Unavailable:
            pass  # It could not start.
        self.listening = False
        await sweep.stop()
        await member.stop()
        await live.stop()
        await combiner.stop()
        life = world.ledger.lives[claim.epoch]
        if not life.fenced:
            life.fenced = life.left = True
        self._exit()

    def _ground(self, claim: NodeClaim, combiner: SimCombiner, member: Member) -> Ground:
        world = self.world
        pool = SimPool.of(world.database)
        return Ground(
            pool=pool,
            terms=SimTerms(world),
            books=combiner,
            claims=PgClaims(pool, claim, combiner.proof),
            bus=member,
            presence=SimPresence(world.space, member),
            doorman=SimDoorman(),
            house=House(
                tariff="minute",
                rate_minor=HOUSE_PRICE,
                share_bps=7_000,
                platform=claim.platform_account,
            ),
            clock=self.clock,
            later=self.loop.after,
            call_limits=LIMITS,
            socket_limits=SOCKETS,
            turn=TURN,
            proved_s=lambda: combiner.proof.at_s,
            adopted=lambda how: world.count(f"adopted {how}"),
        )

    async def _sweep_orphans(self) -> bool:
        assert self.live is not None
        try:
            return await self.live.adopter.sweep()
        except (*LOST, Unavailable):
            raise
        except Exception as error:
            self.world.failed({"exception": error})  # The poller would only log it.
            raise

    def _sweep_sockets(self, live: LiveNode) -> None:
        live.hub.sweep()
        self.loop.after(SWEEP_MS, lambda: self._sweep_sockets(live))

    def _fenced(self) -> None:
        self.fenced = self.zombie = True
        self.world.count("fenced")
        self.world.trace(f"{self.name} fenced")
        if self.live is not None:
            self.live.abandon_calls()
        assert self._stop is not None
        self._stop.set()

    def _exit(self) -> None:
        """The process has ended by itself; somebody starts it again."""
        self.world.trace(f"{self.name} exits")
        loop = self.loop
        self._gone()
        loop.kill()
        for line in self.world.lines_of(self):
            line.cut()
        self.world.time.later(self.dice.randint(200, 4_000), self.start)
