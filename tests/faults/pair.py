"""A caller and a callee who place one paid call after the other, whatever happens to the server."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from random import Random
from typing import Any

import aiohttp

from signalling.client.envelope import CommandRefused, Event, Json, WireStopped
from tests.faults.cluster import CALL_MAX_S
from tests.faults.handset import Handset
from tests.faults.line import SIDES, Line
from tests.faults.people import Person
from tests.faults.witness import TERMINAL, Jump, Witness

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"
CANDIDATE = {"candidate": "candidate:1 1 udp 1 192.0.2.1 5000 typ host", "sdpMid": "0"}
STATS_S = 0.5
BYTES_PER_S = 4_000
TRIES = 3


class Plan:
    """How calls go: chances, and seconds of talk."""

    def __init__(self, reject: float = 0.07, cancel: float = 0.08, talk_s: float = 4.0) -> None:
        self.reject = reject
        self.cancel = cancel
        self.talk_s = talk_s


class Pair:
    """`lines` are all calls that either side knows; `oks` are the moments when one was taken."""

    def __init__(
        self,
        number: int,
        people: tuple[Person, Person],
        fault: Callable[[str], None],
        dice: Random,
        plan: Plan,
    ) -> None:
        self.name = f"pair {number}"
        self.people = people
        self.lines: dict[str, Line] = {}
        self.asked = 0
        self.acknowledged: set[str] = set()
        self.oks: list[float] = []
        self.refusals: Counter[str] = Counter()
        self.closing = False
        self.last = False
        self.witnesses = {side: Witness(f"{self.name} {side}", fault) for side in (*SIDES, "watch")}
        self.witnesses["watch"] = Witness(f"{self.name} watch", fault, leg=False)
        self.phones: dict[str, Handset] = {}
        self._fault = fault
        self._dice = dice
        self._plan = plan
        self._tasks: set[asyncio.Task[None]] = set()

    # -- life

    async def connect(
        self, url: str, http: aiohttp.ClientSession, *, resend: float, watch: bool
    ) -> None:
        sides = (*SIDES, "watch") if watch else SIDES
        for side in sides:
            phone = Handset(
                url,
                self.people[side == "callee"],
                f"{side}-phone",
                self.witnesses[side],
                http=http,
                dice=self._dice,
                resend=0 if side == "watch" else resend,
                heard=self._hears(side),
                lost=self._loses(side),
            )
            self.phones[side] = phone
            await phone.connect(timeout_s=30)
            self._spawn(self._listen(side, phone))

    @property
    def jumps(self) -> list[Jump]:
        return [jump for witness in self.witnesses.values() for jump in witness.jumps]

    async def live(self) -> None:
        """Call after call, until `closing_soon`."""
        while not self.last:
            try:
                await self._one_call()
            except WireStopped as stopped:
                self._fault(f"{self.name}: the connection ended for good: {stopped}")
                return
            await asyncio.sleep(self._dice.uniform(0.05, 0.4))

    def closing_soon(self) -> None:
        self.last = True

    async def close(self) -> None:
        self.closing = True
        for phone in self.phones.values():
            await phone.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            with suppress(CommandRefused, WireStopped, TimeoutError):
                await work

        task = asyncio.get_running_loop().create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- one call

    async def _one_call(self) -> None:
        caller, dice = self.phones["caller"], self._dice
        self.asked += 1
        try:
            answer = await caller.command(
                "call_request", toUserId=str(self.people[1].id), timeout_s=CALL_MAX_S
            )
        except CommandRefused as refused:
            self.refusals[refused.code] += 1
            await asyncio.sleep(0.3)
            return
        except TimeoutError:
            self._fault(f"{self.name}: a call_request had no answer in {CALL_MAX_S:.0f} s")
            return
        call: Json = answer["call"]
        self.acknowledged.add(call["id"])
        if call["state"] == "ended":
            return
        self.oks.append(time.monotonic())
        line = self._line(call["id"])
        self._spawn(self._signal("caller", call["id"], "offer"))
        if dice.random() < self._plan.cancel:
            await asyncio.sleep(dice.uniform(0, 0.3))
        else:
            await self._wait(line, lambda: line.connected.is_set() or bool(line.over))
            if not line.over:
                talk_s = dice.uniform(0.1, self._plan.talk_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(talk_s):
                        await self._wait(line, lambda: bool(line.over))
        if not line.over:
            await self._hang_up(line)
        if not await self._wait(line, lambda: len(line.over) == 2):
            self._fault(
                f"{self.name}: call {line.call} was not over for both in {CALL_MAX_S:.0f} s"
            )
            line.over |= set(SIDES)

    async def _hang_up(self, line: Line) -> None:
        side = self._dice.choice(SIDES)
        line.leave(time.monotonic())
        for _ in range(TRIES):
            try:
                await self.phones[side].command("call_end", call=line.call, timeout_s=CALL_MAX_S)
            except CommandRefused as refused:
                self.refusals[refused.code] += 1
                if refused.code == "internal":
                    continue  # The server's own mistake: who wants out says so again.
            except TimeoutError:
                self._fault(f"{self.name}: call_end had no answer in {CALL_MAX_S:.0f} s")
            return

    async def _wait(self, line: Line, met: Callable[[], bool]) -> bool:
        """Whether it was met within the longest time a call can take."""
        try:
            async with asyncio.timeout(CALL_MAX_S), line.changed:
                await line.changed.wait_for(met)
        except TimeoutError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return met()
        return True

    def _line(self, call: str) -> Line:
        return self.lines.setdefault(call, Line(call))

    # -- what is heard

    def _hears(self, side: str) -> Callable[[Json], None]:
        def heard(frame: Json) -> None:
            if side == "watch" or frame["type"] == "welcome":
                return
            now_s = time.monotonic()
            for line in list(self.lines.values())[-2:]:
                if side not in line.over:
                    line.heard_s = now_s

        return heard

    def _loses(self, side: str) -> Callable[[], None]:
        def lost() -> None:
            for line in list(self.lines.values())[-2:]:
                line.down(side, time.monotonic())

        return lost

    async def _listen(self, side: str, phone: Handset) -> None:
        async for event in phone.events():
            if side != "watch":
                self._on(side, event)

    def _on(self, side: str, event: Event) -> None:
        call, dice = event.call, self._dice
        if event.type == "welcome":
            self._welcomed(side, event.data.get("call"))
            return
        if call is None:
            return
        line = self._line(call)
        match event.type:
            case "call_incoming":
                self._spawn(self._answer(call))
            case "call_accepted":
                self.phones[side].in_call = True
                self._spawn(self._media(side, line))
            case "call_connected":
                line.up(side, time.monotonic())
                line.connected.set()
                self._spawn(self._notify(line))
            case "call_reconnecting":
                line.down(side, time.monotonic(), str(event.data.get("why")))
                line.interrupted += side == "caller"
                if dice.random() < 0.9:
                    self._spawn(self._media(side, line))
            case "signal" if event.data.get("kind") == "offer":
                self._spawn(self._signal(side, call, "answer"))
            case kind if kind in TERMINAL:
                self._over(side, line)

    def _welcomed(self, side: str, live: dict[str, Any] | None) -> None:
        for line in list(self.lines.values())[-3:]:
            if side not in line.over and (live is None or live["id"] != line.call):
                self._over(side, line)
        if live is None or live["state"] == "ended":
            return
        line = self._line(live["id"])
        line.told(side, live["state"], time.monotonic())
        line.interrupted += side == "caller" and live["state"] == "reconnecting"
        if live["connectedAt"] is not None:
            line.connected.set()
            self._spawn(self._notify(line))
        if live["you"] == "ringing":
            self._spawn(self._answer(line.call))
        elif live["you"] == "active" and live["acceptedAt"] is not None:
            self._spawn(self._media(side, line))

    def _over(self, side: str, line: Line) -> None:
        line.leave(time.monotonic())
        line.over.add(side)
        self.phones[side].in_call = False
        self._spawn(self._notify(line))

    async def _notify(self, line: Line) -> None:
        async with line.changed:
            line.changed.notify_all()

    # -- what is done

    def _soon_s(self) -> float:
        """Mostly at once; some states last so long that they are written down on their own."""
        dice = self._dice
        return dice.uniform(0, 0.2) if dice.random() < 0.7 else dice.uniform(0.3, 1)

    async def _answer(self, call: str) -> None:
        callee, dice = self.phones["callee"], self._dice
        await asyncio.sleep(dice.uniform(0, 0.2))
        with suppress(CommandRefused):
            await callee.command("call_ringing", call=call)
        await asyncio.sleep(self._soon_s())
        if dice.random() < self._plan.reject:
            await callee.command("call_reject", call=call, reason="declined")
        else:
            await callee.command("call_accept", call=call)

    async def _signal(self, side: str, call: str, kind: str) -> None:
        phone = self.phones[side]
        await phone.command("signal", call=call, kind=kind, gen=1, sdp=SDP)
        await phone.command("signal", call=call, kind="candidates", gen=1, candidates=[CANDIDATE])

    async def _media(self, side: str, line: Line) -> None:
        await asyncio.sleep(self._soon_s())
        line.media_s.setdefault(side, time.monotonic())
        if side not in line.talking:
            line.talking.add(side)
            self._spawn(self._stats(side, line))
        await self.phones[side].command("media_connected", call=line.call)

    async def _stats(self, side: str, line: Line) -> None:
        """Media flows between the phones, whatever becomes of the signalling."""
        began_s = line.media_s[side]
        while side not in line.over and not self.closing:
            received = int((time.monotonic() - began_s) * BYTES_PER_S) + 1
            self.phones[side].report("media_stats", call=line.call, inBytes=received)
            await asyncio.sleep(STATS_S)
