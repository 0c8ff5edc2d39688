"""What PostgreSQL does at best on this machine: one statement for many rows, and pgbench."""

import asyncio
import re
import time
from collections.abc import Sequence
from pathlib import Path

from server.postgres_binaries import find_programs, server_user
from storage.pool import Connection
from tests.bench.children import finished
from tests.bench.lab import Lab, own_cpu_s

COUNTERS = 10_000
BATCH = 100
PGBENCH_MAX_S = 60
# An update and an insert for each row, as one durable statement.
_BATCH = """
    with given as (select * from unnest($1::int[], $2::bigint[]) as g (id, amount)),
    told as (insert into event (counter) select id from given)
    update counter c set n = c.n + given.amount from given where c.id = given.id
"""


async def batches(lab: Lab, conns: Sequence[Connection]) -> None:
    """Rows of the tables of `bench_machine`, no two connections at the same ones."""
    seconds, span = lab.seconds(3), COUNTERS // len(conns)
    until_s = time.perf_counter() + seconds

    async def one(conn: Connection, first: int) -> int:
        statement, done = await conn.prepare(_BATCH), 0
        amounts = [1] * BATCH
        while time.perf_counter() < until_s:
            begin = first + done * BATCH % span
            await statement.fetch(list(range(begin, begin + BATCH)), amounts)
            done += 1
        return done

    database_s, own_s, began_s = lab.database_cpu_s(), own_cpu_s(), time.perf_counter()
    done = await asyncio.gather(*(one(conn, 1 + n * span) for n, conn in enumerate(conns)))
    spent_s, rows = time.perf_counter() - began_s, sum(done) * BATCH
    name = f"update and insert {BATCH} rows, {len(conns)} connections"
    lab.report.add(name, rows / spent_s, "rows/s")
    database_us = (lab.database_cpu_s() - database_s) / rows * 1e6
    lab.report.add(f"{name}: PostgreSQL CPU", database_us, "µs/row")
    lab.report.add(f"{name}: client CPU", (own_cpu_s() - own_s) / rows * 1e6, "µs/row")


async def pgbench(lab: Lab, dsn: str) -> None:
    """pgbench's simple-update, prepared; left out, with a figure that says so, without pgbench."""
    program = find_programs(server_user(lab.directory / "postgres" / "data")) / "pgbench"
    if not program.exists():
        lab.report.add("pgbench is there", 0, "")
        return
    await _run(program, "-i", "-q", "-s", str(lab.pick(10, 1)), dsn)
    for count in (1, 8):
        database_s = lab.database_cpu_s()
        seconds = str(max(1, int(lab.seconds(4))))
        said = await _run(
            program, "-N", "-n", "-M", "prepared", "-c", str(count), "-T", seconds, dsn
        )
        tps = _found(r"tps = ([\d.]+)", said)
        done = _found(r"actually processed: (\d+)", said)
        lab.report.add(f"pgbench simple-update, {count} clients", tps, "/s")
        database_us = (lab.database_cpu_s() - database_s) / max(1, done) * 1e6
        lab.report.add(f"the same, {count} clients, PostgreSQL CPU", database_us, "µs")


async def _run(program: Path, *words: str) -> str:
    code, said = await finished(program, *words, max_s=PGBENCH_MAX_S)
    if code:
        raise RuntimeError(f"pgbench: {said[-500:]}")
    return said


def _found(pattern: str, said: str) -> float:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"pgbench said something new: {said[-500:]}")
    return float(found.group(1))
