"""Accounts for a crowd, made straight in the database, with tokens of our own."""

import time
from uuid import UUID

from rest.auth.tokens import TokenKeys
from server.people import make_provider
from storage import ledger, users
from storage.ids import new_id
from storage.migrate import migrate
from storage.pool import Connection, connect

CURRENCY = "PTS"
EARNINGS = "earnings_available"
PRICE_MINOR = 120
RICH_MINOR = 10**8
TOKEN_TTL_S = 7 * 86_400
# Clocks of nodes are turned back in some rows; a token must not come from the future then.
BACKDATED_S = 4 * 3_600


class Person:
    """Somebody who can connect; `money_minor` is what was put into the wallet."""

    def __init__(
        self, user_id: UUID, keys: TokenKeys, money_minor: int, role: str = "customer"
    ) -> None:
        self.id = user_id
        self.money_minor = money_minor
        self.session_id = new_id()
        self._keys = keys
        self._role = role

    def token(self) -> str:
        issued_s = int(time.time()) - BACKDATED_S
        return self._keys.issue(self.id, self.session_id, [self._role], issued_s)


async def make_pairs(
    dsn: str, secret: str, money_minor: list[int], *, label: str = "faults"
) -> list[tuple[Person, Person]]:
    """Callers with so much money for calls, and providers who are online. Migrates the database.

    Each caller also has `RICH_MINOR` in the primary wallet, which does not pay for calls. `label`
    is another one for each further crowd of one database.
    """
    await migrate(dsn)
    keys = TokenKeys(secret, TOKEN_TTL_S)
    conn = await connect(dsn, application_name="faults")
    made: list[tuple[Person, Person]] = []
    try:
        async with conn.transaction():
            promo = await ledger.system_account(conn, "promo", "", CURRENCY)
            moves: list[ledger.Move] = []
            for number, money in enumerate(money_minor):
                caller = await _make_user(conn, f"Caller {number}")
                accounts = await ledger.open_accounts(conn, caller, CURRENCY)
                moves.append(ledger.Move(promo, accounts["primary"], RICH_MINOR, "grant"))
                if money:
                    moves.append(ledger.Move(promo, accounts["call_credits"], money, "grant"))
                callee = await _make_user(conn, f"Provider {number}")
                await make_provider(conn, callee, f"Provider {number}", PRICE_MINOR)
                made.append((Person(caller, keys, money), Person(callee, keys, 0)))
            await ledger.post(conn, key=f"grant:{label}", kind="grant", moves=moves)
    finally:
        await conn.close()
    return made


async def make_earner(dsn: str, secret: str) -> Person:
    """A provider with `RICH_MINOR` to take out, who has logged in just now, whenever now is."""
    conn = await connect(dsn, application_name="faults")
    try:
        async with conn.transaction():
            earner = await _make_user(conn, "Earner")
            await make_provider(conn, earner, "Earner", PRICE_MINOR)
            accounts = await ledger.open_accounts(conn, earner, CURRENCY, [EARNINGS])
            promo = await ledger.system_account(conn, "promo", "", CURRENCY)
            move = ledger.Move(promo, accounts[EARNINGS], RICH_MINOR, "grant")
            await ledger.post(conn, key="grant:earner", kind="grant", moves=[move])
            person = Person(earner, TokenKeys(secret, TOKEN_TTL_S), RICH_MINOR, role="companion")
            await conn.execute(
                """
                insert into session (id, user_id, created_at, expires_at)
                values ($1, $2, now() + interval '7 days', now() + interval '30 days')
                """,
                person.session_id,
                earner,
            )
    finally:
        await conn.close()
    return person


async def _make_user(conn: Connection, name: str) -> UUID:
    user_id = new_id()
    return await users.create_user(
        conn, name=name, currency=CURRENCY, email=f"{user_id}@faults.talktime", user_id=user_id
    )
