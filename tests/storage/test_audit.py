"""What operators did stays written."""

from __future__ import annotations

import asyncpg
import pytest

from storage import audit
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.world import make_user


async def test_a_line_says_who_did_what_to_whom_and_why(conn: Connection) -> None:
    admin, target = await make_user(conn), new_id()

    await audit.record(
        conn,
        actor=admin.id,
        action="payment_refund",
        target_type="payment",
        target_id=target,
        reason="paid twice",
        details={"amount": 5},
    )

    row = await conn.fetchrow("select * from audit_log where target_id = $1", target)
    assert row is not None
    assert (row["actor"], row["action"], row["target_type"]) == (
        admin.id,
        "payment_refund",
        "payment",
    )
    assert (row["reason"], row["details"]) == ("paid twice", {"amount": 5})


@pytest.mark.parametrize(
    "change",
    ["update audit_log set reason = ''", "delete from audit_log", "truncate audit_log"],
)
async def test_no_line_is_changed_or_removed(conn: Connection, change: str) -> None:
    admin = await make_user(conn)
    await audit.record(
        conn, actor=admin.id, action="a", target_type="b", target_id=new_id(), reason="c"
    )
    with pytest.raises(asyncpg.IntegrityConstraintViolationError, match="stays written"):
        await conn.execute(change)
