"""Accounts made by the operator: demo accounts in development, and `talktime user`."""

from uuid import UUID

from rest.auth.passwords import Passwords
from server.demo_accounts import DEMO, DEMO_BALANCE_MINOR, DEMO_PASSWORD
from storage import credentials, ledger, providers, sanctions, users
from storage.errors import NotFound
from storage.pool import Connection, Pool

ADMIN = "admin"


async def ensure_demo(pool: Pool, passwords: Passwords, currency: str) -> None:
    """Make the demo accounts that are missing: customers with money, providers who are
    online, an admin."""
    for person in DEMO:
        async with pool.acquire() as conn:
            known = await credentials.read_login(conn, email=person.email)
        if known is not None:
            continue
        password_hash = await passwords.hash(DEMO_PASSWORD)
        async with pool.acquire() as conn, conn.transaction():
            user_id = await make_user(conn, person.name, person.email, password_hash, currency)
            if person.price_minor is not None:
                await make_provider(conn, user_id, person.name, person.price_minor)
            elif person.admin:
                await users.add_role(conn, user_id, ADMIN)
            else:
                await grant(conn, user_id, DEMO_BALANCE_MINOR, currency, f"grant:demo:{user_id}")


async def make_user(
    conn: Connection, name: str, email: str, password_hash: str, currency: str
) -> UUID:
    user_id = await users.create_user(conn, name=name, currency=currency, email=email)
    await credentials.set_password(conn, user_id, password_hash)
    return user_id


async def make_provider(conn: Connection, user_id: UUID, name: str, price_minor: int) -> None:
    """A provider profile with one price for audio and video, online from the start."""
    await providers.save_provider(
        conn,
        user_id,
        providers.Terms(
            display_name=name,
            introduction=None,
            tariff="minute",
            price_audio_minor=price_minor,
            price_video_minor=price_minor,
            genres=[],
            tags=[],
        ),
    )
    await users.add_role(conn, user_id, "companion")
    await providers.set_availability(conn, user_id, "online")


async def suspend(conn: Connection, name: str, now_ms: int) -> list[UUID]:
    """Close the account of that e-mail address or phone number, and log it out everywhere.

    Needs a transaction. Returns the sessions that were live; a running server ends them within
    10 s, and a live call at once.

    Raises:
        NotFound: there is no such account.
    """
    user_id = await users.set_status(conn, name, "suspended")
    if user_id is None:
        raise _no_account()
    await sanctions.promise_end_of_call(conn, user_id)
    return await credentials.revoke_sessions_of(conn, user_id, why="suspended", now_ms=now_ms)


async def restore(conn: Connection, name: str) -> None:
    """Open a suspended account again; its owner has to log in anew.

    Raises:
        NotFound: there is no such account.
    """
    if await users.set_status(conn, name, "active") is None:
        raise _no_account()


def _no_account() -> NotFound:
    return NotFound("There is no such account.", code="user_not_found")


async def grant(
    conn: Connection, user_id: UUID, amount_minor: int, currency: str, key: str
) -> ledger.Operation:
    """Money from the house into a wallet, once for each key."""
    accounts = await ledger.open_accounts(conn, user_id, currency)
    promo = await ledger.system_account(conn, "promo", "", currency)
    return await ledger.post(
        conn,
        key=key,
        kind="grant",
        moves=[ledger.Move(promo, accounts["call_credits"], amount_minor, "grant")],
    )
