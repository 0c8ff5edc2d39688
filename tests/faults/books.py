"""What the books say when all is quiet, against what the crowd was told."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

import asyncpg
import msgspec

from signalling.calls.records import read_tariff
from signalling.core.tariff import cost
from storage.pool import connect
from storage.verify import verify
from tests.faults.cluster import EVIDENCE_MS, ROOT
from tests.faults.crowd import Crowd
from tests.faults.line import Line, Span
from tests.faults.node import UNIT_MS
from tests.faults.people import PRICE_MINOR, RICH_MINOR

SETTLED_S = 30.0

LEFT_OVER = """
select (select count(*) from call_slot) as slots,
       (select coalesce(sum(held), 0) from account) as held,
       (select count(*) from meter where state = 'open') as meters,
       (select count(*) from call where state <> 'ended') as calls
"""
CALLS = """
select c.id, c.caller_id, c.state, c.reason, c.charged_minor, c.units, c.billable_ms,
       c.tariff::text as tariff, c.request_id, coalesce(m.amount, 0)::bigint as moved
  from call c
  left join (select o.ref, sum(t.amount) as amount
               from operation o join transfer t on t.operation = o.id
              where o.kind = 'call_charge' group by o.ref) m on m.ref = c.id
"""
WALLETS = """
select owner, posted from account where kind = 'call_credits' and owner = any ($1::uuid[])
"""
EARNED = """
select posted from account where kind = 'earnings_available' and owner = $1
"""
PAYOUTS = """
select id, amount_minor from payout where user_id = $1
"""
PAYMENTS = """
select id, status, amount_minor, gateway from payment where user_id = $1
"""


class Sums(msgspec.Struct):
    """`lost` were told and are not in the books; `doubled` are there more than was asked for.

    `short` calls cost less than they must have; `interrupted` counts how often a call was
    reconnecting, `resumed` how often both talked again after any break.
    """

    calls: int = 0
    units: int = 0
    lost: int = 0
    doubled: int = 0
    short: int = 0
    interrupted: int = 0
    resumed: int = 0
    faults: list[str] = []
    reasons: dict[str, int] = {}


async def invariants(dsn: str) -> list[str]:
    """Every rule of `ledger verify`, beside whatever is going on."""
    conn = await connect(dsn, application_name="faults verify")
    try:
        checks = await verify(conn, lambda tariff, ms: cost(read_tariff(tariff), ms))
    finally:
        await conn.close()
    return [f"{check.name}: {fault}" for check in checks for fault in check.faults]


async def live_calls(dsn: str) -> list[UUID]:
    conn = await asyncpg.connect(dsn)
    try:
        return [row["id"] for row in await conn.fetch("select id from call where state <> 'ended'")]
    finally:
        await conn.close()


async def ends(dsn: str, reason: str) -> int:
    """How many calls have ended for that reason."""
    conn = await asyncpg.connect(dsn)
    try:
        found: int = await conn.fetchval("select count(*) from call where reason = $1", reason)
        return found
    finally:
        await conn.close()


async def verified_by_command(dsn: str) -> list[str]:
    """`talktime ledger verify` itself."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "ledger", "verify"),
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": dsn},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(120):
        said, _ = await process.communicate()
    return [] if process.returncode == 0 else [f"ledger verify: {said.decode()[-2_000:]}"]


async def quiet(dsn: str) -> list[str]:
    """What is left that should not be, `SETTLED_S` after everybody has hung up."""
    conn = await asyncpg.connect(dsn)
    try:
        for _ in range(int(SETTLED_S / 0.2)):
            row = await conn.fetchrow(LEFT_OVER)
            assert row is not None
            left = {name: int(value) for name, value in row.items() if value}
            if not left:
                return []
            await asyncio.sleep(0.2)
    finally:
        await conn.close()
    return [f"left over: {left}"]


