"""What a call costs, and what memory holds, as more and more people and calls are there besides.

The same few pairs make calls at full load each time: at a lower rate a part of what a call costs is
shared with what the others do at that moment, and the ratio would flatter.
"""

import asyncio
from collections.abc import Sequence

from tests.bench.calls import open_pairs, run_calls
from tests.bench.children import Child
from tests.bench.crowd import (
    PING_CALL_S,
    PING_IDLE_S,
    Meter,
    Tireless,
    end_calls,
    keep_talking,
    pinging,
)
from tests.bench.lab import Lab
from tests.bench.line import Line, connect_all
from tests.bench.pairs import Pair

USERS = (100, 1_000, 10_000)
LIVE = (10, 500, 5_000)
CALLERS = 50
IDLE_S = 4.0
SETTLE_S = 1.0
# What the server may still be busy with, and for how long, after many have gone.
CALM_SHARE = 0.1
CALM_MAX_S = 30.0
MAX = "≤ 1.15"


class Costs:
    """What was found at each size, in µs of a call: the server's and PostgreSQL's."""

    def __init__(self) -> None:
        self.server: list[float] = []
        self.database: list[float] = []


async def measure(lab: Lab, server: Child, pairs: Sequence[Pair], name: str, costs: Costs) -> None:
    """Calls in a closed loop; what the same time costs without them is not theirs."""
    idle = Meter(lab, server)
    await asyncio.sleep(lab.seconds(IDLE_S))
    idle_server_s, idle_database_s = idle.server_s / idle.seconds, idle.database_s / idle.seconds
    meter = Meter(lab, server)
    tally = await run_calls(pairs, lab.pick(3_000, 50), concurrency=len(pairs))
    spent_s, server_s = meter.seconds, meter.server_s
    database_s, own_s = meter.database_s, meter.own_s
    count, report = max(1, tally.done), lab.report
    costs.server.append((server_s - idle_server_s * spent_s) / count * 1e6)
    costs.database.append((database_s - idle_database_s * spent_s) / count * 1e6)
    report.add(f"{name}: server CPU without calls", idle_server_s * 100, "%")
    report.add(f"{name}: server CPU", costs.server[-1], "µs/call")
    report.add(f"{name}: PostgreSQL CPU", costs.database[-1], "µs/call")
    report.add(f"{name}: client CPU", own_s / count * 1e6, "µs/call")
    report.add(f"{name}: calls", count / spent_s, "calls/s")
    report.times(f"{name}: ring", tally.times["ring"])
    for code, number in tally.errors.items():
        report.add(f"{name}: failed ({code})", number, "calls", "0")


def ratios(lab: Lab, name: str, costs: Costs) -> None:
    """The largest size to the smallest, which was measured before it and behind it: callers with a
    longer past cost more, and a machine drifts."""
    for whose, found in (("server", costs.server), ("PostgreSQL", costs.database)):
        smallest = (found[0] + found[-1]) / 2
        if smallest > 0:
            lab.report.add(f"{name}: {whose} CPU of a call", found[-2] / smallest, "×", MAX)


async def calm(lab: Lab, server: Child) -> None:
    """Until the server has done what those who are gone have left it."""
    for _ in range(int(CALM_MAX_S)):
        meter = Meter(lab, server)
        await asyncio.sleep(lab.seconds(SETTLE_S))
        if meter.server_s < CALM_SHARE * meter.seconds:
            return


async def bench_growth(lab: Lab) -> None:
    await _users(lab)
    await _live(lab)


async def _users(lab: Lab) -> None:
    """The first are those who call; the others are connected, and ping."""
    sizes = (20, 40, 80) if lab.quick else USERS
    callers = min(CALLERS, sizes[0] // 2)
    dsn, costs = await lab.dsn(), Costs()
    logins = await lab.people(dsn, sizes[-1])
    async with lab.server(dsn, tuned=("--no-rates",)) as server:
        pairs = await open_pairs(lab, server, dsn, callers, Tireless)
        await run_calls(pairs, lab.pick(1_000, callers), concurrency=callers)
        lines: list[Line] = []
        for size in sizes:
            rss = server.rss_bytes
            new = logins[len(lines) : size - 2 * callers]
            lines += await connect_all(server.host, server.port, new)
            await asyncio.sleep(lab.seconds(SETTLE_S))
            if new:
                each = (server.rss_bytes - rss) / len(new) / 1_024
                lab.report.add(f"{size} users: memory of one more", each, "KiB")
            every = [*lines, *(line for pair in pairs for line in (pair.caller, pair.callee))]
            async with pinging(every, PING_IDLE_S):
                await measure(lab, server, pairs, f"{size} users", costs)
        lab.report.add("dropped", sum(line.closed for line in lines), "sockets", "0")
        for line in lines:
            line.close()
        await calm(lab, server)
        await measure(lab, server, pairs, f"{sizes[0]} users again", costs)
    ratios(lab, f"{sizes[-1]} users to {sizes[0]}", costs)


async def _live(lab: Lab) -> None:
    """Calls that go on; all their phones ping as in a call."""
    sizes = (5, 10, 20) if lab.quick else LIVE
    dsn, costs = await lab.dsn(), Costs()
    async with lab.server(dsn, tuned=("--no-rates",)) as server:
        pairs = await open_pairs(lab, server, dsn, lab.pick(CALLERS, 10), Tireless)
        await run_calls(pairs, lab.pick(1_000, 10), concurrency=len(pairs))
        live: list[Pair] = []
        for size in sizes:
            new = await open_pairs(lab, server, dsn, size - len(live), Tireless)
            await asyncio.sleep(lab.seconds(SETTLE_S))
            rss = server.rss_bytes
            await keep_talking(new)
            live += new
            await asyncio.sleep(lab.seconds(SETTLE_S))
            each = (server.rss_bytes - rss) / len(new) / 1_024
            lab.report.add(f"{size} live calls: memory of one more", each, "KiB")
            every = [line for pair in live for line in (pair.caller, pair.callee)]
            async with pinging(every, PING_CALL_S):
                await measure(lab, server, pairs, f"{size} live calls", costs)
        lost = sum(pair.caller.closed or pair.callee.closed for pair in live)
        lab.report.add("live calls that lost a socket", lost, "calls", "0")
        await end_calls(live[sizes[0] :])
        await calm(lab, server)
        await measure(lab, server, pairs, f"{sizes[0]} live calls again", costs)
    ratios(lab, f"{sizes[-1]} live calls to {sizes[0]}", costs)
