"""Journals of calls in the database: one for each owner, once, and not for ever."""

from __future__ import annotations

from storage import call_journals
from storage.call_journals import Noted
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.world import make_node


async def test_each_owner_has_one_journal_which_stays(conn: Connection) -> None:
    one, two = await make_node(conn, "one"), await make_node(conn, "two")
    call_id, other = new_id(), new_id()
    await call_journals.add(conn, two.epoch, [Noted(call_id, 1, b"[2]", 0, 0)])
    await call_journals.add(
        conn, one.epoch, [Noted(call_id, 0, b"[1]", 4, 5), Noted(other, 0, b"[]", 0, 0)]
    )
    await call_journals.add(conn, one.epoch, [Noted(call_id, 0, b"[9]", 0, 0)])
    kept = await call_journals.of_call(conn, call_id)
    assert [(each.claim, each.node, each.entries) for each in kept] == [
        (0, "one", b"[1]"),
        (1, "two", b"[2]"),
    ]
    assert (kept[0].left_out, kept[0].reports) == (4, 5)
    assert await call_journals.of_call(conn, new_id()) == []


async def test_old_ones_are_swept_in_batches(conn: Connection) -> None:
    node = await make_node(conn)
    call_id = new_id()
    await call_journals.add(
        conn, node.epoch, [Noted(call_id, claim, b"[]", 0, 0) for claim in range(4)]
    )
    await conn.execute(
        "update call_journal set at = now() - interval '31 days' where call_id = $1 and claim < 3",
        call_id,
    )
    assert await call_journals.sweep(conn, days=30, limit=2) == 2
    assert await call_journals.sweep(conn, days=30, limit=2) == 1
    assert [each.claim for each in await call_journals.of_call(conn, call_id)] == [3]
