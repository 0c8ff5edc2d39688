import asyncio
from uuid import UUID

import pytest

from storage import idempotency, nodes
from storage.errors import IdempotencyMismatch
from storage.idempotency import Claim, InProgress, Kept
from storage.pool import Connection, Pool
from tests.storage.world import make_user


async def begin(
    conn: Connection,
    user_id: UUID,
    *,
    key: str = "k",
    body: bytes = b"a",
    route: str = "POST /x",
    epoch: int | None = None,
) -> Claim | Kept:
    return await idempotency.claim(
        conn, user_id=user_id, route=route, key=key, body_hash=body, epoch=epoch
    )


async def age(conn: Connection, interval: str) -> None:
    await conn.execute(
        "update idempotency set created_at = created_at - $1::text::interval", interval
    )


async def test_the_kept_answer_comes_back(conn: Connection) -> None:
    user = await make_user(conn)
    claim = await begin(conn, user.id)
    assert isinstance(claim, Claim)
    assert await idempotency.keep(conn, claim, status=201, answer=b"{}")

    assert await begin(conn, user.id) == Kept(201, b"{}")


async def test_another_body_under_the_same_key_is_refused(conn: Connection) -> None:
    user = await make_user(conn)
    claim = await begin(conn, user.id)
    assert isinstance(claim, Claim)

    with pytest.raises(IdempotencyMismatch):
        await begin(conn, user.id, body=b"b")
    await idempotency.keep(conn, claim, status=201, answer=b"{}")
    with pytest.raises(IdempotencyMismatch):
        await begin(conn, user.id, body=b"b")


async def test_a_request_still_at_work_is_not_begun_twice(conn: Connection) -> None:
    user = await make_user(conn)
    await begin(conn, user.id)
    await age(conn, "59 seconds")

    with pytest.raises(InProgress):
        await begin(conn, user.id)


async def test_a_crashed_attempt_may_be_tried_again_after_a_minute(conn: Connection) -> None:
    user = await make_user(conn)
    crashed = await begin(conn, user.id)
    await age(conn, "61 seconds")

    again = await begin(conn, user.id)

    assert isinstance(crashed, Claim)
    assert isinstance(again, Claim)
    assert not await idempotency.keep(conn, crashed, status=500, answer=b"late")
    await idempotency.release(conn, crashed)
    assert await idempotency.keep(conn, again, status=201, answer=b"{}")


async def test_what_a_dead_node_was_answering_may_be_tried_again_at_once(conn: Connection) -> None:
    user = await make_user(conn)
    first = await nodes.claim_node(conn, "one", 0)
    crashed = await begin(conn, user.id, epoch=first.epoch)
    with pytest.raises(InProgress):
        await begin(conn, user.id)
    await conn.execute("update node set fenced = true where epoch = $1", first.epoch)

    with pytest.raises(IdempotencyMismatch):
        await begin(conn, user.id, body=b"b")
    again = await begin(conn, user.id, epoch=first.epoch + 1)
    with pytest.raises(InProgress):
        await begin(conn, user.id, epoch=first.epoch + 1)

    assert isinstance(crashed, Claim)
    assert isinstance(again, Claim)
    assert not await idempotency.keep(conn, crashed, status=201, answer=b"late")
    assert await idempotency.keep(conn, again, status=201, answer=b"{}")


async def test_a_crashed_attempt_with_another_body_stays_refused(conn: Connection) -> None:
    user = await make_user(conn)
    await begin(conn, user.id)
    await age(conn, "61 seconds")

    with pytest.raises(IdempotencyMismatch):
        await begin(conn, user.id, body=b"b")


async def test_keys_belong_to_one_account_and_one_route(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    await begin(conn, user.id)

    assert isinstance(await begin(conn, other.id), Claim)
    assert isinstance(await begin(conn, user.id, route="POST /y"), Claim)
    assert isinstance(await begin(conn, user.id, key="l"), Claim)


async def test_a_released_key_is_free_at_once(conn: Connection) -> None:
    user = await make_user(conn)
    claim = await begin(conn, user.id)
    assert isinstance(claim, Claim)
    await idempotency.release(conn, claim)

    assert isinstance(await begin(conn, user.id, body=b"b"), Claim)


async def test_a_kept_answer_is_not_released(conn: Connection) -> None:
    user = await make_user(conn)
    claim = await begin(conn, user.id)
    assert isinstance(claim, Claim)
    await idempotency.keep(conn, claim, status=201, answer=b"{}")
    await idempotency.release(conn, claim)

    assert await begin(conn, user.id) == Kept(201, b"{}")


async def test_answers_are_kept_for_a_day(conn: Connection) -> None:
    user = await make_user(conn)
    claim = await begin(conn, user.id)
    assert isinstance(claim, Claim)
    await idempotency.keep(conn, claim, status=201, answer=b"{}")
    await conn.execute("update idempotency set created_at = created_at - interval '23:59'")
    assert isinstance(await begin(conn, user.id), Kept)
    await conn.execute("update idempotency set created_at = created_at - interval '0:02'")

    assert isinstance(await begin(conn, user.id, body=b"b"), Claim)


async def test_the_sweep_forgets_old_answers_only(conn: Connection) -> None:
    user = await make_user(conn)
    for n in range(3):
        await begin(conn, user.id, key=f"old{n}")
    await age(conn, "25 hours")
    await begin(conn, user.id, key="young")

    assert await idempotency.sweep(conn, limit=2) == 2
    assert await idempotency.sweep(conn, limit=2) == 1
    assert await conn.fetchval("select string_agg(key, ',') from idempotency") == "young"


async def test_of_many_at_once_one_begins(pool: Pool) -> None:
    async with pool.acquire() as conn, conn.transaction():
        user = await make_user(conn)

    async def attempt() -> bool:
        async with pool.acquire() as conn:
            try:
                return isinstance(await begin(conn, user.id), Claim)
            except InProgress:
                return False

    won = await asyncio.gather(*(attempt() for _ in range(24)))

    assert sum(won) == 1
