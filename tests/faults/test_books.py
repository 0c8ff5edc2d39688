"""The comparison with the books sees what it is there for."""

from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from storage import ledger
from storage.pool import connect
from tests.faults.books import compare, invariants, quiet
from tests.faults.cluster import Cluster
from tests.faults.crowd import Crowd
from tests.faults.people import CURRENCY
from tests.faults.postgres import Database


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
    sums = await compare(dsn, crowd)
    assert sums.lost == 3
    assert len(sums.faults) == 3


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
