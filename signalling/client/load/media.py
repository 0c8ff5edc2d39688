"""The mode with media: phones that really send and hear sound, some tens of calls for each core."""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from random import Random
from typing import Any

import aiohttp
import msgspec

from signalling.client.envelope import CommandRefused, Event, WireStopped
from signalling.client.load.books import Books, Web
from signalling.client.load.checks import TERMINAL, Heard, Witness
from signalling.client.load.device import Login, Meter, Pair
from signalling.client.load.plan import Plan
from signalling.client.load.talk import CallFailed
from signalling.client.phone import Phone
from signalling.client.wire import Wire

CONNECTS_AT_ONCE = 10
STEP_S = 20.0
# Sound is looked at when it has flowed for so long; there are 50 packets a second.
LISTEN_S = 0.3
PACKETS_MIN = 3


class Handset:
    """One person's phone, and a witness of what it is told."""

    def __init__(
        self, meter: Meter, http: aiohttp.ClientSession, url: str, login: Login, name: str
    ) -> None:
        self.login = login
        self.witness = Witness(f"{name} of {login.user_id}", meter.blame)
        self.wire = Wire(url, login.token, device_id=name, platform="load", http=http)
        self.phone = Phone(self.wire, on_change=self._heard)
        self.on_event: Callable[[Event, float], None] = lambda _, __: None
        self.connected = False
        self._meter = meter

    async def connect(self) -> None:
        """
        Raises:
            ConnectionError, WireStopped: no welcome.
        """
        began_s = time.perf_counter()
        await self.wire.connect(STEP_S)
        self._meter.note("connect", began_s)
        await self.phone.__aenter__()
        self.connected = True
        self._meter.users += 1

    async def close(self) -> None:
        if not self.connected:
            return
        self.connected = False
        self._meter.users -= 1
        await self.phone.__aexit__()
        await self.wire.close()

    def _heard(self, event: Event) -> None:
        if event.seq is None:
            return  # Of the phone's own making.
        self._meter.tally.received += 1
        raw = msgspec.Raw(msgspec.json.encode(event.data))
        heard = Heard(event.type, event.seq, event.re, event.call, event.rev, event.ts, raw)
        self.witness.check(heard)
        if event.type == "call_accepted" and event.call is not None:
            # Proof may begin here at the earliest: no more than this can be billed.
            self.witness.reported_media(event.call)
        self.on_event(event, time.perf_counter())


class Couple:
    """A caller and the provider they ring, and the call they are in."""

    def __init__(self, caller: Handset, callee: Handset) -> None:
        self.caller = caller
        self.callee = callee
        self.rung = callee.login
        self.call = ""
        self.at_s: dict[tuple[str, str], float] = {}
        self.seen: Counter[tuple[str, str]] = Counter()
        caller.on_event = lambda event, now_s: self._take("caller", event, now_s)
        callee.on_event = lambda event, now_s: self._take("callee", event, now_s)

    @property
    def ready(self) -> bool:
        return self.caller.connected and self.callee.connected

    def begin(self) -> None:
        self.call = ""
        self.at_s.clear()
        self.seen.clear()

    def _take(self, side: str, event: Event, now_s: float) -> None:
        if event.type == "call_incoming" and side == "callee":
            self.call = event.call or ""
        if event.call == self.call:
            self.at_s.setdefault((side, event.type), now_s)
            self.seen[side, event.type] += 1

    def told(self, side: str, kind: str) -> bool:
        return self.seen[side, kind] > 0

    def over(self, side: str) -> bool:
        return any(self.seen[side, kind] for kind in TERMINAL)


