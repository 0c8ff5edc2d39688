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


async def test_lines_are_found_by_all_that_is_given(conn: Connection) -> None:
    one, two, target = await make_user(conn), await make_user(conn), new_id()
    for actor, did in ((one, "a"), (two, "a"), (two, "b")):
        await audit.record(
            conn, actor=actor.id, action=did, target_type="t", target_id=target, reason="c"
        )
    for actor_id, action, found in (
        (None, None, [(two.id, "b"), (two.id, "a"), (one.id, "a")]),
        (two.id, None, [(two.id, "b"), (two.id, "a")]),
        (two.id, "a", [(two.id, "a")]),
        (one.id, "b", []),
    ):
        lines, total = await audit.search(
            conn, actor=actor_id, action=action, target_id=target, limit=10, offset=0
        )
        assert ([(line.actor, line.action) for line in lines], total) == (found, len(found))
    lines, total = await audit.search(conn, target_id=target, limit=1, offset=1)
    assert ([line.action for line in lines], total) == (["a"], 3)
    assert lines[0].actor_name.startswith("User")
