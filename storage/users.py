"""Accounts of people: profiles and roles."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal
from uuid import UUID

import asyncpg
import msgspec

from storage import ledger
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.pool import Connection, Record
from storage.settings import Toggles

DEFAULT_ROLES = ("customer",)


class EmailTaken(Conflict):
    """Another account has this e-mail address."""

    code = "email_already_used"


class PhoneTaken(Conflict):
    """Another account has this phone number."""

    code = "phone_already_used"


class User(msgspec.Struct, frozen=True):
    """An account with what its owner may see. Deleted accounts are never read as this.

    `balance_minor` is what may be spent, bonus and what running calls hold included.
    `availability` is None for those without a provider profile.
    """

    id: UUID
    email: str | None
    phone: str | None
    name: str
    avatar_url: str | None
    bio: str | None
    gender: str | None
    birthday: date | None
    roles: list[str]
    status: str
    created_at: datetime
    balance_minor: int
    availability: str | None
    notifications: Toggles


class Standing(msgspec.Struct, frozen=True):
    """`status` is active, suspended or deleted."""

    user_id: UUID
    status: str


class PublicUser(msgspec.Struct, frozen=True):
    """What anybody may know of an account."""

    id: UUID
    name: str
    avatar_url: str | None
    bio: str | None
    is_provider: bool


async def create_user(
    conn: Connection,
    *,
    name: str,
    currency: str,
    email: str | None = None,
    phone: str | None = None,
    roles: Sequence[str] = DEFAULT_ROLES,
    user_id: UUID | None = None,
) -> UUID:
    """Insert an account and open its ledger accounts, in the caller's transaction.

    `email` in lower case, `phone` as E.164; at least one of them. Returns its id.

    Raises:
        EmailTaken, PhoneTaken: nothing was written.
    """
    wanted = user_id or new_id()
    created = await conn.fetchval(
        """
        insert into users (id, email, phone, name, roles) values ($1, $2, $3, $4, $5)
        on conflict do nothing returning id
        """,
        wanted,
        email,
        phone,
        name,
        list(roles),
    )
    if created is None:
        taken = await conn.fetchval("select true from users where email = $1", email)
        raise (
            EmailTaken("This e-mail address has an account.")
            if taken
            else PhoneTaken("This phone number has an account.")
        )
    await ledger.open_accounts(conn, wanted, currency)
    return wanted


async def read_user(conn: Connection, user_id: UUID, currency: str) -> User | None:
    """The account with its balance in `currency`; None if it is deleted or was never there."""
    row = await conn.fetchrow(
        """
        select u.id, u.email, u.phone, u.name, u.avatar_url, u.bio, u.gender, u.birthday, u.roles,
               u.status, u.created_at, p.availability,
               (select coalesce(sum(a.posted), 0)::bigint from account a
                 where a.owner = u.id and a.currency = $2 and a.kind in ('call_credits', 'bonus'))
                   as balance_minor,
               s.user_id is not null as has_toggles,
               s.incoming_call, s.call_summary, s.wallet_alert, s.marketing
        from users u
        left join provider p on p.user_id = u.id
        left join notification_settings s on s.user_id = u.id
        where u.id = $1 and u.status <> 'deleted'
        """,
        user_id,
        currency,
    )
    return None if row is None else _user(row)


def _user(row: Record) -> User:
    toggles = Toggles()
    if row["has_toggles"]:
        toggles = Toggles(**{name: row[name] for name in Toggles.__struct_fields__})
    own = [name for name in User.__struct_fields__ if name != "notifications"]
    return User(**{name: row[name] for name in own}, notifications=toggles)


async def find_by_phone(conn: Connection, phone: str) -> Standing | None:
    """The account that has proved to own the number (E.164), whatever has become of it."""
    row = await conn.fetchrow("select id as user_id, status from users where phone = $1", phone)
    return None if row is None else Standing(**dict(row))


async def set_phone(conn: Connection, user_id: UUID, phone: str) -> None:
    """Give the account the number (E.164) that its owner has proved to own.

    Raises:
        PhoneTaken: another account has it; nothing was written.
    """
    try:
        async with conn.transaction():
            await conn.execute(
                "update users set phone = $2, updated_at = now() "
                "where id = $1 and status <> 'deleted'",
                user_id,
                phone,
            )
    except asyncpg.UniqueViolationError:
        raise PhoneTaken("This phone number has an account.") from None


async def set_status(
    conn: Connection, name: str, status: Literal["active", "suspended"]
) -> UUID | None:
    """Let the account be used, or not; None if there is none, or it is deleted.

    `name` is its e-mail address (lower case) or phone number (E.164). Until the caller's
    transaction ends, nobody logs in to it.
    """
    found: UUID | None = await conn.fetchval(
        """
        update users set status = $2, updated_at = now()
        where (email = $1 or phone = $1) and status <> 'deleted' returning id
        """,
        name,
        status,
    )
    return found


async def has_admin(conn: Connection) -> bool:
    """Whether there is an admin who can log in with a password."""
    found: bool = await conn.fetchval(
        """
        select exists (select from users u join credentials c on c.user_id = u.id
                        where 'admin' = any (u.roles) and u.status = 'active')
        """
    )
    return found


async def lock(conn: Connection, user_id: UUID) -> None:
    """Until the caller's transaction ends, no other takes this lock of the account."""
    await conn.execute("select from users where id = $1 for no key update", user_id)


async def read_public(conn: Connection, user_id: UUID) -> PublicUser | None:
    row = await conn.fetchrow(
        """
        select u.id, u.name, u.avatar_url, u.bio,
               exists (select from provider p where p.user_id = u.id) as is_provider
        from users u where u.id = $1 and u.status = 'active'
        """,
        user_id,
    )
    return None if row is None else PublicUser(**dict(row))


async def list_active(conn: Connection, after: UUID, limit: int) -> list[UUID]:
    """The ids of the next `limit` active accounts after that one, in the order of their ids."""
    rows = await conn.fetch(
        "select id from users where id > $1 and status = 'active' order by id limit $2",
        after,
        limit,
    )
    return [row["id"] for row in rows]


async def update_profile(
    conn: Connection,
    user_id: UUID,
    *,
    name: str | None = None,
    bio: str | None = None,
    gender: str | None = None,
    birthday: date | Literal[""] | None = None,
) -> PublicUser:
    """Change what is not None; all but the name are cleared by an empty text.

    Raises:
        NotFound: no such account.
    """
    row = await conn.fetchrow(
        """
        update users set name = coalesce($2, name),
                         bio = case when $3::text is null then bio else nullif($3, '') end,
                         gender = case when $4::text is null then gender
                                       else nullif($4, '') end,
                         birthday = case when $5::text is null then birthday
                                         else nullif($5, '')::date end,
                         updated_at = now()
        where id = $1 and status <> 'deleted'
        returning id, name, avatar_url, bio,
                  exists (select from provider p where p.user_id = users.id) as is_provider
        """,
        user_id,
        name,
        bio,
        gender,
        birthday.isoformat() if isinstance(birthday, date) else birthday,
    )
    if row is None:
        raise NotFound("There is no such account.", code="user_not_found")
    return PublicUser(**dict(row))


async def add_role(
    conn: Connection, user_id: UUID, role: str, *, unless: Sequence[str] = ()
) -> None:
    """Give a role; having it already, or one of `unless`, changes nothing."""
    await conn.execute(
        """
        update users set roles = array_append(roles, $2), updated_at = now()
        where id = $1 and not roles && $3::text[]
        """,
        user_id,
        role,
        [role, *unless],
    )
