"""Whole metered calls over real sockets against one real server process."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol, Self, TypeVar

from signalling.calls.records import read_tariff
from signalling.core.tariff import cost
from storage.pool import connect
from storage.verify import verify
from tests.bench.children import Child
from tests.bench.lab import Lab, own_cpu_s
from tests.bench.line import connect_all
from tests.bench.pairs import Pair, Tally
from tests.bench.ratios import add_ratios

PHASE_MAX_S = 30.0
CONCURRENCY = 128
RATE = 200
IDLE = 9_000


class Calling(Protocol):
    """Two sockets that can make one call at a time."""

    def may_begin(self, now_s: float, /) -> bool: ...

    def begin(self, tally: Tally, done: Callable[[Self], None], /) -> None: ...


Two = TypeVar("Two", bound=Calling)


async def open_pairs(
    lab: Lab, server: Child, dsn: str, count: int, kind: type[Pair] = Pair
) -> list[Pair]:
    """Connected pairs, without a call yet."""
    logins = await lab.pairs(dsn, count)
    lines = await connect_all(server.host, server.port, [each for pair in logins for each in pair])
    return [kind(lines[2 * n], lines[2 * n + 1], callee) for n, (_, callee) in enumerate(logins)]


async def run_calls(
    pairs: Sequence[Two], calls: int, *, concurrency: int, rate: float = 0
) -> Tally:
    """So many calls, at most `concurrency` at once; with a `rate`, so many are begun a second."""
    tally, free, finished = Tally(), deque(pairs), asyncio.Event()
    begun = over = 0

    def done(pair: Two) -> None:
        nonlocal over
        over += 1
        free.append(pair)
        if over == calls:
            finished.set()
        elif not rate:
            begin()

    def begin() -> bool:
        nonlocal begun
        if begun == calls or not free or not free[0].may_begin(time.perf_counter()):
            return False
        begun += 1
        free.popleft().begin(tally, done)
        return True

    began_s = time.perf_counter()
    try:
        async with asyncio.timeout(PHASE_MAX_S):
            while begun < calls:
                wanted = (time.perf_counter() - began_s) * rate if rate else over + concurrency
                while begun < min(wanted, calls) and begin():
                    pass
                await asyncio.sleep(0.001 if rate else 0.01)
            await finished.wait()
    except TimeoutError:
        tally.errors["not finished in time"] += calls - over
    return tally


async def measure(
    lab: Lab,
    server: Child,
    pairs: Sequence[Pair],
    calls: int,
    name: str,
    *,
    rate: float = 0,
) -> None:
    report = lab.report
    began_s, cpu_s, user_s = time.perf_counter(), server.cpu_s, server.user_s
    database_s, own_s = lab.database_cpu_s(), own_cpu_s()
    tally = await run_calls(pairs, calls, concurrency=CONCURRENCY, rate=rate)
    spent_s = time.perf_counter() - began_s
    cpu_s, database_s = server.cpu_s - cpu_s, lab.database_cpu_s() - database_s
    count = max(1, tally.done)
    report.add(f"{name}: calls", tally.done / spent_s, "calls/s")
    target = "" if rate else "≥ 2 630, then 3 500"
    report.add(
        f"{name}: calls per CPU-second", tally.done / max(cpu_s, 0.01), "calls/CPU-s", target
    )
    both_s = max(cpu_s + database_s, 0.01)
    report.add(f"{name}: the same, PostgreSQL's CPU included", tally.done / both_s, "calls/CPU-s")
    report.add(f"{name}: server CPU", cpu_s / count * 1e6, "µs/call")
    user_s = server.user_s - user_s
    report.add(f"{name}: of it outside the kernel", user_s / count * 1e6, "µs/call")
    target = "" if rate else "≤ 40"
    report.add(f"{name}: PostgreSQL CPU", database_s / count * 1e6, "µs/call", target)
    report.add(f"{name}: client CPU", (own_cpu_s() - own_s) / count * 1e6, "µs/call")
    targets = {"ring": "p50 ≤ 3, p99 ≤ 15"} if rate else {}
    for step in ("ring", "accept", "relay", "tick", "end"):
        report.times(f"{name}: {step}", tally.times[step], targets.get(step, ""))
    for code, number in tally.errors.items():
        report.add(f"{name}: failed ({code})", number, "calls", "0")


async def bench_calls(lab: Lab) -> None:
    """Closed loop with every signal a packet of its own, then in bursts, then at a fixed rate."""
    dsn = await lab.dsn()
    async with lab.server(dsn) as server:
        pairs = await open_pairs(lab, server, dsn, lab.pick(1_000, 40))
        await run_calls(pairs, lab.pick(300, 40), concurrency=CONCURRENCY)
        await measure(lab, server, pairs, lab.pick(4_000, 100), "full load")
        for pair in pairs:
            pair.burst = True
        await measure(lab, server, pairs, lab.pick(3_000, 60), "full load, bursts")
        for pair in pairs:
            pair.burst = False
        await measure(lab, server, pairs, lab.pick(1_000, 40), "at 200/s", rate=RATE)
        idle = lab.pick(IDLE, 50)
        lines = await connect_all(server.host, server.port, await lab.people(dsn, idle))
        name = f"at 200/s beside {idle} idle devices"
        await measure(lab, server, pairs, lab.pick(1_000, 40), name, rate=RATE)
        dropped = sum(line.closed for line in lines)
        lab.report.add("idle devices dropped", dropped, "devices", "0")
        lab.report.add("server RSS after it", server.rss_bytes / 2**20, "MiB")
    await check_books(lab, dsn)
    add_ratios(lab.report)


async def check_books(lab: Lab, dsn: str) -> None:
    """How many calls were paid for, and that nothing in the ledger contradicts another."""
    conn = await connect(dsn, application_name="bench")
    try:
        checks = await verify(conn, lambda tariff, ms: cost(read_tariff(tariff), ms))
        settled = await conn.fetchval(
            "select count(*) from call c join meter m on m.call_id = c.id "
            "where c.reason = 'hangup' and m.state = 'settled' and m.charged > 0"
        )
    finally:
        await conn.close()
    lab.report.add("paid calls in the books", settled, "calls")
    lab.report.add("faults in the books", sum(len(check.faults) for check in checks), "", "0")
