"""One simulated deployment: nodes, a database, a bus, and people with phones. One seed makes it."""

import asyncio
import gc
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec

from signalling.calls import opening, refusing
from signalling.sockets import device
from storage.nodes import NodeClaim
from storage.terms import Offering
from tests.simulation.bus import SimSpace
from tests.simulation.checks import Checks
from tests.simulation.database import Database
from tests.simulation.ledger import Ledger, Life
from tests.simulation.line import Line
from tests.simulation.loop import START_MS, ProcessLoop, Time
from tests.simulation.media import Media
from tests.simulation.node import Node
from tests.simulation.phone import Phone
from tests.simulation.rows import Account, Rows

FAULTS = ("phones", "kills", "drains", "pauses", "bus", "database", "skews")


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is made of. `faults` is some of `FAULTS`."""

    nodes: int
    users: int
    life_ms: int
    faults: frozenset[str]


class World:
    def __init__(self, seed: int, plan: Plan, keep: list[str] | None = None) -> None:
        """`keep` collects the whole trace, for people to read."""
        self.seed = seed
        self.plan = plan
        self.start_ms = START_MS
        self.dice = self.dice_of("world")
        self.time = Time()
        self.faults = True
        self.slow_networks = "phones" in plan.faults
        self.failures: list[BaseException] = []
        self.counts: dict[str, int] = {}
        self.loops: list[ProcessLoop] = []
        self._hash = hashlib.sha256()
        self._keep = keep
        self._numbers = 0
        self._media: dict[UUID, Media] = {}
        self.skews_ms = (0, 5, -60, 200, 90_000) if "skews" in plan.faults else (0, 0, 7, -30)
        self.ledger = Ledger(self.time.unix_ms)
        self.ledger.open_account(floor=-(2**62))
        self._platforms: dict[str, int] = {}
        self.accounts: dict[UUID, Account] = {}
        rows = Rows(self.ledger, self.accounts, self.time.unix_ms)
        self.database = Database(self.time, self.ledger, rows, self.dice_of("database"), self.trace)
        self.space = SimSpace(self.time, self.dice_of)
        self.checks = Checks(self)
        self.addresses: dict[str, Node] = {}
        self.nodes = [Node(self, n, self.dice_of(f"node {n}")) for n in range(1, plan.nodes + 1)]
        self.phones: dict[UUID, list[Phone]] = {}
        for n in range(1, plan.users + 1):
            self._person(n)

    def _person(self, n: int) -> None:
        dice, user_id = self.dice, UUID(int=n)
        offer = None
        if dice.random() < 0.6:
            offer = Offering(
                display_name=f"provider {n}",
                tariff=dice.choice(["minute", "second"]),
                price_minor=dice.choice([0, 7, 60, 120]),
                share_bps=dice.choice([None, 7_000, 3_333]),
                availability=dice.choice(["online", "online", "online", "break"]),
            )
        wallet = self.ledger.open_account(dice.choice([0, 100, 250, 400, 5_000, 5_000, 5_000]))
        account = Account(user_id, wallet, self.ledger.open_account(), offer)
        self.accounts[user_id] = account
        names = ["phone", "tablet", "desk"][: dice.choice((1, 1, 2, 3))]
        self.phones[user_id] = [
            Phone(self, account, name, self.dice_of(f"phone {n} {name}")) for name in names
        ]

    # -- plumbing

    def dice_of(self, what: str) -> Random:
        return Random(f"{self.seed}/{what}")

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def new_id(self) -> UUID:
        return UUID(int=1_000_000 + self.number())

    def count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def trace(self, line: str) -> None:
        self._hash.update(f"{self.time.now_ms} {line}\n".encode())
        if self._keep is not None:
            self._keep.append(f"{self.time.now_ms} {line}")

    def trace_raw(self, number: int, way: bytes, raw: bytes) -> None:
        self._hash.update(b"%d %d %b %b\n" % (self.time.now_ms, number, way, raw))
        if self._keep is not None:
            self._keep.append(f"{self.time.now_ms} {number} {way.decode()} {raw.decode()}")

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def failed(self, context: dict[str, Any]) -> None:
        """Something that nobody has caught; the run ends with it."""
        error = context.get("exception") or RuntimeError(str(context.get("message")))
        self.failures.append(error)

    def all_phones(self) -> list[Phone]:
        return [phone for phones in self.phones.values() for phone in phones]

    def lines_of(self, node: Node) -> list[Line]:
        lines = [phone.line for phone in self.all_phones()]
        return [line for line in lines if line is not None and line.loop is node.loop]

    def media(self, call_id: UUID) -> Media:
        media = self._media.get(call_id)
        if media is None:
            media = self._media[call_id] = Media(self.time.now_ms)
        return media

    def some_node(self, dice: Random) -> Node:
        """Where the load balancer sends a new socket: mostly to a node that looks well."""
        well = [node for node in self.nodes if node.listening and not node.draining]
        if well and dice.random() < 0.95:
            return dice.choice(well)
        return dice.choice(self.nodes)

    def claim(self, name: str, beat_ms: int) -> NodeClaim | None:
        """As `storage.nodes.claim_node`; None when the name is taken."""
        lives = self.ledger.lives
        if any(life.locked for life in lives.values() if life.name == name):
            return None
        for life in lives.values():
            life.fenced = life.fenced or life.name == name
        platform = self._platforms.get(name)
        if platform is None:
            platform = self._platforms[name] = self.ledger.open_account()
        epoch = len(lives) + 1
        lives[epoch] = Life(epoch, name, beat_ms, self.time.unix_ms(), platform)
        return NodeClaim(epoch, name, platform)

    def rest(self, run: Callable[[Node], Any]) -> None:
        """Somebody's request, at any node that is there. `run` makes its coroutine."""
        node = self.some_node(self.dice)
        if node.live is None or node.draining:
            return

        async def ask() -> None:
            if node.live is not None:
                await run(node)

        node.loop.after(0, lambda: node.loop.create_task(ask()))

    # -- running

    def forward(self, ms: int) -> None:
        """Let time pass. Raises what went wrong."""
        until_ms = self.time.now_ms + ms
        while self.time.now_ms < until_ms:
            self.time.run_until(min(until_ms, self.time.now_ms + 1_000))
            if self.failures:
                raise self.failures[0]
            self.checks.always()

    @contextmanager
    def running(self) -> Iterator[None]:
        """The world's own ids and secrets, and an ear for what the nodes only log."""
        ear = Ear(self)
        tokens = Tokens(self.dice_of("tokens"))
        loggers = [logging.getLogger(name) for name in ("signalling", "storage")]
        levels = [logger.level for logger in loggers]
        was_collecting = gc.isenabled()
        with (
            patch.object(opening, "new_id", self.new_id),
            patch.object(refusing, "new_id", self.new_id),
            patch.object(device, "secrets", tokens),
        ):
            for logger in loggers:
                logger.addHandler(ear)
                logger.setLevel(logging.ERROR)
                logger.propagate = False
            gc.disable()
            try:
                yield
            finally:
                for logger, level in zip(loggers, levels, strict=True):
                    logger.removeHandler(ear)
                    logger.setLevel(level)
                    logger.propagate = True
                for loop in self.loops:
                    loop.bury()
                asyncio.set_event_loop(None)
                if was_collecting:
                    gc.enable()


class Tokens:
    """In place of the module `secrets`."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice

    def token_urlsafe(self, size: int) -> str:
        return f"{self._dice.getrandbits(64):016x}"


class Ear(logging.Handler):
    """What is logged as an error is an error here too, unless a fault explains it."""

    EXPLAINED = ("charge refused", "settle failed", "could not be handed over", "fenced")

    def __init__(self, world: World) -> None:
        super().__init__(logging.ERROR)
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            self._world.failures.append(record.exc_info[1])
        elif any(part in text for part in self.EXPLAINED):
            self._world.count(f"log: {text}")
        else:
            self._world.failures.append(RuntimeError(text))
