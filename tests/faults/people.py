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
PRICE_MINOR = 120
RICH_MINOR = 10**8
TOKEN_TTL_S = 7 * 86_400
# Clocks of nodes are turned back in some rows; a token must not come from the future then.
BACKDATED_S = 4 * 3_600


class Person:
    """Somebody who can connect; `money_minor` is what was put into the wallet."""

    def __init__(self, user_id: UUID, keys: TokenKeys, money_minor: int) -> None:
        self.id = user_id
        self.money_minor = money_minor
        self._keys = keys
        self._session_id = new_id()

    def token(self) -> str:
        issued_s = int(time.time()) - BACKDATED_S
        return self._keys.issue(self.id, self._session_id, ["customer"], issued_s)


async def make_pairs(dsn: str, secret: str, money_minor: list[int]) -> list[tuple[Person, Person]]:
    """Callers with so much money for calls, and providers who are online. Migrates the database.

    Each caller also has `RICH_MINOR` in the primary wallet, which does not pay for calls.
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
            await ledger.post(conn, key="grant:faults", kind="grant", moves=moves)
    finally:
        await conn.close()
    return made


async def _make_user(conn: Connection, name: str) -> UUID:
    user_id = new_id()
    return await users.create_user(
        conn, name=name, currency=CURRENCY, email=f"{user_id}@faults.talktime", user_id=user_id
    )
