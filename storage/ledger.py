"""Double entry: accounts, and the operations that are the only way to move money between them.

Amounts are minor units. Calls post through `storage/meters.py`, by the same rules, in batches.
"""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg
import msgspec
import orjson

from storage.errors import Conflict, IdempotencyMismatch, InsufficientFunds, NotFound
from storage.pool import Connection
from storage.pool import Record as Row

USER_KINDS = ("call_credits", "primary", "earnings_pending", "earnings_available")
BOTTOMLESS = -(2**62)
# How far a system account may go below zero: money comes from outside through the first three.
SYSTEM_FLOORS = {
    "clearing": BOTTOMLESS,
    "promo": BOTTOMLESS,
    "loss": BOTTOMLESS,
    "platform_fee": 0,
    "breakage": 0,
}
# Others' money in a clearing account of the house: unlike a gateway's, there is an end to it.
ESCROW_PREFIX = "escrow:"
PARTITIONS_AHEAD = 3
PARTITION_LOCK = 0x54504152


class Move(msgspec.Struct, frozen=True):
    """One transfer to be made. `amount_minor` is above 0; `code` says what it is for."""

    from_account: int
    to_account: int
    amount_minor: int
    code: str


class Operation(msgspec.Struct, frozen=True):
    """`first` is False when the key had been used before; `result` is what was stored then."""

    id: int
    first: bool
    result: Any


class Locked(NamedTuple):
    """An account as it stays until the transaction ends. `version` counts its postings and holds;
    `free_minor` is what is posted and not held."""

    free_minor: int
    version: int


async def open_accounts(
    conn: Connection, user_id: UUID, currency: str, kinds: Sequence[str] = USER_KINDS
) -> dict[str, int]:
    """The accounts of a user by kind; those of `kinds` are made if missing."""
    await conn.execute(
        "insert into account (kind, owner, currency) select k, $2, $3 from unnest($1::text[]) k "
        "on conflict do nothing",
        kinds,
        user_id,
        currency,
    )
    rows = await conn.fetch(
        "select kind, id from account where owner = $1 and currency = $2 and label = ''",
        user_id,
        currency,
    )
    return {row["kind"]: row["id"] for row in rows}


async def system_account(conn: Connection, kind: str, label: str, currency: str) -> int:
    """The id of an account of the house, made if missing.

    `label` names the gateway or node, or, after ESCROW_PREFIX, what the money is kept for.
    """
    find = (
        "select id from account where kind = $1 and owner is null and label = $2 and currency = $3"
    )
    found: int | None = await conn.fetchval(find, kind, label, currency)
    if found is not None:
        return found
    await conn.execute(
        "insert into account (kind, label, currency, floor) values ($1, $2, $3, $4) "
        "on conflict do nothing",
        kind,
        label,
        currency,
        0 if label.startswith(ESCROW_PREFIX) else SYSTEM_FLOORS[kind],
    )
    made: int = await conn.fetchval(find, kind, label, currency)
    return made


async def post(
    conn: Connection,
    *,
    key: str,
    kind: str,
    moves: Sequence[Move],
    ref: UUID | None = None,
    request_hash: bytes | None = None,
    result: Any = None,
) -> Operation:
    """Move money, once, however often the same `key` is sent. Part of the caller's transaction.

    `result` is any JSON value to be told again when the key is. `request_hash` stands for what was
    asked; without one, kind, ref and moves do. If it raises, nothing of it is left.

    Raises:
        InsufficientFunds: an account would go below its floor; it names the missing sum.
        IdempotencyMismatch: the key belongs to something else.
        NotFound: no such account.
        ValueError: no moves, an amount below 1, or two currencies in one move.
    """
    digest = request_hash if request_hash is not None else _digest(kind, ref, moves)
    return await _post(conn, key, kind, ref, digest, moves, result, None)


async def find_operation(conn: Connection, key: str) -> int | None:
    """The operation that was posted under this key."""
    found: int | None = await conn.fetchval("select id from operation where key = $1", key)
    return found


async def keys_of(conn: Connection, operations: Collection[int]) -> dict[int, str]:
    """The keys of operations by their ids."""
    rows = await conn.fetch(
        "select id, key from operation where id = any ($1::bigint[])", list(operations)
    )
    return {row["id"]: row["key"] for row in rows}


