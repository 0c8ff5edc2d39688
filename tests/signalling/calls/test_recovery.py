"""Calls that a dead server left behind: what they come to, and that they are settled once."""

import asyncio
import logging
from dataclasses import dataclass
from uuid import UUID

import msgspec
import pytest
from msgspec.structs import replace

from signalling.calls.recovery import closing, tell
from signalling.core.tariff import Tariff, minute, second, share
from storage import nodes
from storage.combiner import Combiner
from storage.nodes import Orphan
from storage.pool import Connection, Pool
from storage.works import Authorise, Authorised, Charged, Outcome, Settled
from tests.storage.world import (
    NOW_MS,
    World,
    charge_of,
    check_books,
    make_world,
    read_account,
    settle_of,
)

MINUTE = minute(120)
START = 1_700_000_000_000


def orphan(
    *,
    tariff: Tariff = MINUTE,
    running: bool = True,
    billable_ms: int = 0,
    asof: int = 0,
    beat: int = 0,
    charged: int = 0,
    hold: int = 0,
    connected: int | None = 0,
    payee: int | None = 2,
) -> Orphan:
    """A call requested at START; `asof`, `beat` and `connected` are ms after that."""
    return Orphan(
        call_id=UUID(int=7),
        caller_id=UUID(int=1),
        callee_id=UUID(int=2),
        caller_name="Ann",
        caller_avatar=None,
        callee_name="Kai",
        callee_avatar=None,
        caller_device="phone",
        callee_device="desk",
        request_id=None,
        kind="audio",
        connect_on="media",
        state="connected",
        note=None,
        tariff=msgspec.json.encode(tariff),
        created_ms=START,
        ringing_ms=None,
        accepted_ms=None,
        connected_ms=None if connected is None else START + connected,
        epoch=1,
        beat_ms=START + beat,
        silent_ms=60_000,
        claim=1,
        payer=1,
        bonus=4,
        payee=payee,
        platform=3,
        billable_ms=billable_ms,
        asof_ms=START + asof,
        running=running,
        charged_minor=charged,
        earned_minor=0,
        hold_minor=hold,
        available_minor=0,
    )


@dataclass(frozen=True)
class Case:
    left: Orphan
    billable_ms: int
    target: int
    units: int


