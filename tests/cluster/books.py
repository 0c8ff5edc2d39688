"""What the books say of a call, read from the tables themselves."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass

from signalling.calls.records import read_tariff
from signalling.core.tariff import cost, units
from storage.pool import connect
from tests.end_to_end.driver import ROOT

BOOKS = """
select m.billable_ms, c.tariff::text as tariff, m.claim, s.taken, s.given
  from meter m join call c on c.id = m.call_id,
       lateral (select coalesce(sum(t.amount), 0)::bigint as taken,
                       coalesce(sum(t.amount) filter (where t.code = 'call_earning'), 0)::bigint
                           as given
                  from operation o join transfer t on t.operation = o.id and t.at = o.at
                 where o.ref = m.call_id and o.kind = 'call_charge') s
 where m.call_id = $1::uuid
"""


@dataclass(frozen=True)
class Books:
    """`taken` from the caller, of which `given` to the provider, for `billable_ms`, which is
    `units` and costs `due`. `owners` is how many nodes have run the call."""

    billable_ms: int
    units: int
    due: int
    taken: int
    given: int
    owners: int


async def books_of(dsn: str, call_id: str) -> Books:
    conn = await connect(dsn, application_name="cluster")
    try:
        row = await conn.fetchrow(BOOKS, call_id)
    finally:
        await conn.close()
    assert row is not None, "a call has its books"
    tariff = read_tariff(row["tariff"].encode())
    billable_ms: int = row["billable_ms"]
    return Books(
        billable_ms=billable_ms,
        units=units(tariff, billable_ms),
        due=cost(tariff, billable_ms),
        taken=row["taken"],
        given=row["given"],
        owners=row["claim"] + 1,
    )


async def verify(dsn: str) -> tuple[bool, str]:
    """`talktime ledger verify`: whether it is content, and its last line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "ledger", "verify"),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": dsn},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    lines = said.decode().strip().splitlines()
    return process.returncode == 0, lines[-1] if lines else ""