async def reverse(conn: Connection, key: str, operation_id: int, reason: str) -> Operation:
    """Undo an operation exactly, once, by its mirror image. Part of the caller's transaction.

    Raises:
        NotFound: no such operation. Conflict: it was reversed before, or is a reversal itself.
        IdempotencyMismatch, InsufficientFunds: see `post`.
    """
    undone = await conn.fetchrow(
        "select ref, reverses, (select r.key from operation r where r.reverses = o.id) as by "
        "from operation o where o.id = $1",
        operation_id,
    )
    if undone is None:
        raise NotFound("no such operation")
    if undone["reverses"] is not None:
        raise Conflict("a reversal cannot be reversed; post the operation again")
    if undone["by"] not in (None, key):
        raise Conflict("the operation was reversed before")
    rows = await conn.fetch(
        "select from_account, to_account, amount from transfer where operation = $1 order by seq",
        operation_id,
    )
    moves = [
        Move(row["to_account"], row["from_account"], row["amount"], "reversal") for row in rows
    ]
    digest = _reversal_digest(operation_id, reason)
    try:
        return await _post(
            conn, key, "adjustment", undone["ref"], digest, moves, {"reason": reason}, operation_id
        )
    except asyncpg.UniqueViolationError as error:
        raise Conflict("the operation was reversed before") from error


async def reverse_all(conn: Connection, keys: Mapping[int, str], reason: str) -> None:
    """As `reverse`, for many operations at once; `keys` has the key of each one's reversal.

    However many there are, the accounts are locked for a few statements only.

    Raises:
        Conflict: one of them was reversed before, is a reversal itself, or does not exist.
        InsufficientFunds: see `post`.
    """
    async with conn.transaction():
        try:
            made = await conn.fetch(
                "insert into operation (key, request_hash, kind, ref, reverses, result) "
                "select w.key, w.digest, 'adjustment', o.ref, o.id, $4 "
                "from unnest($1::bigint[], $2::text[], $3::bytea[]) as w(id, key, digest) "
                "join operation o on o.id = w.id and o.reverses is null "
                "order by o.id returning id, reverses",
                list(keys),
                list(keys.values()),
                [_reversal_digest(operation_id, reason) for operation_id in keys],
                {"reason": reason},
            )
        except asyncpg.UniqueViolationError as error:
            raise Conflict("an operation was reversed before") from error
        if len(made) < len(keys):
            raise Conflict("a reversal cannot be reversed; post the operation again")
        reversal = {row["reverses"]: row["id"] for row in made}
        moves_of: dict[int, list[Move]] = {row["id"]: [] for row in made}
        rows = await conn.fetch(
            "select operation, from_account, to_account, amount from transfer "
            "where operation = any ($1::bigint[]) order by operation, seq",
            list(keys),
        )
        for row in rows:
            mirrored = Move(row["to_account"], row["from_account"], row["amount"], "reversal")
            moves_of[reversal[row["operation"]]].append(mirrored)
        await _move(conn, moves_of)


def _reversal_digest(operation_id: int, reason: str) -> bytes:
    return hashlib.sha256(f"reverse:{operation_id}:{reason}".encode()).digest()


def _digest(kind: str, ref: UUID | None, moves: Sequence[Move]) -> bytes:
    # As text: the driver's own kind of UUID is none for orjson.
    body = [kind, ref and str(ref), [msgspec.structs.astuple(move) for move in moves]]
    return hashlib.sha256(orjson.dumps(body)).digest()


async def _post(
    conn: Connection,
    key: str,
    kind: str,
    ref: UUID | None,
    digest: bytes,
    moves: Sequence[Move],
    result: Any,
    reverses: int | None,
) -> Operation:
    if not moves or any(move.amount_minor < 1 for move in moves):
        raise ValueError("an operation has moves, of 1 or more")
    # A savepoint: after a refusal the caller's transaction is as if nothing had been asked.
    async with conn.transaction():
        operation: int | None = await conn.fetchval(
            "insert into operation (key, request_hash, kind, ref, reverses, result) "
            "values ($1, $2, $3, $4, $5, $6) on conflict (key) do nothing returning id",
            key,
            digest,
            kind,
            ref,
            reverses,
            result,
        )
        if operation is None:
            return await _replayed(conn, key, digest)
        await _move(conn, {operation: moves})
    return Operation(operation, True, result)


