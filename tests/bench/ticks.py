"""Full double-entry ticks: post a unit out of the hold, share it, hold the next one."""

import time

from storage import meters
from storage.authorise import authorise
from storage.combiner import Combiner
from storage.ids import new_id
from storage.nodes import NodeClaim
from storage.pool import Connection, connect, create_pool
from storage.works import Authorise, Authorised, Charged, Outcome
from tests.bench.children import cpu_s
from tests.bench.lab import Lab, own_cpu_s
from tests.bench.report import Report
from tests.storage.world import NOW_MS, UNIT, charge_of, make_node, make_user

MONEY = 10**9


async def bench_ticks(lab: Lab) -> None:
    dsn = await lab.dsn()
    conn = await connect(dsn, application_name="bench")
    try:
        async with conn.transaction():
            node = await make_node(conn, "bench")
            works = [await _work(conn, node) for _ in range(lab.pick(1_300, 500))]
            for at in range(0, len(works), 200):
                opened = await authorise(conn, node.epoch, works[at : at + 200])
                assert all(isinstance(each, Authorised) for each in opened)
        await conn.execute("vacuum analyze")
        await _one_backend(lab, conn, node, works[:100])
        await _one_backend(lab, conn, node, works[100:300])
        await _combiner(lab, dsn, node, works[300:])
        _compare(lab.report)
    finally:
        await conn.close()


def _compare(report: Report) -> None:
    """Of full ticks to the transactions of pgbench in the same run, on their best connections."""
    ours = report.value("ticks", "combiner: ticks")
    theirs = report.value("machine", "pgbench simple-update, 8 clients")
    if ours and theirs:
        report.add("combiner: ticks ÷ pgbench simple-update", ours / theirs, "× the rate", "≥ 4")


async def _work(conn: Connection, node: NodeClaim) -> Authorise:
    caller = await make_user(conn, money=MONEY)
    callee = await make_user(conn, provider=True)
    return Authorise(
        call_id=new_id(),
        caller_id=caller.id,
        callee_id=callee.id,
        caller_device="bench",
        request_id=None,
        kind="audio",
        connect_on="media",
        note=None,
        tariff=b"{}",
        hold_minor=UNIT,
        payer=caller.wallet,
        payee=callee.earnings,
        platform=node.platform_account,
        created_ms=NOW_MS,
    )


async def _one_backend(lab: Lab, conn: Connection, node: NodeClaim, works: list[Authorise]) -> None:
    """Batches of all `works`, each its own durable transaction."""
    pid = await conn.fetchval("select pg_backend_pid()")
    accounts = {account for work in works for account in (work.payer, work.payee, work.platform)}
    wanted = {account for account in accounts if account is not None}
    began_s, backend_s, own_s, done = time.perf_counter(), cpu_s(pid), own_cpu_s(), 0
    times: list[float] = []
    units = 0
    while time.perf_counter() - began_s < lab.seconds(4):
        units += 1
        charges = [charge_of(work, units) for work in works]
        at_s = time.perf_counter()
        async with conn.transaction():
            await meters.begin(conn, node.epoch, NOW_MS, wanted)
            _check(await meters.charge(conn, node.epoch, charges))
        times.append((time.perf_counter() - at_s) * 1_000)
        done += len(works)
    spent_s = time.perf_counter() - began_s
    name = f"batches of {len(works)}"
    lab.report.add(f"{name}: ticks", done / spent_s, "/s", "≥ 20 000")
    backend_us = (cpu_s(pid) - backend_s) / done * 1e6
    lab.report.add(f"{name}: PostgreSQL backend CPU", backend_us, "µs/tick")
    lab.report.add(f"{name}: our CPU", (own_cpu_s() - own_s) / done * 1e6, "µs/tick")
    lab.report.times(f"{name}: batch", times)


async def _combiner(lab: Lab, dsn: str, node: NodeClaim, works: list[Authorise]) -> None:
    """Every meter puts its next tick as soon as the last one of all is answered."""
    pool = await create_pool(dsn, min_size=1, max_size=2, application_name="bench combiner")
    combiner = Combiner(pool, epoch=node.epoch, clock=lambda: NOW_MS)
    await combiner.start()
    try:
        began_s, database_s, own_s, done = time.perf_counter(), lab.database_cpu_s(), own_cpu_s(), 0
        units = 0
        while time.perf_counter() - began_s < lab.seconds(4):
            units += 1
            done += await _round(combiner, works, units)
        spent_s = time.perf_counter() - began_s
        database_us = (lab.database_cpu_s() - database_s) / done * 1e6
        own_us = (own_cpu_s() - own_s) / done * 1e6
    finally:
        await combiner.stop()
        await pool.close()
    lab.report.add("combiner: ticks", done / spent_s, "/s", "≥ 20 000")
    lab.report.add("combiner: PostgreSQL CPU", database_us, "µs/tick")
    lab.report.add("combiner: our CPU", own_us, "µs/tick")


async def _round(combiner: Combiner, works: list[Authorise], units: int) -> int:
    outcomes: list[Outcome] = []
    for work in works[1:]:
        combiner.put(charge_of(work, units), outcomes.append)
    # A slice answers in order, and the last one put is in the last slice.
    outcomes.append(await combiner.do(charge_of(works[0], units)))
    _check(outcomes)
    assert len(outcomes) == len(works)
    return len(outcomes)


def _check(outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        assert isinstance(outcome, Charged), outcome
        assert not outcome.refused, outcome
