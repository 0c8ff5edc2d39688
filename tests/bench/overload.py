"""Three times as many calls as can be served, beside live ones, which must not notice."""

import asyncio
import re
import time
from collections import Counter, deque

from tests.bench.calls import open_pairs, run_calls
from tests.bench.crowd import PING_CALL_S, Meter, keep_talking, pinging
from tests.bench.lab import Lab
from tests.bench.pairs import Pair, Tally
from tests.bench.results import quantile

LIVE = 200
# As it is by default; the other benches have it off.
LATE_MAX_MS = "100"
UNIT_MS = 2_000
SEARCH_S = 4.0
CONCURRENCY = 128
TIMES = 3
OVERLOAD_S = 60.0
# A pair makes one call in 0.7 s at most, for the buckets of its devices; some wait for longer.
PAIRS_PER_RATE = 2.0
PAIRS_MAX = 4_000
AFTER_S = 8.0
_CONNECTED = re.compile(rb'"connectedAt":(\d+)')
_TICK = re.compile(rb'"ts":(\d+),"data":{"unit":(\d+)')


class Live:
    """A call that goes on: when its ticks came, and whether it ended."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._before = pair.caller.on_frame
        self._connected_ms = 0
        self.units = 0
        self.ended = False
        self.said_ms: list[int] = []
        self.heard_ms: list[float] = []
        pair.caller.on_frame = self._take

    @property
    def lost(self) -> bool:
        return self.ended or self._pair.caller.closed or self._pair.callee.closed

    def due(self, now_ms: float) -> int:
        """How many units have begun."""
        return int(now_ms - self._connected_ms) // UNIT_MS + 1

    def forget(self) -> None:
        """What was late before does not count."""
        self.said_ms.clear()
        self.heard_ms.clear()

    def _take(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"call_tick"'):
            found = _TICK.search(frame)
            assert found is not None, frame
            said_ms, self.units = int(found[1]), int(found[2])
            began_ms = self._connected_ms + (self.units - 1) * UNIT_MS
            self.said_ms.append(max(0, said_ms - began_ms))
            self.heard_ms.append(max(0.0, time.time() * 1_000 - began_ms))
            if self.units > 1:
                return
        elif frame.startswith(b'{"type":"call_connected"'):
            found = _CONNECTED.search(frame)
            assert found is not None, frame
            self._connected_ms = int(found[1])
        elif frame.startswith(b'{"type":"call_ended"'):
            self.ended = True
        self._before(frame)


class Stream:
    """Calls that are begun at a rate, whatever becomes of those before."""

    def __init__(self, pairs: list[Pair]) -> None:
        self.tally = Tally()
        self.offered = 0
        self.kept_back = 0
        self.without_wait: Counter[str] = Counter()
        self._open = 0
        self._free = deque(pairs)
        for pair in pairs:
            self._watch(pair)

    @property
    def open(self) -> int:
        return self._open

    def _watch(self, pair: Pair) -> None:
        """A refusal should say when to ask again."""
        before = pair.caller.on_frame

        def take(frame: bytes) -> None:
            if frame.startswith(b'{"type":"error"') and b'"retryAfterMs":' not in frame:
                self.without_wait["error"] += 1
            before(frame)

        pair.caller.on_frame = take

    def _done(self, pair: Pair) -> None:
        self._open -= 1
        self._free.append(pair)

    async def run(self, rate: float, seconds: float) -> None:
        began_s, wanted = time.perf_counter(), 0
        while (spent_s := time.perf_counter() - began_s) < seconds:
            due = int(spent_s * rate)
            while wanted < due:
                wanted += 1
                if self._free and self._free[0].may_begin(time.perf_counter()):
                    self.offered += 1
                    self._open += 1
                    self._free.popleft().begin(self.tally, self._done)
                else:
                    self.kept_back += 1
            await asyncio.sleep(0.001)

    async def rest(self, seconds: float) -> None:
        """Until the last one is over, for so long at most."""
        until_s = time.perf_counter() + seconds
        while self._open and time.perf_counter() < until_s:  # noqa: ASYNC110 (it has no event)
            await asyncio.sleep(0.05)


async def bench_overload(lab: Lab) -> None:
    report, dsn, seconds = lab.report, await lab.dsn(), 1.0 if lab.quick else OVERLOAD_S
    async with lab.server(
        dsn, tuned=("--unit-ms", str(UNIT_MS)), TALKTIME_LATE_MAX_MS=LATE_MAX_MS
    ) as server:
        pairs = await open_pairs(lab, server, dsn, lab.pick(600, 100))
        await run_calls(pairs, lab.pick(300, 50), concurrency=CONCURRENCY)
        began_s = time.perf_counter()
        count = lab.pick(int(SEARCH_S * 500), 100)
        found = await run_calls(pairs, count, concurrency=CONCURRENCY)
        capacity = found.done / (time.perf_counter() - began_s)
        report.add("capacity, closed loop", capacity, "calls/s")
        rate = TIMES * capacity
        more = min(lab.pick(PAIRS_MAX, 600), int(rate * PAIRS_PER_RATE)) - len(pairs)
        if more > 0:
            pairs += await open_pairs(lab, server, dsn, more)
        talking = await open_pairs(lab, server, dsn, lab.pick(LIVE, 20))
        live = [Live(pair) for pair in talking]
        await keep_talking(talking)
        lines = [line for pair in talking for line in (pair.caller, pair.callee)]
        stream = Stream(pairs)
        async with pinging(lines, PING_CALL_S):
            # Some ticks in peace, to compare with.
            await asyncio.sleep(lab.pick(2 * UNIT_MS, 500) / 1_000)
            report.times("before it: ticks after their time", said(live))
            for each in live:
                each.forget()
            meter = Meter(lab, server)
            await stream.run(rate, seconds)
            spent_s, server_s = meter.seconds, meter.server_s
            database_s, own_s = meter.database_s, meter.own_s
            await stream.rest(AFTER_S)
            now_ms = time.time() * 1_000
    _add(lab, stream, spent_s)
    report.add("server CPU", server_s / spent_s * 100, "%")
    report.add("PostgreSQL CPU", database_s / spent_s * 100, "%")
    report.add("client CPU", own_s / spent_s * 100, "%")
    report.add("live calls", len(live), "calls")
    report.add("live calls lost", sum(each.ended for each in live), "calls", "0")
    behind = sum(max(0, each.due(now_ms) - 1 - each.units) for each in live if not each.ended)
    report.add("their units that were not told", behind, "ticks", "0")
    report.times("ticks after their time, as told by the server", said(live), "p99 ≤ 500")
    heard_ms = [late for each in live for late in each.heard_ms]
    report.times("ticks after their time, as heard", heard_ms)
    if heard_ms:
        report.add("the latest of them", quantile(heard_ms, 1.0), "ms")


def said(live: list[Live]) -> list[int]:
    return [late for each in live for late in each.said_ms]


def _add(lab: Lab, stream: Stream, spent_s: float) -> None:
    report, tally = lab.report, stream.tally
    report.add("offered", stream.offered / spent_s, "calls/s")
    report.add("not offered, for want of a free pair", stream.kept_back / spent_s, "calls/s")
    report.add("accepted and finished", tally.done / spent_s, "calls/s")
    for code, number in tally.errors.most_common():
        report.add(f"refused ({code})", number / spent_s, "calls/s")
    report.add("refused without retryAfterMs", stream.without_wait.total(), "calls", "0")
    report.add("neither finished nor refused", stream.open, "calls", "0")
    report.times("ring of accepted calls", tally.times["ring"])
    report.times("accept of accepted calls", tally.times["accept"])
