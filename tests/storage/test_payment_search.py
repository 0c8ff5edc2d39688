"""Everybody's payments, by one or more of what is known of them."""

from __future__ import annotations

from typing import Any

from storage import payment_search
from storage.ids import new_id
from storage.pool import Connection
from tests.storage.paying import order, settle
from tests.storage.world import make_user


async def test_payments_are_found_by_all_that_is_given(conn: Connection) -> None:
    ann, bob = await make_user(conn), await make_user(conn)
    first, second = await order(conn, ann.id), await order(conn, bob.id)
    await settle(conn, first)
    wanted: list[tuple[dict[str, Any], set[object]]] = [
        ({"user_id": ann.id}, {first.id}),
        ({"user_id": bob.id, "status": "processing"}, {second.id}),
        ({"user_id": bob.id, "status": "completed"}, set()),
        ({"gateway": "sandbox", "status": "completed"}, {first.id}),
        ({"user_id": new_id()}, set()),
    ]
    for given, ids in wanted:
        found, total = await payment_search.search(conn, **given, limit=10, offset=0)
        assert ({each.id for each in found}, total) == (ids, len(ids)), given


async def test_a_page_beyond_the_last_one_knows_how_many_there_are(conn: Connection) -> None:
    ann = await make_user(conn)
    for _ in range(3):
        await order(conn, ann.id)
    pages = [
        await payment_search.search(conn, user_id=ann.id, limit=2, offset=offset)
        for offset in (0, 2, 4)
    ]
    assert [(len(found), total) for found, total in pages] == [(2, 3), (1, 3), (0, 3)]
    assert pages[0][0][0].user_name.startswith("User")
