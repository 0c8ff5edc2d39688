"""Signals between parties on two nodes, to the same on one; PostgreSQL and Valkey are shared."""

import asyncio
import re

import aiohttp

from server.embedded_valkey import EmbeddedValkey
from tests.bench.children import Child, cpu_s
from tests.bench.crowd import Meter, keep_talking
from tests.bench.lab import Lab
from tests.bench.line import connect_all
from tests.bench.pairs import Pair
from tests.bench.ratios import RATE
from tests.bench.relay import CallWay, at_rate, flat_out
from tests.bench.results import quantile

PAIRS = 300
SEEN_S = 30.0
IDLE_S = 3.0


class Costs:
    """Of a message: latencies in ms, and CPU in µs of both nodes and of Valkey."""

    def __init__(self) -> None:
        self.times_ms: list[float] = []
        self.at_rate_us = 0.0
        self.flat_out_us = 0.0


async def bench_nodes(lab: Lab) -> None:
    report, dsn = lab.report, await lab.dsn()
    valkey = EmbeddedValkey()
    url = valkey.start()
    try:
        async with (
            lab.server(dsn, REDIS_URL=url, TALKTIME_NODE_NAME="one") as one,
            lab.server(dsn, REDIS_URL=url, TALKTIME_NODE_NAME="two") as two,
        ):
            for node in (one, two):
                await see_each_other(node.host, node.port, 1)
            assert valkey.pid is not None
            near = await _measure(lab, "on one node", dsn, (one, two), (one, one), valkey.pid)
            far = await _measure(lab, "across nodes", dsn, (one, two), (one, two), valkey.pid)
    finally:
        valkey.stop()
    for share in (0.5, 0.99):
        more_ms = quantile(far.times_ms, share) - quantile(near.times_ms, share)
        target = "≤ 1" if share == 0.5 else ""
        report.add(f"across nodes takes longer, p{share * 100:.0f}", more_ms, "ms", target)
    at_rate_times = far.at_rate_us / max(1e-9, near.at_rate_us)
    report.add("across nodes, CPU of both at 2 000/s", at_rate_times, "×", "≤ 2.5")
    flat_out_times = far.flat_out_us / max(1e-9, near.flat_out_us)
    report.add("across nodes, CPU of both at full load", flat_out_times, "×", "≤ 2.5")


async def _measure(
    lab: Lab,
    name: str,
    dsn: str,
    nodes: tuple[Child, Child],
    at: tuple[Child, Child],
    valkey: int,
) -> Costs:
    """Live calls with the caller at the first of `at` and the callee at the second."""
    report, costs = lab.report, Costs()
    logins = await lab.pairs(dsn, lab.pick(PAIRS, 40))
    callers = await connect_all(at[0].host, at[0].port, [caller for caller, _ in logins])
    callees = await connect_all(at[1].host, at[1].port, [callee for _, callee in logins])
    pairs = [
        Pair(caller, callee, login)
        for caller, callee, (_, login) in zip(callers, callees, logins, strict=True)
    ]
    await keep_talking(pairs)
    ways = [CallWay(pair, side) for pair in pairs for side in (True, False)]
    # What both nodes do in any case is not the messages'.
    idle = Meter(lab, *nodes)
    await asyncio.sleep(lab.seconds(IDLE_S))
    idle_s = idle.server_s / idle.seconds
    for title, run in (
        ("at 2 000/s", at_rate(ways, RATE, lab.seconds(5))),
        ("at full load", flat_out(ways, lab.pick(50, 20))),
    ):
        meter, before_s = Meter(lab, *nodes), cpu_s(valkey)
        times = await run
        spent_s, each_s = meter.seconds, meter.each_s
        valkey_s, own_s = cpu_s(valkey) - before_s, meter.own_s
        count = len(times)
        used_us = max(0.0, sum(each_s) - idle_s * spent_s) / count * 1e6
        report.add(f"{name} {title}: CPU of both nodes", used_us, "µs/message")
        report.add(f"{name} {title}: of it the first", each_s[0] / count * 1e6, "µs/message")
        report.add(f"{name} {title}: Valkey CPU", valkey_s / count * 1e6, "µs/message")
        report.add(f"{name} {title}: client CPU", own_s / count * 1e6, "µs/message")
        if title == "at 2 000/s":
            report.times(f"{name} {title}", times)
            costs.times_ms, costs.at_rate_us = times, used_us
        else:
            report.add(f"{name} {title}", count / spent_s, "messages/s")
            costs.flat_out_us = used_us
    for pair in pairs:
        pair.caller.close()
        pair.callee.close()
    return costs


async def see_each_other(host: str, port: int, count: int) -> None:
    """Until this node knows of so many others."""
    async with aiohttp.ClientSession() as http, asyncio.timeout(SEEN_S):
        while True:
            async with http.get(f"http://{host}:{port}/metrics") as answer:
                found = re.search(r"^talktime_nodes (\S+)", await answer.text(), re.MULTILINE)
            if found is not None and float(found[1]) >= count:
                return
            await asyncio.sleep(0.05)
