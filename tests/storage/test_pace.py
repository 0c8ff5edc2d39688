"""What may wait a moment for others, and what never does."""

from __future__ import annotations

import asyncio

from storage.ids import new_id
from storage.pace import NOTE_WAIT_S, POSTING_GAP_S, Pace
from storage.pool import Pool
from storage.works import Authorised, Note, Settled
from tests.storage.combining import until
from tests.storage.world import charge_of, make_world, settle_of


async def test_the_first_posting_waits_for_nothing_and_the_next_for_the_gap(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        charge, settle = charge_of(call, 1), settle_of(call, 1)
        own = Pace()
        assert own.after_s(charge, 100.0) <= 100.0
        own.began([call, charge], 100.0)
        assert own.after_s(settle, 100.01) == 100.0 + POSTING_GAP_S
        assert own.after_s(call, 100.01) == 0.0, "a ring waits for its hold"
        own.began([call], 100.02)
        assert own.after_s(charge, 100.02) == 100.0 + POSTING_GAP_S
        note = Note(call_id=new_id(), state="ringing")
        assert own.after_s(note, 100.0) == 100.0 + NOTE_WAIT_S


async def test_postings_of_a_busy_time_are_written_together_and_rings_go_ahead(
    pool: Pool,
) -> None:
    slices: list[int] = []
    async with make_world(
        pool, posting_gap_s=0.5, on_slice=lambda _seconds, works: slices.append(works)
    ) as world:
        calls = [await world.call() for _ in range(3)]
        caller, callee = await world.user(money=500), await world.user()
        await world.combiner.do(charge_of(calls[0], 1))
        slices.clear()
        settled = asyncio.gather(*(world.combiner.do(settle_of(call, 0)) for call in calls[1:]))
        assert await world.combiner.do(world.authorise(caller, callee)) == Authorised(380)
        assert not settled.done()
        assert [type(outcome) for outcome in await settled] == [Settled, Settled]
        assert [works for works in slices if works] == [1, 2]


async def test_who_stops_waits_for_no_gap(pool: Pool) -> None:
    async with make_world(pool, posting_gap_s=3_600.0) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1))
        late = asyncio.create_task(world.combiner.do(settle_of(call, 1)))
        await until(lambda: world.combiner.waiting == 1)
        await world.combiner.stop()
        assert isinstance(await late, Settled)


async def test_where_more_waits_than_a_slice_holds_nothing_waits_longer(pool: Pool) -> None:
    """Or the gap would be the limit of how many units are posted."""
    async with make_world(pool, slice_max=2, posting_gap_s=3_600.0) as world:
        calls = [await world.call() for _ in range(4)]
        await world.combiner.do(charge_of(calls[0], 1))
        waits = [asyncio.create_task(world.combiner.do(settle_of(call, 0))) for call in calls[1:3]]
        await until(lambda: world.combiner.waiting == 2)
        assert isinstance(await world.combiner.do(settle_of(calls[3], 0)), Settled)
        assert [each.done() for each in waits] == [False, False]
        await world.combiner.stop()
        assert [type(await each) for each in waits] == [Settled, Settled]