async def compare(dsn: str, crowd: Crowd, unproved_ms: int = 0) -> Sums:
    """Call by call and wallet by wallet. The server's calls must all have ended.

    `unproved_ms` is how long the server may take to notice that nobody proves anything any more.
    """
    sums = Sums()
    conn = await asyncpg.connect(dsn)
    try:
        rows = {str(row["id"]): row for row in await conn.fetch(CALLS)}
        owners = [person.id for pair in crowd.pairs for person in pair.people[:1]]
        wallets = {row["owner"]: row["posted"] for row in await conn.fetch(WALLETS, owners)}
        sums.calls = len(rows)
        sums.units = sum(row["units"] for row in rows.values())
        for row in rows.values():
            reason = str(row["reason"])
            sums.reasons[reason] = sums.reasons.get(reason, 0) + 1
            if row["moved"] != row["charged_minor"]:
                sums.doubled += row["moved"] > row["charged_minor"]
                sums.lost += row["moved"] < row["charged_minor"]
                sums.faults.append(f"call {row['id']}: {dict(row)}")
            due = cost(read_tariff(row["tariff"].encode()), row["billable_ms"])
            if due != row["charged_minor"]:
                sums.faults.append(f"call {row['id']}: {row['billable_ms']} ms cost {due}")
        _compare_calls(crowd, rows, sums)
        for pair in crowd.pairs:
            for line in pair.lines.values():
                if line.call in rows:
                    jumps = [jump.at_s for jump in pair.jumps if jump.call == line.call]
                    dark = [*crowd.dark, *line.orphaned(crowd.cluster.deaths, jumps)]
                    kept = dict(rows[line.call])
                    compare_time(pair.name, line, kept, sums, dark, crowd.lag_ms, unproved_ms)
        _compare_wallets(crowd, rows, wallets, sums)
        if crowd.shopper is not None:
            paid = await conn.fetch(PAYMENTS, crowd.shopper.person.id)
            money = await conn.fetch(WALLETS, [crowd.shopper.person.id])
            _compare_payments(crowd, paid, money[0]["posted"], sums)
            earner = crowd.shopper.earner.id
            taken = await conn.fetch(PAYOUTS, earner)
            _compare_payouts(crowd, taken, await conn.fetchval(EARNED, earner), sums)
    finally:
        await conn.close()
    return sums


def _compare_calls(crowd: Crowd, rows: dict[str, asyncpg.Record], sums: Sums) -> None:
    per_caller: dict[UUID, int] = {}
    for row in rows.values():
        per_caller[row["caller_id"]] = per_caller.get(row["caller_id"], 0) + 1
    for pair in crowd.pairs:
        made = per_caller.get(pair.people[0].id, 0)
        if made > pair.asked:
            sums.doubled += made - pair.asked
            sums.faults.append(f"{pair.name} asked for {pair.asked} calls and has {made}")
        for call in pair.acknowledged - rows.keys():
            sums.lost += 1
            sums.faults.append(f"{pair.name}: call {call} was acknowledged and is not there")
        for witness in pair.witnesses.values():
            for call, told in witness.calls.items():
                found = rows.get(call)
                if found is not None and told.total > found["charged_minor"]:
                    sums.lost += 1
                    sums.faults.append(
                        f"{witness.name}: told {told.total} of call {call}, the books have "
                        f"{found['charged_minor']}"
                    )
            for call, finals in witness.finals.items():
                found = rows.get(call)
                wrong = [
                    final
                    for final in finals
                    if found is None or final["total"] != found["charged_minor"]
                ]
                if wrong:
                    charged = None if found is None else found["charged_minor"]
                    sums.faults.append(f"{witness.name}: call {call}: {wrong}, books {charged}")


