import asyncio
from uuid import UUID

import pytest

from storage.combiner import Combiner
from storage.errors import Fenced, Unavailable
from storage.ids import new_id
from storage.pool import Pool
from storage.works import (
    Authorise,
    Authorised,
    Charged,
    Failed,
    Known,
    Note,
    Noted,
    Outcome,
    Record,
    Recorded,
    Settled,
    Short,
    SlotTaken,
)
from tests.storage.combining import all_of, blocked_backends, until
from tests.storage.faults import Faults
from tests.storage.world import (
    NOW_MS,
    TARIFF,
    UNIT,
    World,
    charge_of,
    check_books,
    make_world,
    read_account,
    settle_of,
    table_sizes,
)


async def test_a_call_goes_through_from_hold_to_settlement(pool: Pool) -> None:
    async with make_world(pool) as world:
        caller, callee = await world.user(money=1_000), await world.user(provider=True)
        call = world.authorise(caller, callee)
        assert await world.combiner.do(call) == Authorised(880)
        assert await world.combiner.do(charge_of(call, 1, connected_ms=NOW_MS)) == Charged(
            120, 84, 120, 760
        )
        assert await world.combiner.do(charge_of(call, 2)) == Charged(240, 168, 120, 640)
        assert await world.combiner.do(settle_of(call, 2)) == Settled(
            True, 240, 168, 60_001, 2, 760
        )
        assert await read_account(pool, caller.wallet) == (760, 0)
        assert await read_account(pool, callee.earnings) == (168, 0)
        assert await read_account(pool, world.node.platform_account) == (72, 0)
        assert await table_sizes(pool) == (2, 4, 0)
        await check_books(pool)


async def test_each_slice_tells_its_time_and_size(pool: Pool) -> None:
    slices: list[tuple[float, int]] = []
    async with make_world(pool, on_slice=lambda *told: slices.append(told)) as world:
        await world.call()
    assert [works for _, works in slices if works] == [1]
    assert slices[0][1] == 0, "the first beat"
    assert all(0 < seconds < 10 for seconds, _ in slices)


async def test_what_waits_is_written_in_one_transaction(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool) as world:
        calls = [
            world.authorise(await world.user(money=500), await world.user(provider=True))
            for _ in range(20)
        ]
        before = faults.commits
        assert await all_of(world.combiner, *calls) == [Authorised(380)] * 20
        assert faults.commits == before + 1
        charged = await all_of(world.combiner, *(charge_of(call, 1) for call in calls))
        assert charged == [Charged(120, 84, 120, 260)] * 20
        assert faults.commits == before + 2
        await check_books(pool)


async def test_it_is_late_with_the_works_for_which_there_was_no_room(pool: Pool) -> None:
    faults, worlds, late_ms, now_ms = Faults(pool), list[World](), list[int](), [NOW_MS]

    def written(_seconds: float, _works: int) -> None:
        late_ms.extend(world.combiner.late_ms for world in worlds)

    async with make_world(
        pool, wrapped=faults.pool, slice_max=2, on_slice=written, clock=lambda: now_ms[0]
    ) as world:
        worlds.append(world)
        calls = [world.authorise(await world.user(), await world.user()) for _ in range(5)]
        late_ms.clear()
        faults.gate = asyncio.Event()
        outcomes = asyncio.create_task(all_of(world.combiner, *calls))
        await asyncio.wait_for(faults.at_gate.wait(), 5)
        now_ms[0] += 300
        faults.gate.set()
        await outcomes
        assert late_ms == [0, 300, 0], "the last slice had room"


async def test_the_works_of_a_call_keep_their_order(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = world.authorise(await world.user(money=500), await world.user())
        heard: list[str] = []

        def hear(outcome: Outcome) -> None:
            heard.append(type(outcome).__name__)

        world.combiner.put(call, hear)
        world.combiner.put(Note(call_id=call.call_id, state="ringing", ringing_ms=NOW_MS), hear)
        world.combiner.put(charge_of(call, 1), hear)
        outcome = await world.combiner.do(Note(call_id=call.call_id, state="reconnecting"))
        assert outcome == Noted()
        assert heard == ["Authorised", "Noted", "Charged"]
        row = await pool.fetchrow("select state, ringing_at from call")
        assert row is not None
        assert row["state"] == "reconnecting"
        assert row["ringing_at"].timestamp() * 1000 == NOW_MS


async def test_a_newer_charge_stands_for_those_that_wait(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 0, ahead=4))
        outcomes = await all_of(
            world.combiner,
            charge_of(call, 1, connected_ms=NOW_MS),
            charge_of(call, 2),
            charge_of(call, 3),
        )
        assert outcomes == [Charged(360, 252, 120, 520)] * 3
        assert await table_sizes(pool) == (1, 2, 2)
        assert await pool.fetchval("select state from call") == "connected"
        await check_books(pool)


