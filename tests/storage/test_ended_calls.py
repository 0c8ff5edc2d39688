"""The queue of ended calls: filled by whatever ends a call, emptied by one taker for each."""

from __future__ import annotations

import asyncio
from uuid import UUID

from msgspec.structs import replace

from storage import calls, ended_calls
from storage.ended_calls import EndedCall
from storage.pool import Connection, Pool
from tests.storage.world import charge_of, make_user, make_world, record_of, settle_of


async def take_all(pool: Pool, limit: int = 100) -> list[EndedCall]:
    async with pool.acquire() as conn, conn.transaction():
        return await ended_calls.take(conn, limit)


async def test_a_settled_call_is_queued_once_however_often_it_is_settled(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1, connected_ms=call.created_ms))
        for _ in range(3):
            await world.combiner.do(replace(settle_of(call, 1), rev=7))
        [ended] = await take_all(pool)
        names = [ended.caller_name, ended.callee_name]
        assert all(name.startswith("User ") for name in names)
        assert ended == EndedCall(
            call_id=call.call_id,
            caller_id=call.caller_id,
            caller_name=names[0],
            callee_id=call.callee_id,
            callee_name=names[1],
            reason="hangup",
            ended_by="caller",
            rang=True,
            answered=False,
            connected=True,
            talk_ms=1,
            charged_minor=120,
            earned_minor=84,
            rev=7,
            kind="audio",
            currency="",  # The tariff of this world names none.
            units=1,
            created_ms=call.created_ms,
            accepted_ms=None,
            connected_ms=call.created_ms,
            ended_ms=call.created_ms + 1,
        )
        assert await take_all(pool) == []


async def test_a_settlement_that_is_refused_queues_nothing(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        await pool.execute("update meter set owner_epoch = owner_epoch + 1, claim = claim + 1")
        await world.combiner.do(settle_of(call, 0))
        assert await take_all(pool) == []


async def test_a_call_that_never_rang_is_queued_once_however_often_it_is_recorded(
    conn: Connection,
) -> None:
    record = record_of(await make_user(conn), await make_user(conn), reason="busy")
    for _ in range(2):
        await calls.record(conn, [record])
    [ended] = await ended_calls.take(conn, 10)
    assert (ended.call_id, ended.reason) == (record.call_id, "busy")
    assert (ended.rang, ended.answered, ended.connected) == (False, False, False)
    assert ended.rev == 0


async def test_a_call_whose_revision_nobody_knows_has_revision_0(pool: Pool) -> None:
    async with make_world(pool) as world:
        call, other = await world.call(), await world.call()
        await asyncio.gather(
            world.combiner.do(settle_of(call, 0)),
            world.combiner.do(replace(settle_of(other, 0), rev=4)),
        )
        taken = {each.call_id: each.rev for each in await take_all(pool)}
    assert taken == {call.call_id: 0, other.call_id: 4}


async def queue(pool: Pool, count: int) -> set[UUID]:
    async with pool.acquire() as conn, conn.transaction():
        one, other = await make_user(conn), await make_user(conn)
        records = [record_of(one, other) for _ in range(count)]
        await calls.record(conn, records)
    return {record.call_id for record in records}


async def test_takers_at_once_never_get_the_same_call(pool: Pool) -> None:
    queued = await queue(pool, 40)
    # All hold their transactions open until all have taken.
    met = asyncio.Barrier(4)

    async def taker() -> list[UUID]:
        async with pool.acquire() as conn, conn.transaction():
            taken = await ended_calls.take(conn, 10)
            await asyncio.wait_for(met.wait(), 10)
            return [call.call_id for call in taken]

    taken = [each for batch in await asyncio.gather(*(taker() for _ in range(4))) for each in batch]
    assert len(taken) == 40
    assert set(taken) == queued


async def test_what_a_failed_taker_took_is_there_again(pool: Pool) -> None:
    queued = await queue(pool, 3)
    async with pool.acquire() as conn:
        transaction = conn.transaction()
        await transaction.start()
        assert len(await ended_calls.take(conn, 10)) == 3
        await transaction.rollback()
    assert {call.call_id for call in await take_all(pool)} == queued
