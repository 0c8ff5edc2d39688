"""One call between two devices: the steps that scenarios are made of, and their times.

Steps wait for what the server tells. Times are taken in the turn in which a frame comes.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable
from random import Random
from typing import TypeVar

from signalling.client.load.checks import TERMINAL, Heard, Json
from signalling.client.load.device import Awaited, Device, Login, Meter
from signalling.client.load.plan import Plan

CANDIDATES = 10
RETRIES_MAX = 5
# How long the server may take for what it does at once.
STEP_S = 15.0
ENDED_S = 6.0
TICK_MS = 60_000

SDP = (
    "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n"
    + "a=x-padding:0123456789\\r\\n" * 40
)
_REQUEST = b'{"type":"call_request","id":"%b","data":{"toUserId":"%b"}}'
_RINGING = b'{"type":"call_ringing","call":"%b"}'
_ACCEPT = b'{"type":"call_accept","id":"%b","call":"%b"}'
_REJECT = b'{"type":"call_reject","id":"%b","call":"%b","data":{"reason":"declined"}}'
_END = b'{"type":"call_end","id":"%b","call":"%b"}'
_SDP = b'{"type":"signal","call":"%b","data":{"kind":"%b","gen":%d,"sdp":"' + SDP.encode() + b'"}}'
_LAST = b'{"type":"signal","call":"%b","data":{"kind":"end","gen":%d}}'
_CANDIDATE = (
    b'{"type":"signal","call":"%b","data":{"kind":"candidates","gen":%d,"candidates":[{"candidate":'
    b'"candidate:1 1 udp 2130706431 192.0.2.%d 50000 typ host","sdpMid":"0","sdpMLineIndex":0,'
    b'"sentNs":%d}]}}'
)
_SENT = b'"sentNs":'

T = TypeVar("T")


class CallFailed(Exception):
    """A call did not go as its scenario has it: in which phase, the error's code and its data."""

    def __init__(self, code: str, phase: str, data: Json | None = None) -> None:
        super().__init__(f"{phase}: {code}")
        self.code = code
        self.phase = phase
        self.data = data or {}