TABLE = {
    "never connected": Case(orphan(running=False, connected=None, hold=120, beat=9_000), 0, 0, 0),
    "one unit posted, the beat inside it": Case(
        orphan(billable_ms=1, asof=1, beat=30_000, charged=120, hold=120), 30_000, 120, 1
    ),
    "the beat exactly on the boundary": Case(
        orphan(billable_ms=1, asof=1, beat=60_000, charged=120, hold=120), 60_000, 120, 1
    ),
    "the beat one ms into the next unit, which is held": Case(
        orphan(billable_ms=1, asof=1, beat=60_001, charged=120, hold=120), 60_001, 240, 2
    ),
    "the beat beyond the funded end": Case(
        orphan(billable_ms=1, asof=1, beat=600_000, charged=120, hold=120), 120_000, 240, 2
    ),
    "nothing held beyond the posted unit": Case(
        orphan(billable_ms=1, asof=1, beat=600_000, charged=120), 60_000, 120, 1
    ),
    "paused": Case(
        orphan(running=False, billable_ms=45_000, asof=45_000, beat=90_000, charged=120, hold=120),
        45_000,
        120,
        1,
    ),
    "no beat since the last posting": Case(
        orphan(billable_ms=60_001, asof=60_001, beat=59_000, charged=240, hold=120),
        60_001,
        240,
        2,
    ),
    "more charged than the time would cost": Case(
        orphan(running=False, billable_ms=1_000, asof=1_000, beat=1_000, charged=240), 1_000, 240, 1
    ),
    "a free call": Case(orphan(tariff=minute(0), billable_ms=1, asof=1, beat=90_000), 90_000, 0, 2),
    "by the second": Case(
        orphan(tariff=second(60), billable_ms=1, asof=1, beat=7_400, charged=5, hold=30),
        7_400,
        8,
        8,
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_call_comes_to_what_is_proved_and_funded(name: str) -> None:
    case = TABLE[name]
    settle = closing(case.left)
    assert (settle.billable_ms, settle.target_minor, settle.units) == (
        case.billable_ms,
        case.target,
        case.units,
    )
    assert settle.talk_ms == settle.billable_ms
    assert settle.target_minor <= case.left.charged_minor + case.left.hold_minor
    assert settle.earned_minor == share(
        msgspec.json.decode(case.left.tariff, type=Tariff), case.target
    )
    assert (settle.reason, settle.ended_by) == ("server_error", "server")
    assert (settle.call_id, settle.payer, settle.platform) == (case.left.call_id, 1, 3)


def test_without_a_payee_nobody_earns() -> None:
    settle = closing(orphan(billable_ms=1, asof=1, beat=9_000, charged=120, payee=None))
    assert (settle.payee, settle.target_minor, settle.earned_minor) == (None, 120, 0)


def test_a_call_does_not_end_before_what_is_known_of_it() -> None:
    assert closing(orphan(beat=9_000, running=False)).ended_ms == START + 9_000
    assert closing(orphan(beat=-5_000, running=False, connected=None)).ended_ms == START
    late = closing(orphan(beat=-5_000, running=False, connected=4_000))
    assert late.ended_ms == START + 4_000


# -- on the real database, in two lives of one node


async def recover(conn: Connection, combiner: Combiner, epoch: int) -> list[Outcome]:
    """Adopt what nobody runs, and settle it."""
    outcomes = []
    for left in await nodes.adopt(conn, await nodes.orphaned(conn, epoch), epoch):
        outcomes.append(await combiner.do(closing(left)))
        tell(closing(left))
    return outcomes


async def begin(world: World) -> Authorise:
    """A call whose tariff is a real one; its caller has 1000, the hold included."""
    wish = world.authorise(await world.user(money=1_000), await world.user(provider=True))
    wish = replace(wish, tariff=msgspec.json.encode(MINUTE))
    assert isinstance(await world.combiner.do(wish), Authorised)
    return wish


@dataclass(frozen=True)
class Left:
    """What a dead server left: a call in each state."""

    asked: Authorise
    talking: Authorise
    paused: Authorise
    settled: Authorise


async def leave(pool: Pool) -> Left:
    async with make_world(pool) as world:
        left = Left(*[await begin(world) for _ in range(4)])
        for call in (left.talking, left.paused, left.settled):
            charge = charge_of(call, 1, connected_ms=NOW_MS)
            assert isinstance(await world.combiner.do(charge), Charged)
        stand = replace(
            charge_of(left.paused, 1), running=False, billable_ms=20_000, state="reconnecting"
        )
        assert isinstance(await world.combiner.do(stand), Charged)
        assert isinstance(await world.combiner.do(settle_of(left.settled, 1)), Settled)
    # The last beat: 70 s after the start, ten of them in the unit that was only held.
    await pool.execute("update node set fenced = true, beat_ms = $1", NOW_MS + 70_000)
    return left


async def test_every_call_left_behind_is_settled_and_nothing_stays_held(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "signalling")
    left = await leave(pool)
    async with make_world(pool) as world, pool.acquire() as conn:
        outcomes = await recover(conn, world.combiner, world.node.epoch)
        figures = sorted(
            (each.charged_minor, each.billable_ms, each.units)
            for each in outcomes
            if isinstance(each, Settled)
        )
        assert figures == [(0, 0, 0), (120, 20_000, 1), (240, 70_000, 2)]
        assert await recover(conn, world.combiner, world.node.epoch) == []
    lines = [record.__dict__ for record in caplog.records if record.message == "call ended"]
    assert {line["call_id"]: (line["units"], line["charged_minor"]) for line in lines} == {
        str(left.asked.call_id): (0, 0),
        str(left.paused.call_id): (1, 120),
        str(left.talking.call_id): (2, 240),
    }
    for call, spent in ((left.asked, 0), (left.talking, 240), (left.paused, 120)):
        assert await read_account(pool, call.payer) == (1_000 - spent, 0)
        row = await pool.fetchrow("select * from call where id = $1", call.call_id)
        assert row is not None
        assert (row["state"], row["reason"], row["ended_by"]) == (
            "ended",
            "server_error",
            "server",
        )
    reason = "select reason from call where id = $1"
    assert await pool.fetchval(reason, left.settled.call_id) == "hangup"
    assert await pool.fetchval("select count(*) from call_slot") == 0
    assert await pool.fetchval("select count(*) from meter where state = 'open'") == 0
    await check_books(pool)


async def test_two_nodes_that_recover_at_once_settle_each_call_once(pool: Pool) -> None:
    left = await leave(pool)
    async with (
        make_world(pool) as one,
        make_world(pool, name="second") as other,
        pool.acquire() as conn,
        pool.acquire() as another,
    ):
        found = await asyncio.gather(
            recover(conn, one.combiner, one.node.epoch),
            recover(another, other.combiner, other.node.epoch),
        )
    assert len(found[0]) + len(found[1]) == 3
    assert all(each.first for many in found for each in many if isinstance(each, Settled))
    assert await read_account(pool, left.talking.payer) == (760, 0)
    await check_books(pool)


async def test_calls_of_a_living_server_are_left_alone(pool: Pool) -> None:
    async with make_world(pool) as alive:
        call = await begin(alive)
        async with make_world(pool, name="second") as other, pool.acquire() as conn:
            assert await recover(conn, other.combiner, other.node.epoch) == []
        assert await read_account(pool, call.payer) == (1_000, 120)
        assert isinstance(await alive.combiner.do(charge_of(call, 1)), Charged)


async def test_a_dead_server_that_still_writes_is_turned_away(pool: Pool) -> None:
    async with make_world(pool) as old:
        call = await begin(old)
        await pool.execute("update node set fenced = true")
        async with make_world(pool) as new, pool.acquire() as conn:
            assert len(await recover(conn, new.combiner, new.node.epoch)) == 1
        outcome = await old.combiner.do(charge_of(call, 1))
        assert not isinstance(outcome, Charged)
    assert await read_account(pool, call.payer) == (1_000, 0)
    await check_books(pool)
