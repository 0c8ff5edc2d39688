import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from storage import ledger
from storage.errors import Conflict, IdempotencyMismatch, InsufficientFunds, NotFound
from storage.ledger import Move, Operation
from storage.pool import Connection, Pool, connect
from tests.storage.world import make_user

T = TypeVar("T")


async def balance(conn: Connection, account: int) -> int:
    posted: int = await conn.fetchval("select posted from account where id = $1", account)
    return posted


async def send(
    conn: Connection, key: str, *moves: Move, request_hash: bytes | None = None
) -> Operation:
    return await ledger.post(
        conn, key=key, kind="adjustment", moves=moves, request_hash=request_hash, result={"n": 1}
    )


async def test_accounts_are_opened_once(conn: Connection) -> None:
    user = await make_user(conn)
    again = await ledger.open_accounts(conn, user.id, "PTS")
    assert set(again) == set(ledger.USER_KINDS)
    assert again["call_credits"] == user.wallet
    assert await ledger.system_account(conn, "clearing", "sandbox", "PTS") == (
        await ledger.system_account(conn, "clearing", "sandbox", "PTS")
    )


async def test_an_operation_moves_money_once(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    move = Move(payer.wallet, payee.wallet, 30, "gift")
    first = await send(conn, "k", move)
    second = await send(conn, "k", move)
    assert first.first
    assert second == Operation(first.id, False, {"n": 1})
    assert await balance(conn, payer.wallet) == 70
    assert await balance(conn, payee.wallet) == 30


async def test_a_key_stands_for_one_request(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    await send(conn, "k", Move(payer.wallet, payee.wallet, 30, "gift"))
    with pytest.raises(IdempotencyMismatch):
        await send(conn, "k", Move(payer.wallet, payee.wallet, 31, "gift"))
    await send(conn, "h", Move(payer.wallet, payee.wallet, 1, "gift"), request_hash=b"one")
    again = await send(conn, "h", Move(payer.wallet, payee.wallet, 2, "gift"), request_hash=b"one")
    assert not again.first
    assert await balance(conn, payee.wallet) == 31


async def test_nothing_goes_below_its_floor_and_the_transaction_goes_on(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    await conn.execute(
        "update account set held = 40, version = version + 1 where id = $1", payer.wallet
    )
    with pytest.raises(InsufficientFunds) as refused:
        await send(conn, "k", Move(payer.wallet, payee.wallet, 61, "gift"))
    assert (refused.value.required_minor, refused.value.available_minor) == (61, 60)
    assert (await send(conn, "k", Move(payer.wallet, payee.wallet, 60, "gift"))).first


async def test_moves_through_one_account_are_summed(conn: Connection) -> None:
    payer, middle, payee = [await make_user(conn, money=money) for money in (50, 0, 0)]
    await send(
        conn,
        "k",
        Move(middle.wallet, payee.wallet, 50, "out"),
        Move(payer.wallet, middle.wallet, 50, "in"),
    )
    assert await balance(conn, middle.wallet) == 0
    assert await balance(conn, payee.wallet) == 50


async def test_impossible_moves_are_refused(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    foreign = await ledger.system_account(conn, "platform_fee", "x", "EUR")
    with pytest.raises(ValueError, match="1 or more"):
        await send(conn, "k", Move(payer.wallet, payee.wallet, 0, "gift"))
    with pytest.raises(ValueError, match="has moves"):
        await send(conn, "k")
    with pytest.raises(ValueError, match="currency"):
        await send(conn, "k", Move(payer.wallet, foreign, 1, "gift"))
    with pytest.raises(NotFound):
        await send(conn, "k", Move(payer.wallet, 999_999_999, 1, "gift"))
    assert await conn.fetchval("select count(*) from operation where key = 'k'") == 0


async def test_an_operation_is_reversed_once_and_exactly(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    done = await send(
        conn,
        "k",
        Move(payer.wallet, payee.wallet, 30, "gift"),
        Move(payer.wallet, payee.earnings, 20, "gift"),
    )
    undone = await ledger.reverse(conn, "r", done.id, "a mistake")
    assert undone.first
    assert not (await ledger.reverse(conn, "r", done.id, "a mistake")).first
    with pytest.raises(Conflict):
        await ledger.reverse(conn, "r2", done.id, "a mistake")
    with pytest.raises(Conflict):
        await ledger.reverse(conn, "r3", undone.id, "a mistake")
    with pytest.raises(NotFound):
        await ledger.reverse(conn, "r4", 999_999_999, "a mistake")
    assert await balance(conn, payer.wallet) == 100
    assert await balance(conn, payee.wallet) == await balance(conn, payee.earnings) == 0


async def test_many_operations_are_reversed_at_once_or_none_is(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    done = [
        await send(
            conn,
            f"k{n}",
            Move(payer.wallet, payee.wallet, n, "gift"),
            Move(payer.wallet, payee.earnings, 1, "gift"),
        )
        for n in range(1, 5)
    ]
    keys = {each.id: f"r{each.id}" for each in done}
    single = await ledger.reverse(conn, "single", done[0].id, "a mistake")
    for wrong in (keys, {single.id: "again"}, {999_999_999: "nothing"}):
        with pytest.raises(Conflict):
            await ledger.reverse_all(conn, wrong, "a mistake")
    assert await balance(conn, payee.wallet) == 2 + 3 + 4

    del keys[done[0].id]
    await ledger.reverse_all(conn, keys, "a mistake")

    assert await balance(conn, payer.wallet) == 100
    assert await balance(conn, payee.wallet) == await balance(conn, payee.earnings) == 0
    assert not (await ledger.reverse(conn, keys[done[1].id], done[1].id, "a mistake")).first


async def test_money_that_is_gone_cannot_be_taken_back(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    done = await send(conn, "k", Move(payer.wallet, payee.wallet, 30, "gift"))
    await send(conn, "l", Move(payee.wallet, payer.wallet, 1, "gift"))
    with pytest.raises(InsufficientFunds):
        await ledger.reverse(conn, "r", done.id, "a mistake")


async def test_the_same_key_from_many_sides_moves_money_once(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        payer, payee = await make_user(conn, money=100), await make_user(conn)

    async def one() -> Operation:
        async with pool.acquire() as conn, conn.transaction():
            return await send(conn, "k", Move(payer.wallet, payee.wallet, 10, "gift"))

    results = await asyncio.gather(*(one() for _ in range(20)))
    assert sum(result.first for result in results) == 1
    async with pool.acquire() as conn:
        assert await balance(conn, payee.wallet) == 10


async def test_history_cannot_be_changed(conn: Connection) -> None:
    payer, payee = await make_user(conn, money=100), await make_user(conn)
    await send(conn, "k", Move(payer.wallet, payee.wallet, 10, "gift"))
    for statement in (
        "update transfer set amount = 1",
        "delete from transfer",
        "truncate transfer",
        "update operation set key = 'x'",
        "delete from operation",
        "delete from account",
        "update account set posted = posted + 1",
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with conn.transaction():
                await conn.execute(statement)


async def test_an_account_is_of_a_known_kind_and_currency_and_owned_as_its_kind_is(
    conn: Connection,
) -> None:
    user = await make_user(conn)
    for kind, owner, currency in (
        ("pocket", user.id, "PTS"),
        ("primary", user.id, "points"),
        ("primary", None, "PTS"),
        ("promo", user.id, "PTS"),
    ):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with conn.transaction():
                await conn.execute(
                    "insert into account (kind, owner, currency, label) values ($1, $2, $3, 'x')",
                    kind,
                    owner,
                    currency,
                )


async def test_partitions_are_made_ahead_once(pool: Pool) -> None:
    async with pool.acquire() as conn:
        made = await ledger.ensure_partitions(conn)
        assert len(made) == 3
        assert await ledger.ensure_partitions(conn) == []
        await make_user(conn, money=1)
        assert await conn.fetchval("select tableoid::regclass::text from transfer") == made[0]


async def test_a_month_that_began_in_the_default_partition_stays_there(pool: Pool) -> None:
    async with pool.acquire() as conn:
        await make_user(conn, money=1)
        assert len(await ledger.ensure_partitions(conn)) == 2
        await make_user(conn, money=1)
        assert await conn.fetchval("select count(*) from transfer_other") == 2


class LedgerMachine(RuleBasedStateMachine):
    """The ledger beside a dictionary: whatever is asked, both answer the same."""

    loop: asyncio.AbstractEventLoop
    conn: Connection
    keys = Bundle("keys")
    operations = Bundle("operations")

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.transaction = self.conn.transaction()
        self.run(self.transaction.start())
        promo = self.run(ledger.system_account(self.conn, "promo", "", "PTS"))
        users = [self.run(make_user(self.conn)) for _ in range(2)]
        self.accounts = [promo, *(account for u in users for account in (u.wallet, u.earnings))]
        self.model = dict.fromkeys(self.accounts, 0)
        self.floor = dict.fromkeys(self.accounts, 0) | {promo: ledger.BOTTOMLESS}
        self.serial = 0

    def teardown(self) -> None:
        if hasattr(self, "transaction"):
            self.run(self.transaction.rollback())

    def moves_of(self, wanted: list[tuple[int, int, int]]) -> list[Move]:
        return [
            Move(self.accounts[sender], self.accounts[(sender + step) % 5], amount, "move")
            for sender, step, amount in wanted
        ]

    def applied(self, moves: list[Move]) -> dict[int, int] | None:
        """The model after the moves, None if they take an account below its floor."""
        after = dict(self.model)
        for move in moves:
            after[move.from_account] -= move.amount_minor
            after[move.to_account] += move.amount_minor
        paying = [a for a in after if after[a] < self.model[a]]
        return None if any(after[a] < self.floor[a] for a in paying) else after

    @rule(
        target=keys,
        wanted=st.lists(
            st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(1, 50)),
            min_size=1,
            max_size=3,
        ),
    )
    def post(self, wanted: list[tuple[int, int, int]]) -> tuple[str, list[Move], int | None]:
        self.serial += 1
        key, moves = f"key {self.serial}", self.moves_of(wanted)
        after = self.applied(moves)
        if after is None:
            with pytest.raises(InsufficientFunds):
                self.run(send(self.conn, key, *moves))
            return key, moves, None
        done = self.run(send(self.conn, key, *moves))
        assert done.first
        self.model = after
        return key, moves, done.id

    @rule(posted=keys)
    def replay(self, posted: tuple[str, list[Move], int | None]) -> None:
        key, moves, operation = posted
        if operation is not None:
            assert self.run(send(self.conn, key, *moves)) == Operation(operation, False, {"n": 1})

    @rule(posted=keys)
    def misuse(self, posted: tuple[str, list[Move], int | None]) -> None:
        key, moves, operation = posted
        if operation is not None:
            with pytest.raises(IdempotencyMismatch):
                self.run(send(self.conn, key, *moves, moves[0]))

    @rule(target=operations, posted=consumes(keys))
    def reverse(self, posted: tuple[str, list[Move], int | None]) -> int | None:
        _, moves, operation = posted
        if operation is None:
            return None
        mirrored = [Move(m.to_account, m.from_account, m.amount_minor, "x") for m in moves]
        after = self.applied(mirrored)
        undo = ledger.reverse(self.conn, f"undo {operation}", operation, "test")
        if after is None:
            with pytest.raises(InsufficientFunds):
                self.run(undo)
            return None
        assert self.run(undo).first
        self.model = after
        return operation

    @rule(operation=operations)
    def reverse_again(self, operation: int | None) -> None:
        if operation is not None:
            again = ledger.reverse(self.conn, f"undo {operation}", operation, "test")
            assert not self.run(again).first
            with pytest.raises(Conflict):
                self.run(ledger.reverse(self.conn, "another key", operation, "test"))

    @invariant()
    def agrees(self) -> None:
        if not hasattr(self, "model"):
            return
        rows = self.run(
            self.conn.fetch(
                "select id, posted from account where id = any ($1::bigint[])", self.accounts
            )
        )
        assert {row["id"]: row["posted"] for row in rows} == self.model
        assert sum(self.model.values()) == 0


def test_the_ledger_behaves_like_a_dictionary(shared_dsn: str) -> None:
    with asyncio.Runner() as runner:
        LedgerMachine.loop = runner.get_loop()
        LedgerMachine.conn = runner.run(connect(shared_dsn, application_name="tests"))
        try:
            run_state_machine_as_test(
                LedgerMachine,
                settings=settings(
                    max_examples=100,
                    stateful_step_count=30,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            runner.run(LedgerMachine.conn.close())


async def test_an_operation_is_found_by_its_key(conn: Connection) -> None:
    user = await make_user(conn)
    promo = await ledger.system_account(conn, "promo", "", "PTS")
    move = ledger.Move(promo, user.wallet, 1, "grant")

    posted = await ledger.post(conn, key="a-key", kind="grant", moves=[move])

    assert await ledger.find_operation(conn, "a-key") == posted.id
    assert await ledger.find_operation(conn, "b-key") is None


async def test_what_is_kept_for_others_cannot_go_below_zero(conn: Connection) -> None:
    user = await make_user(conn)
    escrow = await ledger.system_account(conn, "clearing", f"{ledger.ESCROW_PREFIX}x", "PTS")
    move = ledger.Move(escrow, user.wallet, 1, "grant")

    with pytest.raises(InsufficientFunds):
        await ledger.post(conn, key="a-key", kind="grant", moves=[move])
