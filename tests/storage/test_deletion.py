"""What of an account goes and what stays, and that its money is accounted for."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest

from storage import (
    blocks,
    calls,
    credentials,
    deletion,
    devices,
    earnings,
    hours,
    ledger,
    otp,
    payouts,
    providers,
    users,
)
from storage.avatars import new_key
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.world import NOW_MS, give, make_user

TERMS = providers.Terms("Kai the Great", "about me", "minute", 120, 200, ["music"], ["late"])


async def delete(conn: Connection, user_id: UUID, *, forfeit: bool = False) -> list[UUID]:
    return await deletion.delete_account(conn, user_id, forfeit=forfeit, now_ms=NOW_MS)


async def open_session(conn: Connection, user_id: UUID) -> UUID:
    session_id = new_id()
    await credentials.open_session(
        conn,
        session_id=session_id,
        user_id=user_id,
        refresh_hash=session_id.bytes * 2,
        now_ms=NOW_MS,
        idle_ms=60_000,
        lifetime_ms=60_000,
    )
    return session_id


async def test_nothing_personal_is_left(conn: Connection) -> None:
    ann, bo = await make_user(conn), await make_user(conn)
    await users.update_profile(conn, ann.id, name="Ann", bio="I am Ann", gender="woman")
    await conn.execute(
        "update users set avatar_url = $2, birthday = '2000-02-29', "
        "roles = '{customer,companion,admin}' where id = $1",
        ann.id,
        f"/media/{new_key(ann.id)}",
    )
    await providers.save_provider(conn, ann.id, TERMS)
    await providers.set_availability(conn, ann.id, "online", "Call me, Ann")
    await credentials.set_password(conn, ann.id, "a hash")
    session = await open_session(conn, ann.id)
    await devices.register(
        conn,
        ann.id,
        session,
        devices.Wish(device_id="phone", platform="ios", provider="apns", target="token"),
    )
    await hours.replace_hours(conn, ann.id, [hours.Hours(1, 0, 60)])
    await otp.replace(
        conn,
        phone="+12025550123",
        purpose="attach",
        user_id=ann.id,
        tries=3,
        ttl_ms=60_000,
        now_ms=NOW_MS,
    )
    await conn.execute("insert into notification_settings (user_id) values ($1)", ann.id)
    await conn.execute(
        "insert into notification (id, user_id, type, message, source) "
        "values ($1, $2, 'X', 'Ann, hello', 'x')",
        new_id(),
        ann.id,
    )
    await blocks.block(conn, ann.id, bo.id)
    await blocks.block(conn, bo.id, ann.id)

    assert await delete(conn, ann.id) == [session]

    erased = (
        "credentials",
        "notification_settings",
        "notification",
        "block",
        "provider_hours",
        "otp",
        "push_device",
    )
    for table in erased:
        left = await conn.fetchval(f"select count(*) from {table} where user_id = $1", ann.id)
        assert left == 0, table
    assert await conn.fetchval("select count(*) from block where blocked_id = $1", ann.id) == 0
    left = await conn.fetchval("select count(*) from refresh_token where session_id = $1", session)
    assert left == 0
    rows = await conn.fetch(
        "select to_jsonb(u) || coalesce(to_jsonb(p), '{}') as row "
        "from users u left join provider p on p.user_id = u.id where u.id = $1",
        ann.id,
    )
    text = str(rows[0]["row"])
    assert "Ann" not in text
    assert "Kai" not in text
    assert "about me" not in text
    user = rows[0]["row"]
    gone = ("email", "phone", "avatar_url", "bio", "gender", "birthday", "status_message")
    assert {name: user[name] for name in gone} == dict.fromkeys(gone)
    assert (user["name"], user["status"], user["roles"]) == (
        deletion.NAME,
        "deleted",
        ["customer"],
    )
    assert user["availability"] == "offline"
    promised = await conn.fetchval("select convert_from(payload, 'utf8') from pgqueuer")
    assert promised.startswith(f'{{"key":"avatars/{ann.id}/')


async def test_the_other_side_keeps_its_history(conn: Connection) -> None:
    ann, kai = await make_user(conn), await make_user(conn)
    call_id = new_id()
    await conn.execute(
        """
        insert into call (id, caller_id, callee_id, kind, connect_on, state, reason, ended_by,
                          caller_device, tariff, created_at, ended_at)
        values ($1, $2, $3, 'audio', 'media', 'ended', 'hangup', 'caller', 'd', '{}', now(), now())
        """,
        call_id,
        ann.id,
        kai.id,
    )
    await delete(conn, ann.id)
    row = await calls.read_call(conn, kai.id, call_id)
    assert row is not None
    assert (row.caller.user_id, row.caller.name) == (ann.id, deletion.NAME)


async def test_deleting_again_does_nothing(conn: Connection) -> None:
    ann = await make_user(conn, money=10)
    await delete(conn, ann.id, forfeit=True)
    before = await conn.fetchval("select deleted_at from users where id = $1", ann.id)
    assert await delete(conn, ann.id) == []
    assert await delete(conn, new_id()) == []
    assert await conn.fetchval("select deleted_at from users where id = $1", ann.id) == before


async def test_forfeited_money_goes_to_the_house_by_one_operation(conn: Connection) -> None:
    ann = await make_user(conn, money=250)
    with pytest.raises(deletion.WalletNotEmpty) as refused:
        await delete(conn, ann.id)
    assert refused.value.details == {"balance": {"PTS": 250}}
    await delete(conn, ann.id, forfeit=True)
    house = await ledger.system_account(conn, "breakage", "", "PTS")
    posted = "select posted from account where id = $1"
    assert await conn.fetchval(posted, ann.wallet) == 0
    assert await conn.fetchval(posted, house) == 250
    moved = await conn.fetchrow("select key, kind, ref from operation order by id desc limit 1")
    assert tuple(moved or ()) == (f"forfeit:{ann.id}", "forfeit", ann.id)


@pytest.mark.parametrize("kind", [earnings.PENDING, earnings.AVAILABLE])
async def test_earnings_stand_in_the_way_even_of_who_forfeits(conn: Connection, kind: str) -> None:
    ann = await make_user(conn)
    account = (await ledger.open_accounts(conn, ann.id, "PTS"))[kind]
    await give(conn, account, 90)
    with pytest.raises(deletion.EarningsNotPaid) as refused:
        await delete(conn, ann.id, forfeit=True)
    assert refused.value.details == {"earnings": {"PTS": 90}}
    assert await conn.fetchval("select status from users where id = $1", ann.id) == "active"


@pytest.mark.parametrize("decided", [False, True])
async def test_a_payout_on_its_way_stands_in_the_way(conn: Connection, decided: bool) -> None:
    ann, ada = await make_user(conn), await make_user(conn)
    await give(conn, (await ledger.open_accounts(conn, ann.id, "PTS"))[earnings.AVAILABLE], 90)
    payout = await payouts.request(
        conn,
        payout_id=new_id(),
        user_id=ann.id,
        amount_minor=90,
        currency="PTS",
        destination="a bank",
        note=None,
    )
    if decided:
        await payouts.decide(conn, payout.id, "approve", operator=ada.id)
    with pytest.raises(deletion.EarningsNotPaid) as refused:
        await delete(conn, ann.id, forfeit=True)
    assert refused.value.details == {"earnings": {"PTS": 90}}
    if not decided:
        await payouts.decide(conn, payout.id, "approve", operator=ada.id)
    await payouts.decide(conn, payout.id, "pay", operator=ada.id, reference="T-1")
    await delete(conn, ann.id)


async def test_a_bonus_stays_where_its_lots_are(conn: Connection) -> None:
    ann = await make_user(conn)
    account = (await ledger.open_accounts(conn, ann.id, "PTS", ["bonus"]))["bonus"]
    await give(conn, account, 40)
    await delete(conn, ann.id)
    assert await conn.fetchval("select posted from account where id = $1", account) == 40


async def test_a_call_holds_the_account(conn: Connection) -> None:
    ann, bo = await make_user(conn, money=100), await make_user(conn)
    await conn.execute(
        "update account set held = 50, version = version + 1 where id = $1", ann.wallet
    )
    with pytest.raises(deletion.StillBusy):
        await delete(conn, ann.id, forfeit=True)
    await conn.execute("insert into call_slot (user_id, call_id) values ($1, $2)", bo.id, new_id())
    with pytest.raises(deletion.StillBusy):
        await delete(conn, bo.id)


async def test_a_call_that_is_being_opened_is_waited_for(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await make_user(conn)
    async with pool.acquire() as one, pool.acquire() as other:
        opening = one.transaction()
        await opening.start()
        await one.execute(
            "insert into call_slot (user_id, call_id) values ($1, $2)", ann.id, new_id()
        )
        leaving = asyncio.create_task(delete(other, ann.id))
        await waits(pool, 1)
        await opening.commit()
        with pytest.raises(deletion.StillBusy):
            await leaving
        await one.execute("delete from call_slot")
        await delete(one, ann.id)
        assert await one.fetchval("select count(*) from call_slot") == 0


async def test_no_log_in_slips_past_a_deletion(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await make_user(conn)
    async with pool.acquire() as one, pool.acquire() as other:
        deleting = one.transaction()
        await deleting.start()
        await delete(one, ann.id)
        entering = asyncio.create_task(open_session(other, ann.id))
        await waits(pool, 1)
        await deleting.commit()
        with pytest.raises(NotFound):
            await entering


async def test_a_log_in_before_the_deletion_is_ended_by_it(pool: Pool) -> None:
    async with pool.acquire() as conn:
        ann = await make_user(conn)
    async with pool.acquire() as one, pool.acquire() as other:
        entering = other.transaction()
        await entering.start()
        session = await open_session(other, ann.id)

        async def deleted() -> list[UUID]:
            async with one.transaction():
                return await delete(one, ann.id)

        deleting = asyncio.create_task(deleted())
        await waits(pool, 1)
        await entering.commit()
        assert await deleting == [session]


async def waits(pool: Pool, count: int) -> None:
    """Until so many connections wait for a lock."""
    waiting = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(10):
        while await pool.fetchval(waiting) < count:
            pass  # Asking gives the others their turn.


async def test_a_deleted_row_needs_nothing_to_log_in_with_but_a_live_one_does(
    conn: Connection,
) -> None:
    ann = await make_user(conn)
    await delete(conn, ann.id)
    with pytest.raises(asyncpg.CheckViolationError):
        await conn.execute("update users set status = 'active' where id = $1", ann.id)