def compare_time(
    name: str,
    line: Line,
    row: Mapping[str, Any],
    sums: Sums,
    dark: Sequence[Span] = (),
    lag_ms: int = 0,
    unproved_ms: int = 0,
) -> None:
    """Not more than the time both legs can have proved and one unit, by a crowd that hears and says
    things up to `lag_ms` late; not less than the time both were surely talking, less what each
    interruption may cost: the time since the last beat that was committed, below one unit."""
    tariff = read_tariff(row["tariff"].encode())
    charged = row["charged_minor"]
    sums.interrupted += line.interrupted
    sums.resumed += max(0, len(line.spans) - 1)
    most = cost(tariff, line.proved_ms + unproved_ms + lag_ms) + PRICE_MINOR
    if charged > (most if line.media_s else 0):
        sums.doubled += 1
        sums.faults.append(
            f"{name}: call {line.call} was charged {charged} for {line.proved_ms} ms that were "
            f"proved ({row['reason']})"
        )
    sure_ms, pieces = line.sure_ms(dark)
    gaps_ms = (pieces + 1) * (UNIT_MS + lag_ms) + line.lapses * EVIDENCE_MS
    # Money that was used up, or could not be had in time, ended the call before that was told.
    cut = row["reason"] in ("balance_exhausted", "server_error")
    if not cut and sure_ms > gaps_ms and charged < cost(tariff, sure_ms - gaps_ms):
        sums.short += 1
        sums.faults.append(
            f"{name}: call {line.call} was charged {charged} for {sure_ms} ms in {pieces} pieces, "
            f"{line.lapses} of which lapsed ({row['reason']})"
        )


def _compare_wallets(
    crowd: Crowd, rows: dict[str, asyncpg.Record], wallets: dict[UUID, int], sums: Sums
) -> None:
    spent: dict[UUID, int] = {}
    for row in rows.values():
        spent[row["caller_id"]] = spent.get(row["caller_id"], 0) + row["charged_minor"]
    for pair in crowd.pairs:
        caller = pair.people[0]
        left = caller.money_minor - spent.get(caller.id, 0)
        if wallets[caller.id] != left or left < 0:
            sums.faults.append(
                f"{pair.name}: the wallet has {wallets[caller.id]}, its calls leave {left}"
            )


def _compare_payments(crowd: Crowd, rows: list[asyncpg.Record], posted: int, sums: Sums) -> None:
    """An order that nobody lived to tell of is no money: only completed payments count."""
    assert crowd.shopper is not None
    shopper = crowd.shopper
    done = [row for row in rows if row["status"] == "completed"]
    for told, asked, by_wallet in (
        (shopper.paid, shopper.keys, False),
        (shopper.moved, shopper.moves, True),
    ):
        found = {str(row["id"]) for row in done if (row["gateway"] == "wallet") == by_wallet}
        lost = told - found
        sums.lost += len(lost)
        sums.faults += [f"payment {each} was completed and is not" for each in lost]
        if len(found) > asked:
            sums.doubled += len(found) - asked
            sums.faults.append(f"{asked} payments were asked for, and {len(found)} made")
    worth = sum(row["amount_minor"] for row in done)
    if posted != worth:
        sums.doubled += posted > worth
        sums.lost += posted < worth
        sums.faults.append(f"the shopper has {posted}, and paid {worth}")


def _compare_payouts(crowd: Crowd, rows: list[asyncpg.Record], left: int, sums: Sums) -> None:
    assert crowd.shopper is not None
    shopper = crowd.shopper
    lost = shopper.taken - {str(row["id"]) for row in rows}
    sums.lost += len(lost)
    sums.faults += [f"payout {each} was taken and is not there" for each in lost]
    if len(rows) > shopper.outs:
        sums.doubled += len(rows) - shopper.outs
        sums.faults.append(f"{shopper.outs} payouts were asked for, and {len(rows)} made")
    owed = RICH_MINOR - sum(row["amount_minor"] for row in rows)
    if left != owed:
        sums.doubled += left < owed
        sums.lost += left > owed
        sums.faults.append(f"the earner has {left}, and payouts leave {owed}")