async def test_a_settlement_stands_for_the_charges_and_notes_before_it(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        outcomes = await all_of(
            world.combiner,
            Note(call_id=call.call_id, state="ringing"),
            charge_of(call, 1),
            settle_of(call, 1),
        )
        assert outcomes == [
            Noted(),
            Charged(120, 84, 0, 880),
            Settled(True, 120, 84, 1, 1, 880),
        ]
        assert await table_sizes(pool) == (1, 2, 0)
        await check_books(pool)


async def test_a_second_settlement_is_told_the_first_one(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        await world.combiner.do(charge_of(call, 1))
        first, second = await all_of(world.combiner, settle_of(call, 2), settle_of(call, 1))
        assert first == Settled(True, 240, 168, 60_001, 2, 760)
        assert second == Settled(False, 240, 168, 60_001, 2, 760)
        late = await world.combiner.do(charge_of(call, 2))
        assert late == Charged(240, 168, 0, 760, True)
        await check_books(pool)


async def test_settling_what_never_was_finds_nothing(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = world.authorise(await world.user(money=500), await world.user())
        assert await world.combiner.do(settle_of(call, 0)) == Settled(False, 0, 0, 0, 0, 500, False)


async def test_two_calls_for_one_user_in_one_slice_are_judged_in_order(pool: Pool) -> None:
    async with make_world(pool) as world:
        callee = await world.user(provider=True)
        poor, rich = await world.user(money=10), await world.user(money=500)
        third = await world.user(money=500)
        wanted = [world.authorise(caller, callee) for caller in (poor, rich, third)]
        outcomes = await all_of(world.combiner, *wanted)
        assert outcomes == [
            Short(UNIT, 10),
            Authorised(380),
            SlotTaken(callee.id, wanted[1].call_id),
        ]
        # Both are taken: the caller hears of its own call first.
        back = world.authorise(rich, callee)
        assert await world.combiner.do(back) == SlotTaken(rich.id, wanted[1].call_id)
        await check_books(pool)


async def test_a_request_sent_again_is_known(pool: Pool) -> None:
    async with make_world(pool) as world:
        caller, callee = await world.user(money=500), await world.user()
        call = world.authorise(caller, callee, request_id="r1")
        same = world.authorise(caller, callee, request_id="r1")
        stolen = world.authorise(await world.user(money=500), callee, call_id=call.call_id)
        assert await all_of(world.combiner, call, same) == [
            Authorised(380),
            Known(call.call_id),
        ]
        assert await world.combiner.do(stolen) == Known(call.call_id)
        await world.combiner.do(settle_of(call, 0))
        assert await world.combiner.do(same) == Known(call.call_id)
        await check_books(pool)


async def test_two_nodes_racing_for_one_callee_leave_one_call(pool: Pool) -> None:
    faults = Faults(pool)
    async with (
        make_world(pool, wrapped=faults.pool) as here,
        make_world(pool, name="other") as there,
    ):
        callee = await here.user(provider=True)
        first = here.authorise(await here.user(money=500), callee)
        second = there.authorise(await here.user(money=500), callee)
        faults.gate = asyncio.Event()
        won = asyncio.create_task(here.combiner.do(first))
        await asyncio.wait_for(faults.at_gate.wait(), 5)
        lost = asyncio.create_task(there.combiner.do(second))
        await blocked_backends(pool, 1)
        faults.gate.set()
        assert await won == Authorised(380)
        assert await lost == SlotTaken(callee.id, first.call_id)
        assert await read_account(pool, second.payer) == (500, 0)
        assert await table_sizes(pool) == (0, 0, 2)
        await check_books(pool)


async def test_two_nodes_racing_all_over_give_everyone_at_most_one_call(pool: Pool) -> None:
    async with make_world(pool) as here, make_world(pool, name="other") as there:
        users = [await here.user(money=500) for _ in range(12)]
        tries: list[tuple[Combiner, Authorise]] = []
        for n, caller in enumerate(users):
            for step in (1, 2, 5):
                world = here if (n + step) % 2 else there
                callee = users[(n + step) % len(users)]
                tries.append((world.combiner, world.authorise(caller, callee)))
        outcomes = await asyncio.gather(*(combiner.do(call) for combiner, call in tries))
        won = [
            call
            for (_, call), outcome in zip(tries, outcomes, strict=True)
            if isinstance(outcome, Authorised)
        ]
        lost = [outcome for outcome in outcomes if not isinstance(outcome, Authorised)]
        busy: list[UUID] = [user for call in won for user in (call.caller_id, call.callee_id)]
        assert won
        assert len(set(busy)) == len(busy)
        assert all(isinstance(outcome, SlotTaken) for outcome in lost)
        assert await table_sizes(pool) == (0, 0, 2 * len(won))
        await check_books(pool)


async def test_money_for_37_units_sells_exactly_37(pool: Pool) -> None:
    async with make_world(pool) as world:
        first = await world.call(money=37 * UNIT + 50)
        await world.combiner.do(settle_of(first, 0))
        # One wallet, many meters: more than a user can have, so they are made by hand.
        ids = [new_id() for _ in range(200)]
        await pool.execute(
            "insert into call (id, caller_id, callee_id, kind, connect_on, state, caller_device, "
            "tariff, created_at) select i, caller_id, callee_id, kind, connect_on, 'connected', "
            "caller_device, tariff, created_at from call, unnest($1::uuid[]) i",
            ids,
        )
        await pool.execute(
            "insert into meter (call_id, owner_epoch, payer, payee, platform, asof_ms) "
            "select i, owner_epoch, payer, payee, platform, asof_ms from meter, "
            "unnest($1::uuid[]) i",
            ids,
        )
        calls = [
            Authorise(
                **{
                    **{name: getattr(first, name) for name in Authorise.__struct_fields__},
                    "call_id": call_id,
                }
            )
            for call_id in ids
        ]
        held = await all_of(world.combiner, *(charge_of(call, 0) for call in calls))
        sold = await all_of(world.combiner, *(charge_of(call, 1) for call in calls))
        assert sum(isinstance(o, Charged) and o.hold_minor == UNIT for o in held) == 37
        assert sum(isinstance(o, Charged) and not o.refused for o in sold) == 37
        assert await read_account(pool, first.payer) == (50, 0)


async def test_records_are_stored_once(pool: Pool) -> None:
    async with make_world(pool) as world:
        caller, callee = await world.user(), await world.user()
        record = Record(
            call_id=new_id(),
            caller_id=caller.id,
            callee_id=callee.id,
            caller_device="phone",
            request_id="r",
            kind="video",
            connect_on="media",
            note="hello",
            tariff=TARIFF,
            reason="busy",
            ended_by="server",
            created_ms=NOW_MS,
        )
        assert await all_of(world.combiner, record, record) == [Recorded()] * 2
        assert await pool.fetchval("select count(*) from call where state = 'ended'") == 1
        await check_books(pool)


async def test_stopping_writes_what_waits(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()
        waiting = asyncio.create_task(world.combiner.do(charge_of(call, 1)))
        await asyncio.sleep(0)
        await world.combiner.stop()
        assert await waiting == Charged(120, 84, 120, 760)
        late = await world.combiner.do(charge_of(call, 2))
        assert isinstance(late, Failed)
        assert isinstance(late.error, Unavailable)


async def test_stopping_without_a_database_gives_up(pool: Pool) -> None:
    faults = Faults(pool)
    async with make_world(pool, wrapped=faults.pool) as world:
        call = await world.call()
        faults.refuse = True
        faults.lose_commits = 1
        waiting = asyncio.create_task(world.combiner.do(charge_of(call, 1)))
        await asyncio.sleep(0)
        await world.combiner.stop(timeout_s=0.2)
        outcome = await waiting
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, Unavailable)


async def test_starting_without_the_epoch_is_refused(pool: Pool) -> None:
    combiner = Combiner(pool, epoch=12_345, clock=lambda: NOW_MS)
    with pytest.raises(Fenced):
        await combiner.start()
    await combiner.stop()


async def test_starting_without_a_database_is_refused(pool: Pool) -> None:
    faults = Faults(pool)
    faults.refuse = True
    combiner = Combiner(faults.pool, epoch=1, clock=lambda: NOW_MS)
    with pytest.raises(Unavailable):
        await combiner.start()


async def test_a_callback_that_fails_harms_nobody_else(pool: Pool) -> None:
    async with make_world(pool) as world:
        call = await world.call()

        def fail(_outcome: Outcome) -> None:
            raise RuntimeError("a callback of the test")

        world.combiner.put(charge_of(call, 1), fail)
        await until(lambda: world.combiner.waiting == 0)
        assert await world.combiner.do(charge_of(call, 2)) == Charged(240, 168, 120, 640)
