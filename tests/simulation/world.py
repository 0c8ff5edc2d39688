"""One node's real call engine, a model ledger, and people who misbehave."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any, cast
from uuid import UUID

from signalling.calls.actions import Actions
from signalling.calls.host import Host
from signalling.calls.opening import House, Opener
from signalling.calls.performer import CallPerformer
from signalling.calls.registry import Registry
from signalling.codes import Refused, State
from signalling.commands import CallRequest
from signalling.limits import CallLimits
from signalling.nodes.fanout import Fanout
from signalling.nodes.memory import MemoryBus, MemoryPresence, MemoryRoutes, Space
from signalling.push import NoPush
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from signalling.turn import TurnTerms
from storage import calls, works
from storage.errors import Unavailable
from storage.pool import Pool
from storage.terms import Ask, KnownCall, Offering, Terms
from tests.simulation.books import SimBooks
from tests.simulation.ledger import Ledger
from tests.simulation.loop import VirtualLoop
from tests.simulation.phone import Network, Phone

USERS = 12
LIMITS = CallLimits(duration_max_ms=900_000, ice_ttl_ms=120_000)
HOUSE_PRICE = 60
NO_POOL = cast(Pool, None)


class SimHub:
    """What fan-out and actions ask of the hub, for phones instead of sockets."""

    def __init__(self) -> None:
        self.phones: dict[UUID, dict[str, Phone]] = {}

    def add(self, phone: Phone) -> None:
        self.phones.setdefault(phone.user_id, {})[phone.id] = phone

    def devices(self, user_id: UUID) -> tuple[Phone, ...]:
        return tuple(phone for phone in self.phones[user_id].values() if phone.connected)

    sessions = devices

    def get(self, user_id: UUID, device_id: str) -> Phone | None:
        return self.phones[user_id].get(device_id)

    def everyone(self) -> list[Phone]:
        return [phone for phones in self.phones.values() for phone in phones.values()]


class Person:
    """A user with accounts; `offer` makes a provider."""

    def __init__(self, user_id: UUID, wallet: int, earnings: int, offer: Offering | None):
        self.card = calls.Person(user_id, f"user {user_id.int}", None)
        self.wallet = wallet
        self.earnings = earnings
        self.offer = offer


class SimTerms:
    """Reads terms from the model instead of the database."""

    def __init__(self, world: "World") -> None:
        self.world = world

    async def read(self, ask: Ask) -> Terms | None:
        await asyncio.sleep(self.world.dice.randint(0, 40) / 1000)
        return self.world.terms(ask)


class SimOpener(Opener):
    world: "World"

    async def _read(self, user_id: UUID, call_id: UUID) -> calls.CallRow | None:
        return self.world.row(call_id)


class SimActions(Actions):
    world: "World"

    async def _read(self, user_id: UUID, call_id: UUID) -> calls.CallRow | None:
        return self.world.row(call_id)


class World:
    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.loop = VirtualLoop()
        self.faults = True
        self.stalled = False
        self.refusals = 0
        self.opened: dict[UUID, int] = {}
        self.failures: list[BaseException] = []
        self._hash = hashlib.sha256()
        self._networks: dict[UUID, Network] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ids = 1_000_000
        self.loop.set_exception_handler(self._failed)
        self.ledger = Ledger()
        self.ledger.open_account(floor=-(2**62))
        platform = self.ledger.open_account()
        self.books = SimBooks(self.loop, self.ledger, self.dice, self.trace)
        self.hub = SimHub()
        self.people = [self._person(n) for n in range(1, USERS + 1)]
        self.by_id = {person.card.user_id: person for person in self.people}
        self._wire(platform)

    def _person(self, n: int) -> Person:
        user_id, dice = UUID(int=n), self.dice
        offer = None
        if dice.random() < 0.6:
            offer = Offering(
                display_name=f"provider {n}",
                tariff=dice.choice(["minute", "second"]),
                price_minor=dice.choice([0, 7, 60, 120]),
                share_bps=dice.choice([None, 7_000, 3_333]),
                availability=dice.choice(["online", "online", "online", "break"]),
            )
        for name in ["phone", "tablet", "desk"][: dice.randint(1, 3)]:
            self.hub.add(Phone(self, user_id, name))
        wallet = self.ledger.open_account(dice.choice([0, 100, 130, 250, 400, 5_000]))
        return Person(user_id, wallet, self.ledger.open_account(), offer)

    def _wire(self, platform: int) -> None:
        space = Space()
        hub = cast(Hub, self.hub)
        turn = TurnTerms(turn_urls=("turn:example.org",), secret="not a secret")
        fanout = Fanout(hub, MemoryPresence(space, "main"), MemoryBus(space, "main"))
        self.registry = Registry(MemoryRoutes(space, "main"), self.loop.clock, lambda user_id: None)
        performer = CallPerformer(fanout, self.books, NoPush(), turn, closed=self._closed)
        opener = SimOpener(
            pool=NO_POOL,
            terms=SimTerms(self),
            registry=self.registry,
            books=self.books,
            performer=performer,
            fanout=fanout,
            push=NoPush(),
            limits=LIMITS,
            house=House(
                tariff="minute", rate_minor=HOUSE_PRICE, share_bps=7_000, platform=platform
            ),
            clock=self.loop.clock,
            later=self.loop.later,
        )
        opener.world = self
        self.actions = SimActions(
            pool=NO_POOL,
            registry=self.registry,
            opener=opener,
            hub=hub,
            turn=turn,
            clock=self.loop.clock,
        )
        self.actions.world = self

    # -- plumbing

    def trace(self, line: str) -> None:
        self._hash.update(f"{self.loop.clock()} {line}\n".encode())

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    def soon(self, low_ms: int, high_ms: int, call: Callable[..., None], *rest: Any) -> None:
        self.loop.later(self.dice.randint(low_ms, high_ms), lambda: call(*rest))

    def task(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Let go of everything, also after a failure in the middle of a run."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            self.loop.run_until_complete(asyncio.wait(tasks))
        self.loop.close()

    def device(self, phone: Phone) -> Device:
        return cast(Device, phone)

    def network(self, call_id: UUID) -> Network:
        return self._networks.setdefault(call_id, Network(self))

    def new_id(self) -> UUID:
        self._ids += 1
        return UUID(int=self._ids)

    def _failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or RuntimeError(context["message"]))
        self.loop.stop()

    def _closed(self, host: Host) -> None:
        self.registry.drop(host)
        self.actions.closed(host)

    # -- what the database knows

    def terms(self, ask: Ask) -> Terms:
        assert ask.callee_id is not None
        payer, payee = self.by_id[ask.caller_id], self.by_id[ask.callee_id]
        known_id = None
        if ask.request_id is not None:
            known_id = self.ledger.requests.get((ask.caller_id, ask.device, ask.request_id))
        if known_id is None and ask.call_id is not None and self.stored(ask.call_id) is not None:
            known_id = ask.call_id
        known = None
        if known_id is not None:
            row = self.stored(known_id)
            assert row is not None
            known = KnownCall(known_id, row.caller_id, row.callee_id, "")
        return Terms(
            caller=payer.card,
            callee=payee.card,
            provider=payee.offer,
            blocked=False,
            wallet=payer.wallet,
            available_minor=self.ledger.accounts[payer.wallet].free,
            currency="PTS",
            earnings=payee.earnings,
            known=known,
            unanswered=0,
            unanswered_since_ms=None,
            calls_last_hour=0,
        )

    def stored(self, call_id: UUID) -> works.Authorise | works.Record | None:
        meter = self.ledger.meters.get(call_id)
        return self.ledger.records.get(call_id) if meter is None else meter.asked

    def row(self, call_id: UUID) -> calls.CallRow | None:
        asked = self.stored(call_id)
        if asked is None:
            return None
        meter = self.ledger.meters.get(call_id)
        settled = None if meter is None else meter.settled
        record = self.ledger.records.get(call_id)
        end = settled or record
        return calls.CallRow(
            call_id=call_id,
            caller=self.by_id[asked.caller_id].card,
            callee=self.by_id[asked.callee_id].card,
            kind=asked.kind,
            connect_on=asked.connect_on,
            state=State.REQUESTED.value if end is None else State.ENDED.value,
            reason=None if end is None else end.reason,
            ended_by=None if end is None else end.ended_by,
            caller_device=asked.caller_device,
            callee_device=None if settled is None else settled.callee_device,
            request_id=asked.request_id,
            note=asked.note,
            tariff=asked.tariff,
            created_ms=asked.created_ms,
            ringing_ms=None if settled is None else settled.ringing_ms,
            accepted_ms=None if settled is None else settled.accepted_ms,
            connected_ms=None if settled is None else settled.connected_ms,
            ended_ms=settled.ended_ms if settled else (record.created_ms if record else None),
            talk_ms=0 if settled is None else settled.talk_ms,
            billable_ms=0 if meter is None else meter.billable_ms,
            units=0 if settled is None else settled.units,
            charged_minor=0 if meter is None else meter.charged,
            earned_minor=0 if meter is None else meter.earned,
            hold_minor=0 if meter is None else meter.hold,
        )

    # -- what people do

    def live(self, person: Person) -> None:
        """One deed, and another one soon."""
        if not self.faults:
            return
        self.soon(1_000, 25_000, self.live, person)
        phones = self.hub.devices(person.card.user_id)
        if not phones:
            return
        phone = self.dice.choice(phones)
        host = self.registry.of_user(person.card.user_id)
        if host is None:
            if self.dice.random() < 0.5:
                self.call(phone, self.dice.choice(self.people))
            elif self.dice.random() < 0.2:
                phone.lose_socket()
            return
        deeds: list[Callable[[], None]] = [
            phone.lose_socket,
            lambda: phone.lose_media(host.id),
            lambda: phone.take(host.id),
            lambda: phone.signal(host.id, "offer"),
            lambda: phone.signal(host.id, "candidates"),
            lambda: self.break_network(host.id),
            lambda: self.top_up(person),
            lambda: self.spend(person),
            self.stall,
            lambda: self.stop(host.id),
            lambda: self.hang_up(phone, host.id),
        ]
        if self.dice.random() < 0.85:
            self.dice.choice(deeds)()

    def call(self, phone: Phone, to: Person) -> None:
        if to.card.user_id == phone.user_id:
            return
        connect_on = self.dice.choice(["media", "media", "media", "answer"])
        wish = CallRequest(
            to_user_id=to.card.user_id,
            connect_on="answer" if connect_on == "answer" else "media",
            call_id=self.new_id(),
        )
        request_id = f"r{self._ids}"
        times = self.dice.choice((1, 1, 1, 2))
        self.task(self._request(phone, wish, request_id, connect_on, times))

    async def _request(
        self, phone: Phone, wish: CallRequest, request_id: str, connect_on: str, times: int
    ) -> None:
        """Ask; an app that missed the answer asks again and gets the same one."""
        answers: set[UUID] = set()
        for _ in range(times):
            await asyncio.sleep(self.dice.randint(0, 5_000) / 1000)
            try:
                opened = await self.actions.request(
                    caller=phone.user_id,
                    device=phone.id,
                    wish=wish,
                    request_id=request_id,
                    connect_on=connect_on,
                )
            except (Refused, Unavailable) as refused:
                self.trace(f"request refused {refused.code}")
                continue
            answers.add(opened.call_id)
            if opened.snapshot.state is not State.ENDED:
                self.opened.setdefault(opened.call_id, self.loop.clock())
            if opened.merged:
                break  # The device's memory of answers, which is not in this model, has this one.
            assert opened.call_id == wish.call_id
        if answers and self.dice.random() < 0.7:
            phone.signal(answers.pop(), "offer")

    def hang_up(self, phone: Phone, call_id: UUID) -> None:
        if self.dice.random() < 0.7:
            return
        for _ in range(self.dice.choice((1, 1, 2))):
            self.task(self._end(phone, call_id))

    async def _end(self, phone: Phone, call_id: UUID) -> None:
        try:
            final = await self.actions.end(phone.user_id, call_id)
        except (Unavailable, TimeoutError):
            self.trace("no final in time")  # The process stood still; asked again, it answers.
        else:
            self.trace(f"final {final}")

    def top_up(self, person: Person) -> None:
        self.ledger.grant(person.wallet, self.dice.choice((50, 120, 600)))
        self.actions.funded(person.card.user_id)

    def spend(self, person: Person) -> None:
        """What is not held may go elsewhere at any time."""
        account = self.ledger.accounts[person.wallet]
        self.ledger.grant(person.wallet, -self.dice.randint(0, account.free))

    def stall(self) -> None:
        """The whole process stands still: every timer is late."""
        if self.dice.random() < 0.2:
            self.stalled = True
            self.loop.stall(self.dice.choice((300, 3_000, 30_000, 70_000)))

    def stop(self, call_id: UUID) -> None:
        if self.dice.random() < 0.1:
            self.task(self._stop(call_id))

    async def _stop(self, call_id: UUID) -> None:
        try:
            self.trace(f"stopped {await self.actions.stop(call_id)}")
        except (Refused, Unavailable, TimeoutError):
            self.trace("not stopped, or not heard of")

    def break_network(self, call_id: UUID) -> None:
        self.network(call_id).turn(False)
        if self.dice.random() < 0.7:
            self.soon(2_000, 50_000, self.network(call_id).turn, True)
