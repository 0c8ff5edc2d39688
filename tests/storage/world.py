"""People with money, and works of their calls, for the tests of storage."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

import msgspec

from storage import bonus, ledger, nodes
from storage.combiner import Combiner
from storage.ids import new_id
from storage.pool import Connection, Pool
from storage.terms import Ask
from storage.verify import verify
from storage.works import Authorise, Authorised, Charge, Record, Settle

UNIT = 120
MINUTE_MS = 60_000
TARIFF = b'{"name": "minute"}'
NOW_MS = 1_800_000_000_000
_serial = count(1)


class User(msgspec.Struct, frozen=True):
    id: UUID
    wallet: int
    earnings: int


async def make_user(conn: Connection, *, money: int = 0, provider: bool = False) -> User:
    """A user with accounts and `money` of call credits out of the promotion account."""
    user_id = new_id()
    number = next(_serial)
    await conn.execute(
        "insert into users (id, email, phone, name) values ($1, $2, $3, $4)",
        user_id,
        f"user{number}-{user_id}@example.org",
        f"+8190{number:08}",
        f"User {number}",
    )
    accounts = await ledger.open_accounts(conn, user_id, "PTS")
    if provider:
        await conn.execute(
            "insert into provider (user_id, display_name, price_audio_minor, price_video_minor, "
            "availability) values ($1, 'A provider', 120, 200, 'online')",
            user_id,
        )
    if money:
        await give(conn, accounts["call_credits"], money)
    return User(user_id, accounts["call_credits"], accounts["earnings_pending"])


async def give(conn: Connection, account: int, money: int) -> None:
    promo = await ledger.system_account(conn, "promo", "", "PTS")
    await ledger.post(
        conn,
        key=f"grant:{new_id()}",
        kind="grant",
        moves=[ledger.Move(promo, account, money, "grant")],
    )


async def give_bonus(conn: Connection, user_id: UUID, amount: int, *, days: float = 30) -> int:
    """A lot of bonus money with its operation, of today; returns the bonus account."""
    key = f"lot:{new_id()}"
    account = await bonus.open_lot(
        conn,
        user_id=user_id,
        currency="PTS",
        amount_minor=amount,
        expires_at=datetime.now(UTC) + timedelta(days=days),
        key=key,
    )
    promo = await ledger.system_account(conn, "promo", "", "PTS")
    move = ledger.Move(promo, account, amount, bonus.CODE)
    await ledger.post(conn, key=key, kind="bonus", moves=[move])
    return account


async def make_node(conn: Connection, name: str = "main") -> nodes.NodeClaim:
    """A new life of a node, its name not locked."""
    platform = await ledger.system_account(conn, "platform_fee", name, "PTS")
    epoch = await conn.fetchval(
        "insert into node (name, beat_ms) values ($1, 0) returning epoch", name
    )
    return nodes.NodeClaim(epoch, name, platform)


async def somebody_waits(conn: Connection) -> None:
    """Until another connection waits for a lock."""
    async with asyncio.timeout(10):
        while not await conn.fetchval("select exists (select from pg_locks where not granted)"):
            pass


class World(msgspec.Struct):
    """A node with a running combiner on a fresh database."""

    pool: Pool
    node: nodes.NodeClaim
    combiner: Combiner

    async def user(self, *, money: int = 0, provider: bool = False) -> User:
        async with self.pool.acquire() as conn, conn.transaction():
            return await make_user(conn, money=money, provider=provider)

    async def call(self, *, money: int = 1_000) -> Authorise:
        """An authorised call of two new users."""
        call = self.authorise(await self.user(money=money), await self.user(provider=True))
        assert isinstance(await self.combiner.do(call), Authorised)
        return call

    def authorise(
        self,
        caller: User,
        callee: User,
        *,
        hold: int = UNIT,
        call_id: UUID | None = None,
        request_id: str | None = None,
    ) -> Authorise:
        return Authorise(
            call_id=call_id or new_id(),
            caller_id=caller.id,
            callee_id=callee.id,
            caller_device="phone",
            request_id=request_id,
            kind="audio",
            connect_on="media",
            note=None,
            tariff=TARIFF,
            hold_minor=hold,
            payer=caller.wallet,
            payee=callee.earnings,
            platform=self.node.platform_account,
            created_ms=NOW_MS,
        )


def billable(units: int) -> int:
    """The shortest time that costs so many units."""
    return (units - 1) * MINUTE_MS + 1 if units else 0


def cost(_tariff: bytes, billable_ms: int) -> int:
    return UNIT * -(-billable_ms // MINUTE_MS)


def charge_of(
    call: Authorise, units: int, *, ahead: int = 1, connected_ms: int | None = None
) -> Charge:
    """Post the first `units` units, of which the payee earns 70 %, and hold `ahead` more."""
    return Charge(
        call_id=call.call_id,
        payer=call.payer,
        bonus=call.bonus,
        payee=call.payee,
        platform=call.platform,
        target_minor=units * UNIT,
        earned_minor=units * UNIT * 7 // 10,
        billable_ms=billable(units),
        asof_ms=call.created_ms + billable(units),
        running=True,
        cover_minor=(units + ahead) * UNIT,
        quantum_minor=UNIT,
        connected_ms=connected_ms,
        state="connected",
        units=units,
    )


def settle_of(call: Authorise, units: int, *, reason: str = "hangup") -> Settle:
    return Settle(
        call_id=call.call_id,
        payer=call.payer,
        bonus=call.bonus,
        payee=call.payee,
        platform=call.platform,
        target_minor=units * UNIT,
        earned_minor=units * UNIT * 7 // 10,
        billable_ms=billable(units),
        talk_ms=billable(units),
        units=units,
        reason=reason,
        ended_by="caller",
        ended_ms=call.created_ms + billable(units),
        connected_ms=call.created_ms if units else None,
    )


def ask_of(caller: User, callee: User | None, **changes: Any) -> Ask:
    given: dict[str, Any] = {
        "caller_id": caller.id,
        "callee_id": callee.id if callee else None,
        "callee_phone": None,
        "kind": "audio",
        "device": "phone",
        "request_id": None,
        "call_id": None,
        "now_ms": NOW_MS,
        "calls_max": 30,
    }
    return Ask(**given | changes)


def record_of(caller: User, callee: User, **changes: Any) -> Record:
    """A call that nobody answered."""
    given: dict[str, Any] = {
        "call_id": new_id(),
        "caller_id": caller.id,
        "callee_id": callee.id,
        "caller_device": "phone",
        "request_id": None,
        "kind": "audio",
        "connect_on": "media",
        "note": None,
        "tariff": TARIFF,
        "reason": "no_answer",
        "ended_by": "server",
        "created_ms": NOW_MS,
    }
    return Record(**given | changes)


@asynccontextmanager
async def make_world(
    pool: Pool,
    *,
    name: str = "main",
    wrapped: Pool | None = None,
    slice_max: int = 200,
    wait_max_ms: int = 4_000,
    posting_gap_s: float = 0.0,
    on_fenced: Callable[[], None] = lambda: None,
    on_slice: Callable[[float, int], None] = lambda _seconds, _works: None,
    clock: Callable[[], int] = lambda: NOW_MS,
) -> AsyncIterator[World]:
    """A node whose combiner uses `wrapped` if given, and stops in the end."""
    async with pool.acquire() as conn, conn.transaction():
        node = await make_node(conn, name)
    combiner = Combiner(
        wrapped or pool,
        epoch=node.epoch,
        clock=clock,
        slice_max=slice_max,
        wait_max_ms=wait_max_ms,
        posting_gap_s=posting_gap_s,
        on_fenced=on_fenced,
        on_slice=on_slice,
    )
    await combiner.start()
    try:
        yield World(pool, node, combiner)
    finally:
        await combiner.stop()


async def check_books(pool: Pool) -> None:
    """Every invariant of the ledger holds."""
    async with pool.acquire() as conn:
        checks = await verify(conn, cost)
    assert [(check.name, check.faults) for check in checks if check.faults] == []


async def read_account(pool: Pool, account: int) -> tuple[int, int]:
    """What is posted and what is held."""
    row = await pool.fetchrow("select posted, held from account where id = $1", account)
    assert row is not None
    return row["posted"], row["held"]


async def table_sizes(pool: Pool) -> tuple[int, ...]:
    """How many operations, transfers and slots there are."""
    row = await pool.fetchrow(
        "select (select count(*) from operation where kind = 'call_charge'), "
        "(select count(*) from transfer where code <> 'grant'), (select count(*) from call_slot)"
    )
    assert row is not None
    return tuple(row)
