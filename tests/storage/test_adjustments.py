"""Adjustments stay as they were asked for, and what is decided stays decided."""

from __future__ import annotations

from uuid import UUID

import asyncpg
import pytest

from storage import adjustments
from storage.adjustments import Adjustment
from storage.errors import Conflict, IdempotencyMismatch, InsufficientFunds, NotFound, Refusal
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.world import User, make_user


@pytest.fixture
async def admin(conn: Connection) -> User:
    return await make_user(conn)


@pytest.fixture
async def user(conn: Connection) -> User:
    return await make_user(conn, money=100)


async def ask(
    conn: Connection, admin: User, user: User, amount: int, adjustment_id: UUID | None = None
) -> Adjustment:
    return await adjustments.request(
        conn,
        adjustment_id=adjustment_id or new_id(),
        user_id=user.id,
        wallet="call_credits",
        amount_minor=amount,
        currency="PTS",
        reason="a test",
        operator=admin.id,
        alone_max_minor=50,
    )


async def posted(conn: Connection, user: User) -> int:
    found: int = await conn.fetchval("select posted from account where id = $1", user.wallet)
    return found


async def test_the_same_id_is_the_same_adjustment(
    conn: Connection, admin: User, user: User
) -> None:
    first = await ask(conn, admin, user, 50)
    assert await ask(conn, admin, user, 50, first.id) == first
    assert await posted(conn, user) == 150
    with pytest.raises(IdempotencyMismatch):
        await ask(conn, admin, user, 49, first.id)


async def test_what_the_wallet_does_not_have_leaves_the_adjustment_pending(
    conn: Connection, admin: User, user: User
) -> None:
    asked, other = await ask(conn, admin, user, -101), await make_user(conn)
    with pytest.raises(InsufficientFunds):
        async with conn.transaction():
            await adjustments.approve(conn, asked.id, operator=other.id, reason="yes")
    found, total = await adjustments.list_of(conn, "pending", limit=10, offset=0)
    assert ([each.id for each in found], total) == ([asked.id], 1)
    assert await adjustments.read(conn, asked.id) == asked


async def test_who_has_a_part_in_it_does_not_decide(
    conn: Connection, admin: User, user: User
) -> None:
    asked = await ask(conn, admin, user, 500)
    for operator, decide in (
        (admin, adjustments.approve),
        (user, adjustments.approve),
        (user, adjustments.reject),
    ):
        with pytest.raises(Refusal) as refused:
            await decide(conn, asked.id, operator=operator.id, reason="yes")
        assert refused.value.code == "self_approval"
    with pytest.raises(Refusal):
        await ask(conn, user, user, 1)


async def test_a_decision_is_for_good(conn: Connection, admin: User, user: User) -> None:
    other = await make_user(conn)
    asked = await ask(conn, admin, user, 500)
    await adjustments.approve(conn, asked.id, operator=other.id, reason="yes")
    assert await posted(conn, user) == 600
    for decide in (adjustments.approve, adjustments.reject):
        with pytest.raises(Conflict):
            await decide(conn, asked.id, operator=other.id, reason="no")
    with pytest.raises(NotFound):
        await adjustments.reject(conn, new_id(), operator=other.id, reason="no")


@pytest.mark.parametrize(
    "change",
    [
        "update adjustment set amount_minor = 1",
        "update adjustment set reason = '' where status = 'approved'",
        "delete from adjustment",
    ],
)
async def test_what_was_asked_for_is_not_changed_or_removed(
    conn: Connection, admin: User, user: User, change: str
) -> None:
    await ask(conn, admin, user, 500)
    await ask(conn, admin, user, 5)
    with pytest.raises(asyncpg.IntegrityConstraintViolationError):
        await conn.execute(change)
