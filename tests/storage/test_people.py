"""Finding people: by what, in which order, and by which index."""

from __future__ import annotations

from uuid import UUID

import pytest

from storage import credentials, people, users
from storage.ids import new_id
from storage.people import Status
from storage.pool import Connection
from tests.storage.past import past_call
from tests.storage.world import give, give_bonus, make_user

DAY_MS = 86_400_000
NOW_MS = 1_800_000_000_000


async def person(conn: Connection, name: str, *, phone: str | None = None) -> UUID:
    email = f"{name.lower().replace(' ', '.')}@find.example"
    return await users.create_user(conn, name=name, email=email, phone=phone, currency="PTS")


async def found(
    conn: Connection, text: str | None = None, role: str | None = None, status: Status | None = None
) -> list[UUID]:
    rows, total = await people.find(
        conn, "PTS", text=text, role=role, status=status, limit=20, offset=0
    )
    assert total == len(rows)
    return [row.id for row in rows]


async def test_a_name_an_address_a_number_and_an_id_find_an_account(conn: Connection) -> None:
    ann = await person(conn, "Ann Quill", phone="+819012345678")
    for text in ("ann q", "ANN.QUILL@", " Ann Quill ", "+81 90-1234-5678", str(ann)):
        assert await found(conn, text) == [ann], text
    for text in ("quill", "+8190", "ann_q", "%", str(new_id()), "ann quill@find.examplex"):
        assert await found(conn, text) == [], text


async def test_what_matches_by_name_and_address_is_there_once(conn: Connection) -> None:
    ann = await person(conn, "Annabel")
    assert await found(conn, "annabel") == [ann]


async def test_filters_hold_together_with_a_text_and_alone(conn: Connection) -> None:
    ann, bea = await person(conn, "Zed Ann"), await person(conn, "Zed Bea")
    await users.add_role(conn, ann, "technician")
    await conn.execute("update users set status = 'suspended' where id = $1", bea)
    assert set(await found(conn, "zed")) == {ann, bea}
    assert await found(conn, "zed", role="technician") == [ann]
    assert await found(conn, "zed", status="suspended") == [bea]
    assert await found(conn, role="technician") == [ann]
    assert await found(conn, role="technician", status="suspended") == []
    assert bea in await found(conn, role="customer", status="suspended")


@pytest.mark.parametrize(
    ("given", "index"),
    [
        ({"text": "ann"}, ("users_by_name", "users_by_email")),
        ({"role": "admin"}, ("users_by_role",)),
        ({"status": "suspended"}, ("users_by_status",)),
        ({"text": "+819012345678"}, ("users_phone_key",)),
    ],
)
async def test_nothing_reads_the_whole_table(
    conn: Connection,
    monkeypatch: pytest.MonkeyPatch,
    given: dict[str, str],
    index: tuple[str, ...],
) -> None:
    plans: list[str] = []

    class Explaining:
        """The connection, which tells how it would do what it is asked."""

        async def fetch(self, query: str, *values: object) -> list[object]:
            rows = await conn.fetch(f"explain (costs off) {query}", *values)
            plans.append(" ".join(row[0] for row in rows))
            return await conn.fetch(query, *values)  # type: ignore[return-value]

    await people.find(Explaining(), "PTS", **given, limit=20, offset=0)  # type: ignore[arg-type]
    (plan,) = plans
    assert "Seq Scan on users" not in plan
    assert all(name in plan for name in index), plan


async def test_an_account_has_its_money_and_when_it_was_last_seen(conn: Connection) -> None:
    user = await make_user(conn, money=300, provider=True)
    await give(conn, user.earnings, 40)
    await give_bonus(conn, user.id, 7)
    shown = await people.read(conn, user.id, "PTS")
    assert shown is not None
    assert (shown.balance_minor, shown.earnings_minor, shown.last_seen_at) == (307, 40, None)
    assert (shown.price_audio_minor, shown.price_video_minor) == (120, 200)
    for number in (2, 1):
        await credentials.open_session(
            conn,
            session_id=new_id(),
            user_id=user.id,
            refresh_hash=bytes([number]) * 32,
            now_ms=NOW_MS + number * 1_000,
            idle_ms=DAY_MS,
            lifetime_ms=DAY_MS,
        )
    await credentials.revoke_sessions_of(conn, user.id, why="suspended", now_ms=NOW_MS)
    shown = await people.read(conn, user.id, "PTS")
    assert shown is not None
    assert shown.last_seen_at is not None
    assert int(shown.last_seen_at.timestamp() * 1_000) == NOW_MS + 2_000
    assert await people.read(conn, new_id(), "PTS") is None


async def test_what_somebody_did_counts_their_calls_and_blocks(conn: Connection) -> None:
    ann, kai = await make_user(conn), await make_user(conn, provider=True)
    await past_call(conn, ann.id, kai.id)
    await conn.execute("insert into block (user_id, blocked_id) values ($1, $2)", ann.id, kai.id)
    hers, his = await people.read_deeds(conn, ann.id), await people.read_deeds(conn, kai.id)
    assert (hers.calls_made, hers.calls_taken, hers.blocks, hers.blocked_by) == (1, 0, 1, 0)
    assert (his.calls_made, his.calls_taken, his.blocks, his.blocked_by) == (0, 1, 0, 1)
    assert hers.live_call_id is None
    row = await conn.fetchrow("select id, charged_minor, earned_minor from call")
    assert row is not None
    assert (hers.spent_minor, his.earned_minor) == (row["charged_minor"], row["earned_minor"])
    call_id = new_id()
    await conn.execute("insert into call_slot values ($1, $2)", ann.id, call_id)
    assert (await people.read_deeds(conn, ann.id)).live_call_id == call_id