async def lock(conn: Connection, accounts: Collection[int]) -> dict[int, Locked]:
    """Hold them until the transaction ends, in the order in which all operations take theirs."""
    rows = await conn.fetch(
        "select id, posted - held as free, version from account "
        "where id = any ($1::bigint[]) order by id for no key update",
        list(accounts),
    )
    return {row["id"]: Locked(row["free"], row["version"]) for row in rows}


async def _move(conn: Connection, moves_of: Mapping[int, Sequence[Move]]) -> None:
    """Make the moves of operations; each account changes once, by what all of them come to."""
    # Locking and judging first, changing in the next statement: one alone would judge the
    # rows as they were before the lock was got.
    moves = [move for own in moves_of.values() for move in own]
    deltas = _deltas(moves)
    rows = await conn.fetch(
        "select id, currency, posted - held - floor as free from account "
        "where id = any ($1::bigint[]) order by id for no key update",
        list(deltas),
    )
    _judge(rows, deltas, moves)
    transfers = [
        (operation, seq, *msgspec.structs.astuple(move))
        for operation, own in moves_of.items()
        for seq, move in enumerate(own, start=1)
    ]
    await conn.execute(
        "insert into transfer (operation, seq, from_account, to_account, amount, code) "
        "select * from unnest($1::bigint[], $2::smallint[], $3::bigint[], $4::bigint[], "
        "$5::bigint[], $6::text[])",
        *zip(*transfers, strict=True),
    )
    await conn.execute(
        "update account a set posted = posted + d.delta, version = version + 1 "
        "from unnest($1::bigint[], $2::bigint[]) as d(id, delta) where a.id = d.id",
        list(deltas),
        list(deltas.values()),
    )


async def _replayed(conn: Connection, key: str, digest: bytes) -> Operation:
    row = await conn.fetchrow("select id, request_hash, result from operation where key = $1", key)
    assert row is not None, "operations are never deleted"
    if row["request_hash"] != digest:
        raise IdempotencyMismatch("this key was used for another operation")
    return Operation(row["id"], False, row["result"])


def _deltas(moves: Sequence[Move]) -> Counter[int]:
    """What each account gains or loses over all moves."""
    deltas: Counter[int] = Counter()
    for move in moves:
        deltas[move.from_account] -= move.amount_minor
        deltas[move.to_account] += move.amount_minor
    return deltas


def _judge(rows: Sequence[Row], deltas: Counter[int], moves: Sequence[Move]) -> None:
    found = {row["id"]: row for row in rows}
    if len(found) < len(deltas):
        raise NotFound("no such account")
    for move in moves:
        if found[move.from_account]["currency"] != found[move.to_account]["currency"]:
            raise ValueError("a transfer has two accounts of one currency")
    for account, delta in deltas.items():
        free_minor = found[account]["free"]
        # What comes in is never refused, even where money is owed.
        if delta < 0 and free_minor + delta < 0:
            raise InsufficientFunds(required_minor=-delta, available_minor=free_minor)


async def ensure_partitions(conn: Connection) -> list[str]:
    """Make the partitions of this month and the next two; call at start and once a day.

    A month whose first transfers already went to the default partition keeps using that one.
    Returns the names of those that were made.
    """
    made: list[str] = []
    async with conn.transaction():
        await conn.execute("select pg_advisory_xact_lock($1)", PARTITION_LOCK)
        months = await conn.fetch(
            "select m::date as first, 'transfer_' || to_char(m, 'YYYY_MM') as name "
            "from generate_series(0, $1 - 1) n, "
            "lateral (select date_trunc('month', now()) + n * interval '1 month' as m) s "
            "where to_regclass('transfer_' || to_char(m, 'YYYY_MM')) is null",
            PARTITIONS_AHEAD,
        )
        for month in months:
            try:
                async with conn.transaction():
                    await conn.execute("select make_transfer_partition($1)", month["first"])
            except asyncpg.CheckViolationError:
                continue
            made.append(month["name"])
    return made