class Talk:
    """Devices listen to it from `attach` to `detach`. `call` is known once somebody was told of it;
    `timed` is False while somebody is slow on purpose."""

    def __init__(
        self, meter: Meter, dice: Random, plan: Plan, caller: Device, callee: Device
    ) -> None:
        self.meter = meter
        self.dice = dice
        self.plan = plan
        self.caller = caller
        self.callee = callee
        self.rung = callee.login
        self.call = ""
        self.timed = True
        self.asked: Json = {}  # The `ok` to the request.
        self.fault: CallFailed | None = None
        self.seen: Counter[tuple[str, str]] = Counter()
        self.told: dict[tuple[str, str], Json] = {}
        self.phase = "request"
        self.at_s: dict[str, float] = {}
        self._waiting: list[tuple[str, str, int, asyncio.Future[None]]] = []
        self._broken = asyncio.Event()
        self._signals: dict[str, list[str]] = {"caller": [], "callee": []}
        self._sent_ns = {"caller": 0, "callee": 0}

    def attach(self) -> None:
        self.caller.talk = self.callee.talk = self

    def detach(self) -> None:
        for device in (self.caller, self.callee):
            if device.talk is self:
                device.talk = None
                device.on_call = ""

    def device(self, side: str) -> Device:
        return self.caller if side == "caller" else self.callee

    def side_of(self, device: Device) -> str:
        return "caller" if device is self.caller else "callee"

    # -- what comes

    def take(self, device: Device, heard: Heard, now_s: float) -> None:
        side, kind = self.side_of(device), heard.type
        if kind == "signal":
            self._signal(side, heard, now_s)
            return
        if heard.call is not None and self.call and heard.call != self.call:
            return  # The books of the last call are told after its end.
        if kind == "call_incoming":
            self.call = heard.call or ""
            if side == "callee":
                self._span("ring", "request", now_s)
        elif kind == "call_ringing" and side == "caller":
            self._span("ringing", "request", now_s)
        elif kind == "call_accepted" and side == "caller":
            self._span("answer", "accept", now_s)
        elif kind == "call_connected" and side == "caller" and not self.seen[side, kind]:
            self._span("connected", "media", now_s)
            self.at_s["unit"] = now_s
        elif kind == "call_tick":
            self._tick(side, heard, now_s)
        elif kind in TERMINAL and side == "caller":
            self._span("end", "end", now_s)
        if kind in TERMINAL or kind == "call_connected":
            self.told[side, kind] = heard.read()
        elif kind == "wallet_updated":
            kind = f"wallet_{heard.read()['reason']}"
        self.seen[side, kind] += 1
        self._wake(side, kind)
        if kind in TERMINAL:
            self._over(side, kind)

    def swap(self, asked: Json) -> None:
        """The callee's device is the caller from now on; `asked` is the `ok` to its request."""
        self.caller, self.callee, self.asked = self.callee, self.caller, asked
        self.rung = self.callee.login
        other = {"caller": "callee", "callee": "caller"}
        self.seen = Counter({(other[side], kind): n for (side, kind), n in self.seen.items()})
        self.told = {(other[side], kind): data for (side, kind), data in self.told.items()}

    def fail(self, code: str, phase: str) -> None:
        """Whatever is being waited for, it is not to come."""
        if self.fault is None:
            self.fault = CallFailed(code, phase)
        self._broken.set()
        for *_, waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(self.fault)

    def _tick(self, side: str, heard: Heard, now_s: float) -> None:
        if side != "caller":
            return
        unit = heard.read()["unit"]
        if unit == 1:
            self._span("tick", "media", now_s)
        elif "unit" in self.at_s and not self.seen["caller", "call_reconnecting"]:
            tariff = self.asked.get("call", {}).get("tariff", {})
            due_s = self.at_s["unit"] + (unit - 1) * tariff.get("nextMs", TICK_MS) / 1_000
            self.meter.tally.note("lateness", max(0.0, (now_s - due_s) * 1_000))

    def _signal(self, side: str, heard: Heard, now_s: float) -> None:
        raw = bytes(heard.data)
        at = raw.rfind(_SENT)
        if at >= 0:
            sent_ns = int(raw[at + len(_SENT) : raw.index(b"}", at)])
            if self.timed:
                self.meter.tally.note("relay", now_s * 1e3 - sent_ns / 1e6)
            if sent_ns < self._sent_ns[side]:
                self.device(side).witness.accuse("relay", "candidates came in another order")
            self._sent_ns[side] = sent_ns
            self._signals[side].append("candidates")
            return
        kind = heard.read()["kind"]
        self._signals[side].append(kind)
        self.seen[side, kind] += 1
        self._wake(side, kind)

    def _wake(self, side: str, kind: str) -> None:
        for entry in list(self._waiting):
            wanted_side, wanted, times, waiter = entry
            if side == wanted_side and kind == wanted and self.seen[side, kind] >= times:
                self._waiting.remove(entry)
                if not waiter.done():
                    waiter.set_result(None)

    def _over(self, side: str, kind: str) -> None:
        """Who waits for something else of a call that has ended waits for nothing."""
        reason = self.told[side, kind]["reason"]
        self._broken.set()
        for wanted_side, wanted, _, waiter in self._waiting:
            if wanted_side == side and wanted not in TERMINAL and not waiter.done():
                waiter.set_exception(CallFailed(f"ended_{reason}", self.phase))

    def _span(self, phase: str, since: str, now_s: float) -> None:
        """From that moment, once."""
        began_s = self.at_s.pop(since, None) if since in ("accept", "end") else self.at_s.get(since)
        if began_s is not None:
            self.meter.tally.note(phase, (now_s - began_s) * 1_000)

    # -- steps

    async def until(
        self, side: str, kind: str, *, times: int = 1, within_s: float = STEP_S
    ) -> None:
        """Wait for an event, or a kind of signal, of the device on that side.

        Raises:
            CallFailed: it did not come in time, the call ended, or something else went wrong.
        """
        if self.seen[side, kind] >= times:
            return
        if self.fault is not None:
            raise self.fault
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((side, kind, times, waiter))
        await self._within(waiter, within_s, f"no_{kind}")

    async def answer(self, waiting: Awaited, phase: str) -> Json:
        """The data of an `ok`.

        Raises:
            CallFailed: an error, or nothing in time.
        """
        heard = await self._within(waiting, STEP_S, "no_answer")
        data = heard.read()
        if heard.type == "error":
            raise CallFailed(str(data["code"]), phase)
        return data

    async def _within(self, waiting: Awaitable[T], within_s: float, code: str) -> T:
        try:
            async with asyncio.timeout(within_s):
                return await waiting
        except TimeoutError:
            raise CallFailed(code, self.phase) from None
        except ConnectionError as lost:
            raise CallFailed(str(lost), "socket") from None

    async def request(self, side: str = "caller", to: Login | None = None) -> Json:
        """Ring the other side, or somebody else. The `ok` data.

        Raises:
            CallFailed: refused; `rate_limited` only after some tries.
        """
        device = self.device(side)
        rung = to or (self.callee if side == "caller" else self.caller).login
        if side == "caller":
            self.rung = rung
        request_id = device.new_id("r")
        frame = _REQUEST % (request_id.encode(), rung.user_id.encode())
        for _ in range(RETRIES_MAX):
            began_s = time.perf_counter()
            self.at_s.setdefault("call", began_s)
            if side == "caller":
                self.at_s["request"] = began_s
            again = self._again()
            heard = await self._within(
                device.command(request_id, frame, again=again), STEP_S, "no_answer"
            )
            data = heard.read()
            if heard.type == "ok":
                self.meter.note("request", began_s)
                if side == "caller":
                    self.asked, self.call = data, data["call"]["id"]
                return data
            if data["code"] != "rate_limited":
                raise CallFailed(str(data["code"]), "request", data)
            self.meter.tally.error("request", "rate_limited")
            await asyncio.sleep(int(data.get("retryAfterMs", 500)) / 1_000)
        raise CallFailed("rate_limited", "request")

    async def ring(self) -> None:
        """The callee's device rings, and the caller hears so."""
        self.phase = "ring"
        await self.until("callee", "call_incoming")
        self.callee.send(_RINGING % self.call.encode())
        self.phase = "ringing"
        await self.until("caller", "call_ringing")

    async def accept(self) -> None:
        await self.think()
        self.phase = "answer"
        accept_id = self.callee.new_id("a")
        frame = _ACCEPT % (accept_id.encode(), self.call.encode())
        self.at_s["accept"] = time.perf_counter()
        await self.answer(self.callee.command(accept_id, frame, again=self._again()), "answer")
        await self.until("caller", "call_accepted")

    async def reject(self) -> None:
        await self.think()
        self.phase = "answer"
        reject_id = self.callee.new_id("n")
        frame = _REJECT % (reject_id.encode(), self.call.encode())
        await self.answer(self.callee.command(reject_id, frame), "answer")

    async def exchange(self, gen: int = 1) -> None:
        """Offer, answer, and the candidates of both; each side has all of the other's, in order."""
        self.phase = "relay"
        self._signals = {"caller": [], "callee": []}
        self._describe("caller", b"offer", gen)
        await self.until("callee", "offer", times=gen)
        self._describe("callee", b"answer", gen)
        for side, first in (("callee", "offer"), ("caller", "answer")):
            await self.until(side, "end", times=gen)
            whole = [first, *["candidates"] * CANDIDATES, "end"]
            # With `relay_only` the server drops all candidates of ours.
            if self._signals[side] not in (whole, [first, "end"]):
                text = f"{side} of call {self.call} was sent {Counter(self._signals[side])}"
                self.device(side).witness.accuse("relay", text)

    def _describe(self, side: str, kind: bytes, gen: int) -> None:
        device, call = self.device(side), self.call.encode()
        device.send(_SDP % (call, kind, gen))
        for number in range(CANDIDATES):
            device.send(_CANDIDATE % (call, gen, number, time.perf_counter_ns()))
        device.send(_LAST % (call, gen))

    async def connect(self) -> None:
        """Both report media; the call is connected and the first unit charged, if it costs."""
        self.phase = "connected"
        for side in ("callee", "caller"):
            self.at_s["media"] = time.perf_counter()
            self.device(side).media(self.call)
        for side in ("caller", "callee"):
            await self.until(side, "call_connected")
        tariff = self.asked["call"]["tariff"]
        # Charged at its beginning; of other tariffs the first unit may come later.
        if tariff["name"] == "minute" and tariff["pricePerMinute"]:
            self.phase = "tick"
            for side in ("caller", "callee"):
                await self.until(side, "call_tick")

    async def think(self) -> None:
        low_s, high_s = self.plan.think_s
        if high_s:
            await self.pause(self.dice.uniform(low_s, high_s))

    async def pause(self, seconds: float) -> None:
        """Let time go by.

        Raises:
            CallFailed: something went wrong meanwhile, or the call ended.
        """
        if not self._broken.is_set():
            if seconds <= 0:
                return
            try:
                async with asyncio.timeout(seconds):
                    await self._broken.wait()
            except TimeoutError:
                return
        ended = [data["reason"] for (_, kind), data in self.told.items() if kind in TERMINAL]
        raise self.fault or CallFailed(f"ended_{ended[0]}", self.phase)

    async def hang_up(self, side: str = "caller") -> None:
        await self.think()
        self.phase = "end"
        device = self.device(side)
        end_id = device.new_id("e")
        frame = _END % (end_id.encode(), self.call.encode())
        self.at_s["end"] = time.perf_counter()
        await self.answer(device.command(end_id, frame, again=self._again()), "end")

    async def ended(self, reason: str, *, within_s: float = STEP_S, rejected: bool = False) -> None:
        """Both are told of the end, and why.

        Raises:
            CallFailed: it has another reason.
        """
        self.phase = "end"
        kind = "call_rejected" if rejected else "call_ended"
        for side in ("caller", "callee"):
            await self.until(side, kind, within_s=within_s)
            told = self.told[side, kind]["reason"]
            if told != reason:
                raise CallFailed(f"ended_{told}", "end")
        self._span("call", "call", time.perf_counter())

    async def clear(self) -> None:
        """After something went wrong: out of the call, whatever state it is in. That it does not
        end is a violation."""
        if not self.call or any(self.seen["caller", kind] for kind in TERMINAL):
            return
        self.fault = None
        for device in (self.caller, self.callee):
            if device.connected:
                device.send(b'{"type":"call_end","call":"%b"}' % self.call.encode())
                break
        else:
            return  # Nobody can say so; the server ends it in its time.
        try:
            async with asyncio.timeout(ENDED_S):
                while not any(self.seen["caller", kind] for kind in TERMINAL):
                    await asyncio.sleep(0.05)
                    if not self.caller.connected:
                        return
        except TimeoutError:
            self.caller.witness.accuse("one end", f"call {self.call} did not end when asked to")

    def _again(self) -> bool:
        return self.dice.random() < self.plan.resend
