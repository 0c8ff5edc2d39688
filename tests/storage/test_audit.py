import asyncpg
import pytest

from storage import audit
from storage.ids import new_id
from storage.pool import Connection


async def test_what_was_done_is_written_down_for_good(conn: Connection) -> None:
    actor, target = new_id(), new_id()

    await audit.record(
        conn,
        actor=actor,
        action="call.refund",
        target_type="call",
        target_id=target,
        reason="no sound",
        details={"amount": 240},
    )

    row = await conn.fetchrow("select * from audit_log where target_id = $1", target)
    assert row is not None
    assert (row["actor"], row["action"], row["reason"]) == (actor, "call.refund", "no sound")
    assert row["details"] == {"amount": 240}
    for statement in ("update audit_log set reason = ''", "delete from audit_log"):
        with pytest.raises(asyncpg.IntegrityConstraintViolationError):
            async with conn.transaction():
                await conn.execute(statement)
