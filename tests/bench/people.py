"""Accounts by the thousand: what `storage.users` and `storage.providers` write one by one."""

from collections.abc import Sequence
from uuid import UUID

from storage import ledger
from storage.ids import new_id
from storage.pool import Connection

MONEY_MINOR = 10**9


async def make_users(conn: Connection, name: str, count: int, currency: str) -> list[UUID]:
    """Customers with their accounts, in the caller's transaction."""
    ids = [new_id() for _ in range(count)]
    await conn.execute(
        "insert into users (id, email, name) select id, id || '@bench.talktime', $2 || ' ' || n "
        "from unnest($1::uuid[]) with ordinality made (id, n)",
        ids,
        name,
    )
    await conn.execute(
        "insert into account (kind, owner, currency) select kind, id, $2 "
        "from unnest($1::uuid[]) id cross join unnest($3::text[]) kind",
        ids,
        currency,
        list(ledger.USER_KINDS),
    )
    return ids


async def make_providers(conn: Connection, ids: Sequence[UUID], price_minor: int) -> None:
    """Users become providers who are online, and charge by the minute."""
    await conn.execute(
        "insert into provider (user_id, display_name, tariff, price_audio_minor, "
        "price_video_minor, availability) select id, name, 'minute', $2, $2, 'online' "
        "from users where id = any ($1::uuid[])",
        ids,
        price_minor,
    )
    await conn.execute(
        "update users set roles = array_append(roles, 'companion') where id = any ($1::uuid[])",
        ids,
    )


async def grant(conn: Connection, ids: Sequence[UUID], key: str, currency: str) -> None:
    """Money enough for everything, in one operation."""
    promo = await ledger.system_account(conn, "promo", "", currency)
    wallets = await conn.fetch(
        "select id from account where owner = any ($1::uuid[]) and kind = 'call_credits'", ids
    )
    moves = [ledger.Move(promo, wallet["id"], MONEY_MINOR, "grant") for wallet in wallets]
    await ledger.post(conn, key=key, kind="grant", moves=moves)
