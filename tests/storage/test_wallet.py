from datetime import timedelta
from uuid import UUID

from storage import ledger, wallet
from storage.ids import new_id
from storage.ledger import Move
from storage.pool import Connection
from storage.wallet import Wanted
from tests.storage.world import User, give, make_user


async def charge(conn: Connection, user: User, provider: User, amount: int, call: UUID) -> None:
    """A unit of a call: one operation that splits the price between provider and platform."""
    platform = await ledger.system_account(conn, "platform_fee", "main", "PTS")
    part = amount * 7 // 10
    await ledger.post(
        conn,
        key=f"call:{call}:{amount}",
        kind="call_charge",
        ref=call,
        moves=[
            Move(user.wallet, provider.earnings, part, "call_earning"),
            Move(user.wallet, platform, amount - part, "platform_fee"),
        ],
    )


async def test_a_new_wallet_is_empty(conn: Connection) -> None:
    user = await make_user(conn)

    found = await wallet.read_balance(conn, user.id, "PTS")

    assert found is not None
    assert (found.posted_minor, found.held_minor, found.available_minor) == (0, 0, 0)


async def test_money_on_hold_is_in_the_balance_but_not_available(conn: Connection) -> None:
    user = await make_user(conn, money=500)
    await conn.execute(
        "update account set held = 120, version = version + 1 where id = $1", user.wallet
    )

    found = await wallet.read_balance(conn, user.id, "PTS")

    assert found is not None
    assert (found.posted_minor, found.held_minor, found.available_minor) == (500, 120, 380)


async def test_nobody_has_no_balance(conn: Connection) -> None:
    user = await make_user(conn)

    assert await wallet.read_balance(conn, new_id(), "PTS") is None
    assert await wallet.read_balance(conn, user.id, "NGN") is None
    assert await wallet.spending_account(conn, user.id, "NGN") is None


async def test_the_balances_of_many_are_those_of_each(conn: Connection) -> None:
    rich, poor = await make_user(conn, money=500), await make_user(conn)
    owners = [poor.id, new_id(), rich.id, poor.id]

    found = await wallet.read_balances(conn, owners, "PTS")

    assert found == [await wallet.read_balance(conn, owner, "PTS") for owner in owners]
    assert [each and each.posted_minor for each in found] == [0, None, 500, 0]
    assert await wallet.read_balances(conn, [rich.id], "PTS") == [found[2]]
    assert await wallet.read_balances(conn, [rich.id, poor.id], "NGN") == [None, None]


async def test_an_owner_has_one_wallet_of_each_kind(conn: Connection) -> None:
    user = await make_user(conn, money=70)

    found = await wallet.list_wallets(conn, user.id)

    assert {each.kind for each in found} == set(ledger.USER_KINDS)
    spending = next(each for each in found if each.kind == wallet.SPENDING_KIND)
    assert spending.posted_minor == spending.available_minor == 70
    assert spending.account == await wallet.spending_account(conn, user.id, "PTS")
    assert len({each.id for each in found}) == len(found)


async def test_a_wallet_id_opens_the_wallet_for_its_owner_only(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)
    mine = (await wallet.list_wallets(conn, user.id))[0]

    assert await wallet.read_wallet(conn, user.id, mine.id) == mine
    assert await wallet.read_wallet(conn, other.id, mine.id) is None
    assert await wallet.read_wallet(conn, user.id, new_id()) is None


async def test_a_unit_of_a_call_is_one_line_for_each_side(conn: Connection) -> None:
    user, provider = await make_user(conn, money=500), await make_user(conn, provider=True)
    call = new_id()
    await charge(conn, user, provider, 120, call)

    paid, total = await wallet.list_entries(conn, user.id, [user.wallet], limit=20, offset=0)
    earned, earned_total = await wallet.list_entries(
        conn, provider.id, [provider.earnings], limit=20, offset=0
    )

    assert [(line.kind, line.amount_minor, line.ref) for line in paid] == [
        ("call_charge", -120, call),
        ("grant", 500, None),
    ]
    assert total == 2
    assert [(line.amount_minor, line.ref) for line in earned] == [(84, call)]
    assert earned_total == 1


async def test_entries_come_in_pages_newest_first(conn: Connection) -> None:
    user = await make_user(conn)
    for amount in range(1, 6):
        await give(conn, user.wallet, amount)

    first, total = await wallet.list_entries(conn, user.id, [user.wallet], limit=2, offset=0)
    last, same = await wallet.list_entries(conn, user.id, [user.wallet], limit=2, offset=4)
    beyond, still = await wallet.list_entries(conn, user.id, [user.wallet], limit=2, offset=9)

    assert [line.amount_minor for line in first] == [5, 4]
    assert [line.amount_minor for line in last] == [1]
    assert (beyond, total, same, still) == ([], 5, 5, 5)


async def test_entries_of_a_foreign_account_are_not_there(conn: Connection) -> None:
    user, other = await make_user(conn, money=500), await make_user(conn)

    assert await wallet.list_entries(conn, other.id, [user.wallet], limit=20, offset=0) == ([], 0)


async def test_the_account_of_a_kind_is_its_owners(conn: Connection) -> None:
    user, other = await make_user(conn), await make_user(conn)

    found = await wallet.account_of(conn, user.id, "primary", "PTS")

    assert found not in (None, await wallet.account_of(conn, other.id, "primary", "PTS"))
    assert await wallet.account_of(conn, user.id, "bonus", "PTS") is None
    assert await wallet.account_of(conn, user.id, "primary", "EUR") is None


async def test_a_new_balance_is_promised_with_its_reason(conn: Connection) -> None:
    user = await make_user(conn, money=7)

    await wallet.tell(conn, user.id, "PTS", reason="refund")

    row = await conn.fetchrow("select topic, body from outbox where user_id = $1", user.id)
    assert row is not None
    assert tuple(row) == (
        "wallet_changed",
        {"currency": "PTS", "reason": "refund", "balance": 7},
    )


async def test_entries_are_narrowed_by_kind_direction_and_time(conn: Connection) -> None:
    user, provider = await make_user(conn, money=500), await make_user(conn, provider=True)
    await charge(conn, user, provider, 120, new_id())
    now = await conn.fetchval("select now()")
    second = timedelta(seconds=1)

    for wanted, amounts in (
        (Wanted(kind="grant"), [500]),
        (Wanted(kind="call_charge"), [-120]),
        (Wanted(kind="payout"), []),
        (Wanted(direction="credit"), [500]),
        (Wanted(direction="debit"), [-120]),
        (Wanted(direction="debit", kind="grant"), []),
        (Wanted(since=now), [-120, 500]),
        (Wanted(until=now), []),
        (Wanted(since=now - second, until=now + second, direction="debit"), [-120]),
    ):
        lines, total = await wallet.list_entries(
            conn, user.id, [user.wallet], limit=20, offset=0, wanted=wanted
        )
        assert [line.amount_minor for line in lines] == amounts, wanted
        assert total == len(amounts)
