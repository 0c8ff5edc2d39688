"""Signals through live calls: latency at a fixed rate, and messages per CPU-second."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tests.bench.calls import open_pairs, run_calls
from tests.bench.children import Child
from tests.bench.lab import Lab
from tests.bench.pairs import Pair
from tests.bench.ratios import RATES, add_latency_ratios, at

WINDOW = 32
PHASE_MAX_S = 20.0


class Way(Protocol):
    """From one socket through the server to another; `start` says who hears of arrivals."""

    def send(self) -> None: ...

    def start(self, arrived: "Arrived") -> None: ...


Arrived = Callable[[Way, float], None]
"""`arrived(way, ms)`: a message of this way took so long."""


async def at_rate(ways: Sequence[Way], rate: float, seconds: float) -> list[float]:
    """Latencies in ms of messages sent evenly, over all ways in turn."""
    times: list[float] = []
    wanted, sent, all_here = int(rate * seconds), 0, asyncio.Event()

    def arrived(_way: Way, took_ms: float) -> None:
        times.append(took_ms)
        if len(times) == wanted:
            all_here.set()

    for way in ways:
        way.start(arrived)
    began_s = time.perf_counter()
    while sent < wanted:
        due = min(wanted, int((time.perf_counter() - began_s) * rate))
        while sent < due:
            ways[sent % len(ways)].send()
            sent += 1
        await asyncio.sleep(0.001)
    async with asyncio.timeout(PHASE_MAX_S):
        await all_here.wait()
    return times


async def flat_out(ways: Sequence[Way], each: int) -> list[float]:
    """Every way carries `each` messages, one after the other, `WINDOW` ways at a time."""
    times: list[float] = []
    left = {id(way): each for way in ways}
    waiting, all_here = list(ways), asyncio.Event()

    def arrived(way: Way, took_ms: float) -> None:
        times.append(took_ms)
        left[id(way)] -= 1
        if left[id(way)]:
            way.send()
        elif waiting:
            waiting.pop().send()
        elif len(times) == each * len(ways):
            all_here.set()

    for way in ways:
        way.start(arrived)
    for _ in range(min(WINDOW, len(waiting))):
        waiting.pop().send()
    async with asyncio.timeout(PHASE_MAX_S):
        await all_here.wait()
    return times


async def measure_at(
    lab: Lab, server: Child, ways: Sequence[Way], rate: int, relay: str = ""
) -> None:
    """`relay` names whose figures they are, where the benchmark has several."""
    name, cpu_s = f"{relay}, {at(rate)}" if relay else at(rate), server.cpu_s
    times = await at_rate(ways, rate, lab.seconds(5))
    cpu_s = max(server.cpu_s - cpu_s, 0.01)
    lab.report.times(name, times)
    lab.report.add(f"{name}, per CPU-second", len(times) / cpu_s, "messages/CPU-s")


async def measure_relay(lab: Lab, server: Child, ways: Sequence[Way], each: int) -> None:
    report = lab.report
    for rate in RATES:
        await measure_at(lab, server, ways, rate)
    cpu_s, user_s, began_s = server.cpu_s, server.user_s, time.perf_counter()
    times = await flat_out(ways, each)
    spent_s = time.perf_counter() - began_s
    cpu_s, user_s = max(server.cpu_s - cpu_s, 0.01), server.user_s - user_s
    report.add("relay at full load", len(times) / spent_s, "messages/s")
    report.add("relay at full load, per CPU-second", len(times) / cpu_s, "messages/CPU-s")
    report.add("relay at full load, CPU", cpu_s / len(times) * 1e6, "µs/message")
    report.add("of it outside the kernel", user_s / len(times) * 1e6, "µs/message", "≤ 4.5")


class CallWay:
    """One direction of a live call."""

    def __init__(self, pair: Pair, from_caller: bool) -> None:
        self._pair = pair
        self._from_caller = from_caller

    def send(self) -> None:
        self._pair.relay(self._from_caller)

    def start(self, arrived: Arrived) -> None:
        self._pair.arrived[self._from_caller] = lambda took_ms: arrived(self, took_ms)


async def bench_relay(lab: Lab) -> None:
    """Through many live metered calls; the buckets of a device allow 20 frames a second."""
    dsn = await lab.dsn()
    async with lab.server(dsn) as server:
        pairs = await open_pairs(lab, server, dsn, lab.pick(300, 60))
        for pair in pairs:
            pair.stay = True
        tally = await run_calls(pairs, len(pairs), concurrency=32)
        if tally.done < len(pairs):
            raise RuntimeError(f"calls failed: {dict(tally.errors)}")
        lab.report.add("live calls", tally.done, "calls")
        ways = [CallWay(pair, side) for pair in pairs for side in (True, False)]
        await measure_relay(lab, server, ways, lab.pick(50, 20))
    add_latency_ratios(lab.report)
