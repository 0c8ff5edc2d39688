"""The end of an account: what is personal goes, what others need of the past stays."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from storage import avatars, credentials, ledger
from storage.errors import Conflict, InsufficientFunds
from storage.ids import new_id
from storage.pool import Connection, Record

NAME = "Deleted user"
OWN_MONEY = ("primary", "call_credits")
EARNINGS = ("earnings_pending", "earnings_available", "in_payout")
# A payout on its way counts, for the bank may send it back. One statement, so that money that moves
# between the two is seen in one of them.
MONEY = """
select id, kind, currency, posted, held from account where owner = $1
 union all
select null, 'in_payout', currency, sum(amount_minor)::bigint, 0 from payout
 where user_id = $1 and status in ('requested', 'approved') group by currency
 order by id
"""

# What belongs to the account alone. A table with rows of that kind adds its statement here.
ERASE = (
    "delete from call_slot where user_id = $1",
    "delete from credentials where user_id = $1",
    "delete from notification_settings where user_id = $1",
    "delete from notification where user_id = $1",
    "delete from provider_hours where user_id = $1",
    "delete from otp where user_id = $1",
    "delete from block where user_id = $1 or blocked_id = $1",
    "delete from push_device where user_id = $1",
    "delete from refresh_token t using session s where s.id = t.session_id and s.user_id = $1",
    "update provider set display_name = 'Deleted user', introduction = null, genres = '{}', "
    "tags = '{}', availability = 'offline', status_message = null, status_updated_at = now() "
    "where user_id = $1",
)


class StillBusy(Conflict):
    """A call of the account is being opened or settled, or its money moves at this moment."""

    code = "account_busy"


class WalletNotEmpty(Conflict):
    """There is money that the owner has not agreed to lose."""

    code = "wallet_not_empty"


class EarningsNotPaid(Conflict):
    """The house owes the account money that was earned."""

    code = "earnings_not_paid"


async def delete_account(
    conn: Connection, user_id: UUID, *, forfeit: bool, now_ms: int
) -> list[UUID]:
    """Delete an account softly, and return its sessions that were live. Needs a transaction.

    The row stays, without a name, an address or a face, so that the calls and bills of others stay
    whole. E-mail address and phone number are free again. With `forfeit` what is left in the wallet
    goes to the house; what is left of a bonus goes there when its time is over. Deleting again
    does nothing.

    Raises:
        StillBusy, WalletNotEmpty, EarningsNotPaid: nothing was changed; the latter two tell how
            much there is, by currency.
    """
    user = await conn.fetchrow(
        "select avatar_url from users where id = $1 and status <> 'deleted' for update",
        user_id,
    )
    if user is None:
        return []
    # No money may come or go while it is counted.
    await conn.execute(
        "select from account where owner = $1 order by id for no key update", user_id
    )
    accounts = await conn.fetch(MONEY, user_id)
    async with conn.transaction():
        await _close_accounts(conn, user_id, accounts, forfeit)
    await conn.execute(
        """
        update users set status = 'deleted', deleted_at = now(), updated_at = now(), name = $2,
                         email = null, phone = null, avatar_url = null, bio = null, gender = null,
                         birthday = null, roles = '{customer}'
        where id = $1
        """,
        user_id,
        NAME,
    )
    for statement in ERASE:
        await conn.execute(statement, user_id)
    ended = await credentials.revoke_sessions_of(
        conn, user_id, why="account_deleted", now_ms=now_ms
    )
    await avatars.forget(conn, user_id, user["avatar_url"])
    return ended


async def _close_accounts(
    conn: Connection, user_id: UUID, accounts: Sequence[Record], forfeit: bool
) -> None:
    # Taken until this is over, so that no call opens meanwhile; waits for one that is being opened.
    free = await conn.fetchval(
        "insert into call_slot (user_id, call_id) values ($1, $2) on conflict do nothing "
        "returning true",
        user_id,
        new_id(),
    )
    if not free or any(account["held"] for account in accounts):
        raise StillBusy("A call of this account is not over yet.")
    owed = _sums(accounts, EARNINGS)
    if owed:
        raise EarningsNotPaid("Have your earnings paid out first.", earnings=owed)
    own = _sums(accounts, OWN_MONEY)
    if own and not forfeit:
        raise WalletNotEmpty("There is money in the wallet.", balance=own)
    moves = [
        ledger.Move(
            account["id"],
            await ledger.system_account(conn, "breakage", "", account["currency"]),
            account["posted"],
            "forfeit",
        )
        for account in accounts
        if account["kind"] in OWN_MONEY and account["posted"] > 0
    ]
    if moves:
        key = f"forfeit:{user_id}"
        try:
            await ledger.post(conn, key=key, kind="forfeit", moves=moves, ref=user_id)
        except InsufficientFunds as fault:
            raise StillBusy("Money of this account is moving; try again.") from fault


def _sums(accounts: Sequence[Record], kinds: Sequence[str]) -> dict[str, int]:
    """What is in accounts of these kinds, by currency; empty if there is nothing."""
    sums: dict[str, int] = {}
    for account in accounts:
        if account["kind"] in kinds and account["posted"] > 0:
            sums[account["currency"]] = sums.get(account["currency"], 0) + account["posted"]
    return sums
