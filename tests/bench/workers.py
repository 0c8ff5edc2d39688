"""Whole calls against two workers behind one port, to the same against one.

On a machine of two cores the phones and PostgreSQL share them with the workers: what counts there
is how many calls a second of the workers' CPU is good for.
"""

import socket
import time
from collections.abc import Sequence

from tests.bench.calls import CONCURRENCY, run_calls
from tests.bench.children import Child, offspring
from tests.bench.crowd import Meter
from tests.bench.lab import Lab, Login
from tests.bench.line import connect_all
from tests.bench.nodes import see_each_other
from tests.bench.pairs import Pair

WORKERS = 2
PAIRS = 800
CALLS = 4_000
# For one worker; twice as many calls are under way with two.
AT_ONCE = CONCURRENCY // 2


async def bench_workers(lab: Lab) -> None:
    one = await _one(lab)
    together, spread = await _both(lab)
    report = lab.report
    for name, found in (("each call on one of two", together), ("calls spread over two", spread)):
        for kind, unit, target in (
            (0, "calls/s", "≥ 1.7 with cores enough"),
            (1, "calls/CPU-s", "≥ 0.85"),
        ):
            ratio = found[kind] / max(1e-9, one[kind])
            report.add(f"{name}, to one worker, {unit}", ratio, "×", target)


async def _one(lab: Lab) -> tuple[float, float]:
    dsn = await lab.dsn()
    async with lab.server(dsn) as server:
        address = (server.host, server.port)
        pairs = await _connect(await lab.pairs(dsn, lab.pick(PAIRS, 40)), address, address)
        return await _measure(lab, "one worker", pairs, [server.pid], [], AT_ONCE)


async def _both(lab: Lab) -> tuple[tuple[float, float], tuple[float, float]]:
    """Pairs at the same worker, half of them at each; then as the kernel spreads their sockets."""
    dsn, ports = await lab.dsn(), _free_ports(1 + WORKERS)
    arguments = (
        *("--workers", str(WORKERS)),
        *("--port", str(ports[0])),
        *("--own-ports", str(ports[1])),
    )
    async with lab.server(dsn, arguments=arguments) as server:
        workers, redis = offspring(server.pid, "serve"), valkey_of(server)
        for port in ports[1:]:
            await see_each_other(server.host, port, WORKERS - 1)
        count = lab.pick(PAIRS, 40) // 2
        pairs: list[Pair] = []
        for port in ports[1:]:
            own = (server.host, port)
            pairs += await _connect(await lab.pairs(dsn, count), own, own)
        # In turn, for both are to be busy from the beginning.
        pairs = [pair for both in zip(pairs[:count], pairs[count:], strict=True) for pair in both]
        name = "each call on one of two workers"
        together = await _measure(lab, name, pairs, workers, redis, AT_ONCE * WORKERS)
        shared = (server.host, server.port)
        pairs = await _connect(await lab.pairs(dsn, 2 * count), shared, shared)
        name = "calls spread over two workers"
        return together, await _measure(lab, name, pairs, workers, redis, AT_ONCE * WORKERS)


async def _connect(
    logins: Sequence[tuple[Login, Login]], caller_at: tuple[str, int], callee_at: tuple[str, int]
) -> list[Pair]:
    callers = await connect_all(*caller_at, [caller for caller, _ in logins])
    callees = await connect_all(*callee_at, [callee for _, callee in logins])
    return [
        Pair(caller, callee, login)
        for caller, callee, (_, login) in zip(callers, callees, logins, strict=True)
    ]


async def _measure(
    lab: Lab,
    name: str,
    pairs: Sequence[Pair],
    workers: Sequence[int],
    redis: Sequence[int],
    at_once: int,
) -> tuple[float, float]:
    """Calls a second, and by the CPU of all workers together."""
    report, calls = lab.report, lab.pick(CALLS, 80)
    await run_calls(pairs, lab.pick(600, 20), concurrency=at_once)
    meter, beside, began_s = Meter(lab, *workers), Meter(lab, *redis), time.perf_counter()
    tally = await run_calls(pairs, calls, concurrency=at_once)
    spent_s, each_s = time.perf_counter() - began_s, meter.each_s
    count = max(1, tally.done)
    report.add(f"{name}: calls", count / spent_s, "calls/s")
    report.add(f"{name}: by the workers' CPU", count / max(0.01, sum(each_s)), "calls/CPU-s")
    report.add(f"{name}: workers' CPU", sum(each_s) / count * 1e6, "µs/call")
    for number, cpu_s in enumerate(each_s):
        report.add(f"{name}: worker {number + 1} busy", cpu_s / spent_s * 100, "%")
    if redis:
        report.add(f"{name}: Valkey CPU", beside.server_s / count * 1e6, "µs/call")
    report.add(f"{name}: PostgreSQL CPU", meter.database_s / count * 1e6, "µs/call")
    report.add(f"{name}: client busy", meter.own_s / spent_s * 100, "%")
    report.times(f"{name}: ring", tally.times["ring"])
    report.times(f"{name}: relay", tally.times["relay"])
    for code, number in tally.errors.items():
        report.add(f"{name}: failed ({code})", number, "calls", "0")
    return count / spent_s, count / max(0.01, sum(each_s))


def valkey_of(server: Child) -> list[int]:
    """The Valkey that it has started."""
    return offspring(server.pid, "valkey-server")


def _free_ports(count: int) -> list[int]:
    """A free one, and others that follow one another."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            shared, own = first.getsockname()[1], second.getsockname()[1]
            try:
                for number in range(1, count - 1):
                    with socket.socket() as more:
                        more.bind(("127.0.0.1", own + number))
            except (OSError, OverflowError):
                continue
        if not own <= shared < own + count:
            return [shared, *range(own, own + count - 1)]
