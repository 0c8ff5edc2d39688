"""What this machine can do without us: PostgreSQL by asyncpg and pgbench, a bare aiohttp relay."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from storage.pool import Connection
from tests.bench.children import child
from tests.bench.floors import COUNTERS, batches, pgbench
from tests.bench.lab import Lab, own_cpu_s
from tests.bench.line import Line
from tests.bench.relay import measure_relay
from tests.bench.relayed import RelayWay, measure_bare, path_ways

CONNECTIONS = 8
IDLE = 1_000


async def bench_machine(lab: Lab) -> None:
    await _postgres(lab)
    await _relay(lab)


async def _postgres(lab: Lab) -> None:
    dsn = await lab.dsn()
    conns = [await asyncpg.connect(dsn) for _ in range(CONNECTIONS)]
    try:
        await conns[0].execute(
            "create table counter (id int primary key, n bigint not null) with (fillfactor = 50);"
            f"insert into counter select g, 0 from generate_series(1, {COUNTERS}) g;"
            "create table event (id bigint generated always as identity primary key,"
            " counter int not null, at timestamptz not null default now());"
        )
        report, seconds = lab.report, lab.seconds(3)
        fsync = await conns[0].fetchval("show fsync")
        commit = await conns[0].fetchval("show synchronous_commit")
        report.add(f"fsync {fsync}, synchronous_commit {commit}", fsync == commit == "on", "")
        for count in (1, CONNECTIONS):
            own_s = own_cpu_s()
            done = await _repeat(conns[:count], _select, seconds)
            report.add(f"point select, {count} connections", done / seconds, "/s")
            own_us = (own_cpu_s() - own_s) / done * 1e6
            report.add(f"point select, {count} connections, client CPU", own_us, "µs")
        for count in (1, CONNECTIONS):
            database_s = lab.database_cpu_s()
            done = await _repeat(conns[:count], _transaction, seconds)
            report.add(f"begin, update, insert, commit, {count} connections", done / seconds, "/s")
            database_us = (lab.database_cpu_s() - database_s) / done * 1e6
            report.add(f"the same, {count} connections, PostgreSQL CPU", database_us, "µs")
        for count in (1, 2):
            await batches(lab, conns[:count])
    finally:
        await asyncio.gather(*(conn.close() for conn in conns))
    await pgbench(lab, dsn)


async def _repeat(
    conns: Sequence[Connection], work: Callable[[Connection, int], Awaitable[None]], seconds: float
) -> int:
    """How often all connections together did the work."""
    until_s = time.perf_counter() + seconds

    async def one(conn: Connection, number: int) -> int:
        done = 0
        while time.perf_counter() < until_s:
            await work(conn, number + CONNECTIONS * (done % 1_000) + 1)
            done += 1
        return done

    return sum(await asyncio.gather(*(one(conn, number) for number, conn in enumerate(conns))))


async def _select(conn: Connection, row: int) -> None:
    await conn.fetchrow("select id, n from counter where id = $1", row)


async def _transaction(conn: Connection, row: int) -> None:
    async with conn.transaction():
        await conn.execute("update counter set n = n + 1 where id = $1", row)
        await conn.execute("insert into event (counter) values ($1)", row)


async def _relay(lab: Lab) -> None:
    log = lab.directory / "bare.log"
    async with child("tests.bench.bare", log=log, settings={}, pin=lab.pin) as server:
        ways: list[RelayWay] = []
        for number in range(lab.pick(300, 60)):
            ways += await path_ways(server.host, server.port, number)
        await measure_relay(lab, server, ways, lab.pick(50, 20))
    async with child("tests.bench.bare", log=log, settings={}, pin=lab.pin) as server:
        await measure_bare(lab, server)
    async with child("tests.bench.bare", log=log, settings={}) as server:
        (await Line.open(server.host, server.port, "/relay/first")).close()
        before, count = server.rss_bytes, lab.pick(IDLE, 200)
        lines = [
            await Line.open(server.host, server.port, f"/relay/{number}") for number in range(count)
        ]
        await asyncio.sleep(0.2)
        used = (server.rss_bytes - before) / count / 1_024
        lab.report.add("idle bare aiohttp socket", used, "KiB")
        for line in lines:
            line.close()
