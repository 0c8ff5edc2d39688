"""Accounts of people: profiles, roles, and whom they block."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from storage import ledger
from storage.errors import Conflict, NotFound
from storage.ids import new_id
from storage.pool import Connection, Record

DEFAULT_ROLES = ("customer",)


class EmailTaken(Conflict):
    """Another account has this e-mail address."""

    code = "email_already_used"


class PhoneTaken(Conflict):
    """Another account has this phone number."""

    code = "phone_already_used"


class User(msgspec.Struct, frozen=True):
    """An account with what its owner may see. Deleted accounts are never read as this.

    `balance_minor` is what the spending account holds, running calls included. `availability` is
    None for those without a provider profile.
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


class PublicUser(msgspec.Struct, frozen=True):
    """What anybody may know of an account."""

    id: UUID
    name: str
    avatar_url: str | None
    bio: str | None
    is_provider: bool


class Blocked(msgspec.Struct, frozen=True):
    """One line of a block list."""

    user_id: UUID
    name: str
    avatar_url: str | None
    blocked_at: datetime


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
               u.status, u.created_at, coalesce(a.posted, 0) as balance_minor, p.availability
        from users u
        left join account a on a.kind = 'call_credits' and a.owner = u.id and a.label = ''
                           and a.currency = $2
        left join provider p on p.user_id = u.id
        where u.id = $1 and u.status <> 'deleted'
        """,
        user_id,
        currency,
    )
    return None if row is None else _user(row)


def _user(row: Record) -> User:
    return User(**{name: row[name] for name in User.__struct_fields__})


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
    conn: Connection, user_id: UUID, *, name: str | None = None, bio: str | None = None
) -> PublicUser:
    """Change what is not None; an empty `bio` clears it.

    Raises:
        NotFound: no such account.
    """
    row = await conn.fetchrow(
        """
        update users set name = coalesce($2, name),
                         bio = case when $3::text is null then bio else nullif($3, '') end,
                         updated_at = now()
        where id = $1 and status <> 'deleted'
        returning id, name, avatar_url, bio,
                  exists (select from provider p where p.user_id = users.id) as is_provider
        """,
        user_id,
        name,
        bio,
    )
    if row is None:
        raise NotFound("There is no such account.", code="user_not_found")
    return PublicUser(**dict(row))


async def add_role(conn: Connection, user_id: UUID, role: str) -> None:
    """Give a role; having it already changes nothing."""
    await conn.execute(
        """
        update users set roles = array_append(roles, $2), updated_at = now()
        where id = $1 and not $2 = any (roles)
        """,
        user_id,
        role,
    )


async def block(conn: Connection, user_id: UUID, other: UUID) -> None:
    """`user_id` blocks `other`; blocking twice is blocking once.

    Raises:
        NotFound: `other` is no account.
    """
    found = await conn.fetchval(
        """
        with target as (select id from users where id = $2 and status <> 'deleted'),
             written as (insert into block (user_id, blocked_id) select $1, id from target
                         on conflict do nothing)
        select id from target
        """,
        user_id,
        other,
    )
    if found is None:
        raise NotFound("There is no such account.", code="user_not_found")


async def unblock(conn: Connection, user_id: UUID, other: UUID) -> None:
    """Not having blocked `other` is no fault."""
    await conn.execute("delete from block where user_id = $1 and blocked_id = $2", user_id, other)


async def list_blocked(
    conn: Connection, user_id: UUID, *, limit: int, offset: int
) -> tuple[list[Blocked], int]:
    """A page of whom `user_id` blocks, latest first, and how many there are."""
    rows = await conn.fetch(
        """
        select u.id as user_id, u.name, u.avatar_url, b.created_at as blocked_at
        from block b join users u on u.id = b.blocked_id
        where b.user_id = $1
        order by b.created_at desc, b.blocked_id limit $2 offset $3
        """,
        user_id,
        limit,
        offset,
    )
    total = await conn.fetchval("select count(*) from block where user_id = $1", user_id)
    return [Blocked(**dict(row)) for row in rows], total
