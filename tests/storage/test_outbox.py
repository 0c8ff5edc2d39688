import asyncio

from storage import outbox
from storage.ids import new_id
from storage.pool import Pool


async def test_promises_come_out_in_the_order_they_were_made(pool: Pool) -> None:
    user_id = new_id()
    async with pool.acquire() as conn, conn.transaction():
        for n in range(5):
            await outbox.add(conn, topic="counted", user_id=user_id, body={"n": n})

    async with pool.acquire() as conn, conn.transaction():
        found = await outbox.take(conn, 3)

    assert [(each.topic, each.user_id, each.body) for each in found] == [
        ("counted", user_id, {"n": n}) for n in range(3)
    ]


async def test_a_promise_of_a_failed_transaction_was_never_made(pool: Pool) -> None:
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        await outbox.add(conn, topic="never", user_id=new_id(), body={})
        await transaction.rollback()

        async with conn.transaction():
            assert await outbox.take(conn, 10) == []


async def test_what_was_not_forgotten_is_taken_again(pool: Pool) -> None:
    async with pool.acquire() as conn:
        for n in range(2):
            await outbox.add(conn, topic="counted", user_id=new_id(), body={"n": n})
        async with conn.transaction():
            first, second = await outbox.take(conn, 10)
            await outbox.forget(conn, [first.id])

        async with conn.transaction():
            assert await outbox.take(conn, 10) == [second]


async def test_only_one_relay_takes_at_a_time(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as other:
        await outbox.add(one, topic="once", user_id=new_id(), body={})
        async with one.transaction():
            assert len(await outbox.take(one, 10)) == 1
            async with other.transaction():
                assert await asyncio.wait_for(outbox.take(other, 10), 2) == []
        async with other.transaction():
            assert len(await outbox.take(other, 10)) == 1


async def test_what_is_not_told_yet_is_counted(pool: Pool) -> None:
    async with pool.acquire() as conn:
        assert await outbox.count(conn) == 0
        for n in range(3):
            await outbox.add(conn, topic="counted", user_id=new_id(), body={"n": n})
        assert await outbox.count(conn) == 3
