"""What the ledger and user commands do."""

import time
from uuid import UUID

from rich.console import Console
from rich.table import Table

from rest.auth import rules
from rest.http.errors import Problem
from server.config import Config
from server.makers import make_passwords
from server.people import ADMIN, make_provider, make_user, restore, suspend
from server.people import grant as give
from signalling.calls.records import read_tariff
from signalling.core.tariff import cost
from storage import users
from storage.errors import Conflict, NotFound
from storage.pool import connect
from storage.verify import verify

AMOUNT_MAX_MINOR = 1_000_000_000


async def verify_books(dsn: str) -> bool:
    """Run every check and print what was checked; True if all hold."""
    conn = await connect(dsn, application_name="talktime verify")
    try:
        checks = await verify(conn, lambda tariff, ms: cost(read_tariff(tariff), ms))
    finally:
        await conn.close()
    table = Table(title="ledger verify", title_justify="left")
    table.add_column("invariant", overflow="fold")
    table.add_column("checked", justify="right")
    table.add_column("faults", justify="right")
    for check in checks:
        faults = len(check.faults)
        table.add_row(check.name, str(check.checked), f"[bold red]{faults}[/]" if faults else "0")
    console = Console()
    console.print(table)
    bad = [(check.name, fault) for check in checks for fault in check.faults]
    for name, fault in bad:
        console.print(f"{name}: {fault}", style="red", markup=False)
    console.print("the books hold" if not bad else f"{len(bad)} faults", markup=False)
    return not bad


async def create_person(
    config: Config,
    dsn: str,
    name: str,
    email: str,
    password: str,
    price_minor: int | None,
    grant_minor: int,
    *,
    admin: bool = False,
) -> UUID:
    """
    Raises:
        ValueError: what is wrong with the name, address, password, price or grant.
    """
    if not 0 <= (price_minor or 0) <= AMOUNT_MAX_MINOR or not 0 <= grant_minor <= AMOUNT_MAX_MINOR:
        raise ValueError(f"Amounts are 0 to {AMOUNT_MAX_MINOR}.")
    try:
        name, email = rules.clean_name(name), rules.clean_email(email)
        password = rules.check_password(password)
    except Problem as problem:
        raise ValueError(problem.message) from None
    passwords = make_passwords(config)
    conn = await connect(dsn, application_name="talktime user")
    try:
        password_hash = await passwords.hash(password)
        async with conn.transaction():
            user_id = await make_user(conn, name, email, password_hash, config.currency)
            if price_minor is not None:
                await make_provider(conn, user_id, name, price_minor)
            if admin:
                await users.add_role(conn, user_id, ADMIN)
            if grant_minor:
                await give(conn, user_id, grant_minor, config.currency, f"grant:cli:{user_id}")
    except Conflict as taken:
        raise ValueError(taken.message) from None
    finally:
        await conn.close()
        passwords.close()
    return user_id


async def suspend_person(dsn: str, name: str) -> int:
    """How many sessions of the account were ended; `name` is its mail address or phone number.

    Raises:
        ValueError: there is no such account.
    """
    conn = await connect(dsn, application_name="talktime user")
    try:
        async with conn.transaction():
            return len(await suspend(conn, name.strip().lower(), int(time.time() * 1000)))
    except NotFound as missing:
        raise ValueError(missing.message) from None
    finally:
        await conn.close()


async def restore_person(dsn: str, name: str) -> None:
    """
    Raises:
        ValueError: there is no such account.
    """
    conn = await connect(dsn, application_name="talktime user")
    try:
        await restore(conn, name.strip().lower())
    except NotFound as missing:
        raise ValueError(missing.message) from None
    finally:
        await conn.close()
