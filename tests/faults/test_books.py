"""The comparison with the books sees what it is there for."""

from pathlib import Path
from random import Random
from uuid import uuid4

import pytest
from msgspec.json import encode

from storage import ledger
from storage.pool import connect
from tests.faults.books import Sums, compare, compare_time, invariants, quiet
from tests.faults.cluster import Cluster
from tests.faults.crowd import Crowd
from tests.faults.line import SIDES, Line
from tests.faults.node import short_minute
from tests.faults.people import CURRENCY, PRICE_MINOR
from tests.faults.postgres import Database
from tests.faults.witness import Jump

UNIT = PRICE_MINOR


@pytest.fixture
async def crowd(dsn: str, tmp_path: Path) -> Crowd:
    """Two pairs with accounts and no server."""
    database = Database(tmp_path)
    database.dsn = dsn
    made = Crowd(Cluster(tmp_path, database, Random(1)), Random(1))
    await made.prepare(2)
    return made


async def test_untouched_books_agree(crowd: Crowd, dsn: str) -> None:
    sums = await compare(dsn, crowd)
    assert (sums.faults, sums.lost, sums.doubled) == ([], 0, 0)
    assert await quiet(dsn) == []
    assert await invariants(dsn) == []


async def test_a_call_and_a_payment_that_were_acknowledged_and_are_not_there_are_lost(
    crowd: Crowd, dsn: str
) -> None:
    assert crowd.shopper is not None
    crowd.pairs[0].acknowledged.add(str(uuid4()))
    crowd.shopper.paid.add(str(uuid4()))
    crowd.shopper.moved.add(str(uuid4()))
    crowd.shopper.taken.add(str(uuid4()))
    sums = await compare(dsn, crowd)
    assert sums.lost == 4
    assert len(sums.faults) == 4


async def test_money_that_no_call_and_no_payment_explains_is_seen(crowd: Crowd, dsn: str) -> None:
    assert crowd.shopper is not None
    conn = await connect(dsn)
    try:
        async with conn.transaction():
            promo = await ledger.system_account(conn, "promo", "", CURRENCY)
            for number, person in enumerate((crowd.pairs[0].people[0], crowd.shopper.person)):
                wallet = (await ledger.open_accounts(conn, person.id, CURRENCY))["call_credits"]
                moves = [ledger.Move(promo, wallet, 5, "grant")]
                await ledger.post(conn, key=f"stray:{number}", kind="grant", moves=moves)
    finally:
        await conn.close()
    sums = await compare(dsn, crowd)
    assert sums.doubled == 1
    assert len(sums.faults) == 2


async def test_a_final_that_the_books_do_not_know_is_seen(crowd: Crowd, dsn: str) -> None:
    witness = crowd.pairs[1].witnesses["caller"]
    witness.finals[str(uuid4())] = [{"total": 120, "units": 1}]
    sums = await compare(dsn, crowd)
    assert len(sums.faults) == 1


def row(charged_minor: int) -> dict[str, object]:
    tariff = encode(short_minute(PRICE_MINOR)).decode()
    return {"tariff": tariff, "charged_minor": charged_minor, "reason": "hangup"}


def talked(line: Line, since_s: float, until_s: float, why: str = "") -> None:
    for side in SIDES:
        line.up(side, since_s)
    line.media_s = dict.fromkeys(SIDES, min([since_s, *line.media_s.values()]))
    line.heard_s = until_s
    for side in SIDES:
        line.down(side, until_s, why)


@pytest.mark.parametrize(
    ("charged_minor", "short", "doubled"),
    [(9 * UNIT, 0, 0), (8 * UNIT, 0, 0), (7 * UNIT, 1, 0), (11 * UNIT, 0, 0), (12 * UNIT, 0, 1)],
)
def test_a_call_costs_the_time_that_was_talked_and_at_most_one_unit_more_or_two_less(
    charged_minor: int, short: int, doubled: int
) -> None:
    line, sums = Line("call"), Sums()
    talked(line, 100.0, 110.0)
    compare_time("pair", line, row(charged_minor), sums)
    assert (sums.short, sums.doubled, len(sums.faults)) == (short, doubled, short + doubled)


def test_an_interruption_costs_a_unit_at_most_and_the_call_is_charged_after_it() -> None:
    line, sums = Line("call"), Sums()
    talked(line, 100.0, 105.0)
    talked(line, 107.0, 112.0)
    compare_time("pair", line, row(7 * UNIT), sums)
    assert sums.short == 0
    compare_time("pair", line, row(6 * UNIT), sums)
    assert sums.short == 1


def test_nothing_must_be_charged_in_the_dark() -> None:
    line, sums = Line("call"), Sums()
    talked(line, 100.0, 110.0)
    compare_time("pair", line, row(0), sums, [(101.0, 109.0)])
    assert sums.short == 0


def test_nobody_is_charged_while_nobody_ran_the_call() -> None:
    line = Line("call")
    talked(line, 100.0, 110.0)
    assert line.orphaned([80.0, 104.0], [107.0]) == [(104.0, 107.0)]
    # Another node's death: nobody was told anything anew.
    assert line.orphaned([104.0], []) == []
    line.leave(111.0)
    assert line.orphaned([104.0], []) == [(104.0, 111.0)]


async def test_a_takeover_without_a_dead_node_is_blamed(crowd: Crowd) -> None:
    node = crowd.cluster.add()
    crowd.pairs[0].witnesses["caller"].jumps.append(Jump("call", 10.0, 20.0))
    assert crowd.judge_jumps() == 1
    assert len(crowd.faults) == 1
    crowd.faults.clear()
    node.deaths.append(12.0)
    crowd.judge_jumps()
    assert crowd.faults == []
