"""People as operators see them: found by what is known of them, with what they have and did.

Personal data; for operators only. Lists look at `FOUND_MAX` accounts at most, so a total says no
more than that.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from storage.found import FOUND_MAX
from storage.ids import parse_id
from storage.pool import Connection, Record

# The newest of these log-ins tell when somebody was last seen.
LOGINS_READ_MAX = 100
# Comes after every other character, so that all texts with a prefix lie between it and this.
LAST = "\U0010ffff"

Status = Literal["active", "suspended", "deleted"]


class Person(msgspec.Struct, frozen=True):
    """`balance_minor` is what the spending wallet and the bonus hold, `earnings_minor` what is
    pending and available. `last_seen_at` is when a log-in was last made or renewed, as far as it is
    known. Prices are None for those without a provider profile."""

    id: UUID
    name: str
    email: str | None
    phone: str | None
    roles: list[str]
    status: str
    created_at: datetime
    last_seen_at: datetime | None
    balance_minor: int
    earnings_minor: int
    price_audio_minor: int | None
    price_video_minor: int | None


class Deeds(msgspec.Struct, frozen=True):
    """What somebody has done. Calls that were refunded count, but not what they cost and earned."""

    blocks: int
    blocked_by: int
    calls_made: int
    calls_taken: int
    spent_minor: int
    earned_minor: int
    live_call_id: UUID | None


# $1 is the currency.
PERSON = f"""
select u.id, u.name, u.email, u.phone, u.roles, u.status, u.created_at,
       (select max(t.issued_at)
          from (select id from session where user_id = u.id
                 order by created_at desc limit {LOGINS_READ_MAX}) s
         cross join lateral (select issued_at from refresh_token where session_id = s.id
                              order by issued_at desc limit 1) t) as last_seen_at,
       coalesce(m.balance, 0)::bigint as balance_minor,
       coalesce(m.earnings, 0)::bigint as earnings_minor,
       p.price_audio_minor, p.price_video_minor
  from users u
  left join provider p on p.user_id = u.id
 cross join lateral (
       select sum(posted) filter (where kind in ('call_credits', 'bonus')) as balance,
              sum(posted) filter (where kind in ('earnings_pending', 'earnings_available'))
                  as earnings
         from account where owner = u.id and currency = $1) m
"""

BY_TEXT = f"""
(select id, created_at, roles, status from users
  where lower(name) collate "C" >= {{low}} and lower(name) collate "C" < {{high}}
  limit {FOUND_MAX})
 union
(select id, created_at, roles, status from users
  where email collate "C" >= {{low}} and email collate "C" < {{high}} limit {FOUND_MAX})
"""
# By its own index, whatever the planner thinks of how rare the role is.
BY_ROLE = "select id, created_at, roles, status from users where roles @> array[{role}] offset 0"

# Spelled out, for the planner to know how rare each is.
STATUS: dict[Status, str] = {
    "active": "status = 'active'",
    "suspended": "status = 'suspended'",
    "deleted": "status = 'deleted'",
}

DEEDS = """
select (select count(*) from block where user_id = $1) as blocks,
       (select count(*) from block where blocked_id = $1) as blocked_by,
       m.calls as calls_made, t.calls as calls_taken, m.spent as spent_minor,
       t.earned as earned_minor,
       (select call_id from call_slot where user_id = $1) as live_call_id
  from (select count(*) as calls,
               coalesce(sum(c.charged_minor) filter (where r.call_id is null), 0)::bigint as spent
          from call c left join call_refund r on r.call_id = c.id where c.caller_id = $1) m,
       (select count(*) as calls,
               coalesce(sum(c.earned_minor) filter (where r.call_id is null), 0)::bigint as earned
          from call c left join call_refund r on r.call_id = c.id where c.callee_id = $1) t
"""


async def find(
    conn: Connection,
    currency: str,
    *,
    text: str | None = None,
    role: str | None = None,
    status: Status | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Person], int]:
    """Accounts, the newest first, and how many there are, `FOUND_MAX` at most.

    `text` is an id, a whole phone number (E.164, blanks and hyphens are no matter), or the
    beginning of a name or an e-mail address in any case.
    """
    source, wanted, given = _source(text, role, status)
    values: list[Any] = [currency, limit, offset, *given]
    rows = await conn.fetch(
        f"""
        with found as materialized (
            select id, created_at from {source}{wanted}
             order by created_at desc, id desc limit {FOUND_MAX}
        ),
        page as (select id from found order by created_at desc, id desc limit $2 offset $3)
        select (select count(*) from found) as total, each.*
          from (select) one
          left join ({PERSON} where u.id in (select id from page)) each on true
         order by each.created_at desc, each.id desc
        """,
        *values,
    )
    return [_person(row) for row in rows if row["id"] is not None], rows[0]["total"]


async def read(conn: Connection, user_id: UUID, currency: str) -> Person | None:
    """One account, deleted ones too."""
    row = await conn.fetchrow(f"{PERSON} where u.id = $2", currency, user_id)
    return None if row is None else _person(row)


async def read_deeds(conn: Connection, user_id: UUID) -> Deeds:
    row = await conn.fetchrow(DEEDS, user_id)
    assert row is not None
    return Deeds(**dict(row))


def _source(
    text: str | None, role: str | None, status: Status | None
) -> tuple[str, str, list[Any]]:
    """Where accounts are looked for, the conditions on them, and the values from $4 on."""
    given: list[Any] = []

    def place(value: Any) -> str:
        given.append(value)
        return f"${len(given) + 3}"

    source, conditions = "users", []
    # Everybody is a customer.
    role = None if role == "customer" else role
    if text is not None:
        text = text.strip()
        user_id, digits = parse_id(text), text.replace(" ", "").replace("-", "")
        if user_id is not None:
            conditions.append(f"id = {place(user_id)}")
        elif digits.startswith("+"):
            conditions.append(f"phone = {place(digits)}")
        else:
            low = text.lower()
            source = f"({BY_TEXT.format(low=place(low), high=place(low + LAST))}) users"
    elif role is not None:
        source, role = f"({BY_ROLE.format(role=place(role))}) users", None
    if role is not None:
        conditions.append(f"{place(role)} = any (roles)")
    if status is not None:
        conditions.append(STATUS[status])
    return source, f" where {' and '.join(conditions)}" if conditions else "", given


def _person(row: Record) -> Person:
    return Person(**{name: row[name] for name in Person.__struct_fields__})