class Phones:
    """The stage of a generator whose users have sound."""

    def __init__(
        self, meter: Meter, url: str, pairs: Sequence[Pair], plan: Plan, web: Web, books: Books
    ) -> None:
        self._meter = meter
        self._url = url
        self._pairs = pairs
        self._plan = plan
        self._books = books
        self._dice = Random(plan.seed)
        self._http: aiohttp.ClientSession | None = None
        self._couples: list[Couple] = []
        self._free: deque[Couple] = deque()

    @property
    def _handsets(self) -> Iterable[Handset]:
        return (each for couple in self._couples for each in (couple.caller, couple.callee))

    async def connect(self) -> set[str]:
        http = self._http = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for pair in self._pairs:
            sides = [
                Handset(self._meter, http, self._url, login, name)
                for login, name in ((pair.caller, "load-caller"), (pair.callee, "load-callee"))
            ]
            self._couples.append(Couple(*sides))
        self._free.extend(self._couples)
        gate, codes = asyncio.Semaphore(CONNECTS_AT_ONCE), set[str]()

        async def one(handset: Handset) -> None:
            async with gate:
                try:
                    await handset.connect()
                except (OSError, WireStopped) as fault:
                    code = (
                        f"closed_{fault.code}" if isinstance(fault, WireStopped) else "no_welcome"
                    )
                    codes.add(code)
                    self._meter.tally.error("connect", code)

        await asyncio.gather(*map(one, self._handsets))
        return codes

    def take(self, *, poor: bool = False) -> Couple | None:
        for _ in range(len(self._free)):
            couple = self._free.popleft()
            if couple.ready:
                return couple
            self._free.append(couple)
        return None

    def give_back(self, couple: Couple) -> None:
        self._free.append(couple)

    def anybody(self, *, poor: bool = False) -> bool:
        return any(couple.ready for couple in self._couples)

    def finish(self) -> None:
        for handset in self._handsets:
            if handset.connected and handset.wire.connected.is_set():
                handset.witness.finish()
            else:
                self._meter.tally.error("socket", "not_back")

    async def close(self) -> None:
        await asyncio.gather(*(handset.close() for handset in self._handsets))
        if self._http is not None:
            await self._http.close()

    async def perform(self, name: str, couple: Couple) -> None:
        couple.begin()
        try:
            await self._call(name, couple)
        except CommandRefused as refused:
            raise CallFailed(refused.code, "call") from None
        except WireStopped as stopped:
            raise CallFailed(f"closed_{stopped.code}", "socket") from None
        finally:
            await self._clear(couple)
            if couple.call:
                self._books.note(couple)

    async def _call(self, name: str, couple: Couple) -> None:
        caller, callee = couple.caller.phone, couple.callee.phone
        began_s = time.perf_counter()
        view = await caller.place(couple.rung.user_id)
        self._meter.note("request", began_s)
        couple.call = view.id
        await self._until(couple, caller, "ring", partial(couple.told, "caller", "call_ringing"))
        self._span("ring", couple, "callee", "call_incoming", began_s)
        self._span("ringing", couple, "caller", "call_ringing", began_s)
        if name == "cancelled":
            await self._hang_up(couple, "caller")
            return
        await asyncio.sleep(self._dice.uniform(*self._plan.think_s))
        accept_s = time.perf_counter()
        if name == "rejected":
            await callee.reject()
            await self._ended(couple, "declined", began_s)
            return
        await callee.accept()
        await self._until(couple, caller, "answer", partial(is_in, caller, "accepted"))
        self._span("answer", couple, "caller", "call_accepted", accept_s)
        for phone in (caller, callee):
            # Each phone reports media when it has decoded sound.
            await self._until(couple, phone, "connected", partial(is_in, phone, "connected"))
        self._span("connected", couple, "caller", "call_connected", accept_s)
        if view.tariff["name"] == "minute" and view.tariff["pricePerMinute"]:
            await self._until(couple, caller, "tick", partial(couple.told, "caller", "call_tick"))
            self._span("tick", couple, "caller", "call_tick", accept_s)
        await self._listen(couple)
        await self._hang_up(couple, self._dice.choice(("caller", "callee")))
        self._meter.note("call", began_s)

    async def _listen(self, couple: Couple) -> None:
        """Sound must go on coming, on both sides, for as long as they talk."""
        sides = (couple.caller, couple.callee)
        before = [await packets(each.phone) for each in sides]
        await asyncio.sleep(max(LISTEN_S, self._plan.talk_s))
        for each, heard in zip(sides, before, strict=True):
            if await packets(each.phone) - heard < PACKETS_MIN:
                raise CallFailed("silent", "media")

    async def _hang_up(self, couple: Couple, side: str) -> None:
        await asyncio.sleep(self._dice.uniform(*self._plan.think_s))
        end_s = time.perf_counter()
        handset = couple.caller if side == "caller" else couple.callee
        was = handset.phone.call.state if handset.phone.call else ""
        await handset.phone.hang_up()
        await self._ended(couple, "cancelled" if was == "ringing" else "hangup", None)
        for kind in TERMINAL:
            self._span("end", couple, "caller", kind, end_s)

    async def _ended(self, couple: Couple, reason: str, began_s: float | None) -> None:
        for side, handset in (("caller", couple.caller), ("callee", couple.callee)):
            phone = handset.phone
            await self._until(couple, phone, "end", partial(couple.over, side))
            told = phone.call.reason if phone.call else None
            if told != reason:
                raise CallFailed(f"ended_{told}", "end")
        if began_s is not None:
            self._meter.note("call", began_s)

    async def _until(
        self, couple: Couple, phone: Phone, phase: str, seen: Callable[[], bool]
    ) -> None:
        """Wait for that, unless the call ends first."""

        def met() -> bool:
            ended = couple.over("caller") or couple.over("callee")
            return seen() or (phase != "end" and ended)

        try:
            await phone.until(met, STEP_S)
        except TimeoutError:
            raise CallFailed(f"no_{phase}", phase) from None
        if not seen():
            reason: Any = phone.call.reason if phone.call else None
            raise CallFailed(f"ended_{reason}", phase)

    async def _clear(self, couple: Couple) -> None:
        """Out of the call, if it still goes on."""
        phone = couple.caller.phone
        if phone.call is None or not phone.call.live:
            return
        try:
            await phone.hang_up()
            await self._until(couple, phone, "end", partial(couple.over, "caller"))
        except (CallFailed, CommandRefused, WireStopped, TimeoutError) as fault:
            self._meter.tally.error("end", f"{type(fault).__name__}")

    def _span(self, phase: str, couple: Couple, side: str, kind: str, since_s: float) -> None:
        at_s = couple.at_s.get((side, kind))
        if at_s is not None:
            self._meter.tally.note(phase, max(0.0, (at_s - since_s) * 1_000))


def is_in(phone: Phone, state: str) -> bool:
    """Whether the phone's call has come so far."""
    after = {"accepted": ("accepted", "connected", "reconnecting"), "connected": ("connected",)}
    return phone.call is not None and phone.call.state in after[state]


async def packets(phone: Phone) -> int:
    """Of sound, that have come in this call."""
    return 0 if phone.peer is None else (await phone.peer.stats()).in_packets
