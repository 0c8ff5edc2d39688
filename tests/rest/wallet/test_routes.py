from __future__ import annotations

from urllib.parse import quote

import pytest

from storage import ledger, wallet
from storage.ids import new_id
from tests.rest.harness import CURRENCY, Person, Rest
from tests.storage.world import give, give_bonus


async def fund(rest: Rest, person: Person, *amounts: int) -> None:
    async with rest.pool.acquire() as conn, conn.transaction():
        account = await wallet.spending_account(conn, person.id, CURRENCY)
        assert account is not None
        for amount in amounts:
            await give(conn, account, amount)


async def test_the_balance_tells_what_is_held_and_what_may_be_spent(
    rest: Rest, ann: Person
) -> None:
    await fund(rest, ann, 500)
    async with rest.pool.acquire() as conn:
        await conn.execute(
            "update account set held = 120, version = version + 1"
            " where owner = $1 and kind = 'call_credits'",
            ann.id,
        )

    answer = await rest.call("GET", "/wallet/balance", by=ann, status=200)

    assert answer.body.pop("updatedAt").endswith("Z")
    assert answer.body == {
        "success": True,
        "userId": str(ann.id),
        "balance": 500,
        "available": 380,
        "held": 120,
        "bonus": 0,
        "bonusExpiresAt": None,
        "currency": "PTS",
    }


async def test_the_balance_counts_the_bonus(rest: Rest, ann: Person) -> None:
    await fund(rest, ann, 500)
    async with rest.pool.acquire() as conn, conn.transaction():
        await give_bonus(conn, ann.id, 80)

    answer = await rest.call("GET", "/wallet/balance", by=ann, status=200)

    assert (answer.body["balance"], answer.body["available"]) == (580, 580)
    assert answer.body["bonus"] == 80
    assert answer.body["bonusExpiresAt"] is not None


async def test_what_is_paid_by_bonus_stands_among_the_entries(rest: Rest, ann: Person) -> None:
    await fund(rest, ann, 500)
    async with rest.pool.acquire() as conn, conn.transaction():
        await give_bonus(conn, ann.id, 80)

    answer = await rest.call("GET", "/wallet/entries", by=ann, status=200)
    own = await rest.call("GET", f"/wallets/{answer.body['walletId']}/entries", by=ann, status=200)

    assert [each["amount"] for each in answer.body["items"]] == [80, 500]
    assert [each["amount"] for each in own.body["items"]] == [500]


async def test_an_account_without_a_wallet_hears_so(rest: Rest) -> None:
    nobody = Person(new_id(), new_id(), rest.keys.issue(new_id(), new_id(), [], rest.wall_s))

    for path in ("/wallet/balance", "/wallet/entries"):
        answer = await rest.call("GET", path, by=nobody)
        assert (answer.status, answer.error) == (404, "WALLET_NOT_FOUND")


async def test_wallets_are_listed_and_opened_by_their_public_id(rest: Rest, ann: Person) -> None:
    await fund(rest, ann, 70)

    items = (await rest.call("GET", "/wallets", by=ann, status=200)).body["items"]

    assert sorted(each["type"] for each in items) == [
        "call_credits",
        "earnings_available",
        "earnings_pending",
        "primary",
    ]
    for each in items:
        opened = await rest.call("GET", f"/wallets/{each['id']}", by=ann, status=200)
        assert opened.body["wallet"] == each
    assert sum(each["balance"] for each in items) == 70


async def test_entries_of_the_spending_wallet_have_two_addresses(rest: Rest, ann: Person) -> None:
    await fund(rest, ann, 10, 20, 30)
    spending = wallet.wallet_id(ann.id, "call_credits", CURRENCY)

    direct = await rest.call("GET", "/wallet/entries?limit=2", by=ann, status=200)
    by_id = await rest.call("GET", f"/wallets/{spending}/entries?limit=2", by=ann, status=200)
    rest_of = await rest.call("GET", "/wallet/entries?limit=2&page=2", by=ann, status=200)

    assert direct.body == by_id.body
    assert direct.body["walletId"] == str(spending)
    assert [(each["amount"], each["kind"]) for each in direct.body["items"]] == [
        (30, "grant"),
        (20, "grant"),
    ]
    assert direct.body["total"] == 3
    assert [each["amount"] for each in rest_of.body["items"]] == [10]
    assert rest_of.body["offset"] == 2


async def test_nobody_opens_the_wallet_of_another(rest: Rest, ann: Person) -> None:
    ben = await rest.person("Ben")
    await fund(rest, ann, 10)
    items = (await rest.call("GET", "/wallets", by=ann, status=200)).body["items"]

    for each in items:
        for path in (f"/wallets/{each['id']}", f"/wallets/{each['id']}/entries"):
            answer = await rest.call("GET", path, by=ben)
            assert (answer.status, answer.error) == (404, "WALLET_NOT_FOUND")
    assert (await rest.call("GET", "/wallet/balance", by=ben, status=200)).body["balance"] == 0
    assert (await rest.call("GET", "/wallet/entries", by=ben, status=200)).body["items"] == []


@pytest.mark.parametrize(
    "path", ["/wallet/balance", "/wallet/entries", "/wallets", f"/wallets/{new_id()}"]
)
async def test_money_is_shown_to_those_who_are_logged_in(rest: Rest, path: str) -> None:
    assert (await rest.call("GET", path)).status == 401


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("limit=ten", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("page=0", "INVALID_PAGE"),
        ("page=1&offset=0", "INVALID_PAGE"),
        ("sort=newest", "INVALID_QUERY"),
        ("kind=Call-Charge", "INVALID_FILTER"),
        ("direction=in", "INVALID_FILTER"),
        ("from=today", "INVALID_FILTER"),
        ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "INVALID_FILTER"),
    ],
)
async def test_a_wrong_page_is_named(rest: Rest, ann: Person, query: str, code: str) -> None:
    answer = await rest.call("GET", f"/wallet/entries?{query}", by=ann)

    assert (answer.status, answer.error) == (400, code)


async def test_entries_are_filtered_by_kind_direction_and_time(rest: Rest, ann: Person) -> None:
    await fund(rest, ann, 10, 20)
    async with rest.pool.acquire() as conn:
        account = await wallet.spending_account(conn, ann.id, CURRENCY)
        assert account is not None
        promo = await ledger.system_account(conn, "promo", "", CURRENCY)
        move = ledger.Move(account, promo, 5, "fee")
        await ledger.post(conn, key="fee", kind="fee", moves=[move])
        later: str = (await conn.fetchval("select now() + interval '1 s'")).isoformat()

    for query, amounts in (
        ("kind=grant", [20, 10]),
        ("kind=nothing", []),
        ("direction=debit", [-5]),
        ("direction=credit&limit=1", [20]),
        (f"to={quote(later)}", [-5, 20, 10]),
        (f"from={quote(later)}", []),
    ):
        found = (await rest.call("GET", f"/wallet/entries?{query}", by=ann, status=200)).body
        assert [each["amount"] for each in found["items"]] == amounts, query
        assert found["total"] == (2 if "credit" in query else len(amounts))


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("sort=price", "INVALID_SORT"),
        ("otomoId=kai", "INVALID_FILTER"),
    ],
)
async def test_a_wrong_page_of_usage_is_named(
    rest: Rest, ann: Person, query: str, code: str
) -> None:
    answer = await rest.call("GET", f"/wallet/usage?{query}", by=ann, status=400)
    assert answer.error == code
