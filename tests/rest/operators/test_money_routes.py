"""Wallets and payments as operators see them."""

from __future__ import annotations

from typing import Any

import pytest

from rest.operators.money_routes import MoneyRoutes
from storage import wallet
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, Person, Rest
from tests.rest.operators.desk import ADMIN
from tests.storage.paying import order, settle

PAYMENTS = "/operators/payments"


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(MoneyRoutes(pool, sellers={}))


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=ADMIN)


@pytest.fixture
async def bob(rest: Rest) -> Person:
    return await rest.person("Bob")


async def pay(pool: Pool, person: Person) -> str:
    """The id of a completed top-up of 1000."""
    async with pool.acquire() as conn, conn.transaction():
        payment = await order(conn, person.id)
        await settle(conn, payment)
    return str(payment.id)


async def found(rest: Rest, admin: Person, query: str = "") -> list[dict[str, Any]]:
    answer = await rest.call("GET", f"{PAYMENTS}?{query}", by=admin, status=200)
    assert answer.body["total"] == len(answer.body["items"])
    items: list[dict[str, Any]] = answer.body["items"]
    return items


def entries_of(person: Person, kind: str = "call_credits") -> str:
    wallet_id = wallet.wallet_id(person.id, kind, CURRENCY)
    return f"/operators/users/{person.id}/wallets/{wallet_id}/entries"


async def test_wallets_and_what_moved_in_them_are_shown(
    rest: Rest, ada: Person, bob: Person, pool: Pool
) -> None:
    payment = await pay(pool, bob)
    answer = await rest.call("GET", f"/operators/users/{bob.id}/wallets", by=ada, status=200)
    held = {each["type"]: each["balance"] for each in answer.body["items"]}
    assert held["call_credits"] == 1_000
    assert set(held) >= {"primary", "earnings_pending", "earnings_available"}
    answer = await rest.call("GET", entries_of(bob), by=ada, status=200)
    (entry,) = answer.body["items"]
    assert (entry["key"], entry["kind"]) == (f"payment:{payment}", "topup")
    assert (entry["amount"], entry["direction"], entry["ref"]) == (1_000, "credit", payment)
    for query, total in (("kind=topup", 1), ("direction=debit", 0), ("offset=1", 1)):
        answer = await rest.call("GET", f"{entries_of(bob)}?{query}", by=ada, status=200)
        assert answer.body["total"] == total


async def test_payments_are_found_and_say_whether_they_can_be_refunded(
    rest: Rest, ada: Person, bob: Person, pool: Pool
) -> None:
    paid, own = await pay(pool, bob), await pay(pool, ada)
    async with pool.acquire() as conn:
        opened = str((await order(conn, bob.id)).id)
        sale = await order(conn, bob.id, purpose="quote", target_id=new_id(), wallet=None)
        await conn.execute("update payment set status = 'completed' where id = $1", sale.id)
    shown = await found(rest, ada)
    assert [each["id"] for each in shown] == [str(sale.id), opened, own, paid]
    assert {each["id"] for each in shown if each["refundable"]} == {paid}
    for query, wanted in (
        (f"userId={ada.id}", [own]),
        (f"userId={bob.id}&status=processing", [opened]),
        ("status=refunded", []),
        ("gateway=stripe", []),
        ("gateway=sandbox&status=completed", [str(sale.id), own, paid]),
    ):
        assert [each["id"] for each in await found(rest, ada, query)] == wanted, query
    first = (await rest.call("GET", f"{PAYMENTS}?limit=1&offset=3", by=ada)).body
    assert (first["total"], first["items"][0]["userName"]) == (4, "Bob")


async def test_what_is_sold_can_be_refunded_where_its_seller_takes_it_back(
    start: Start, pool: Pool
) -> None:
    class Shop:
        """Is only looked at."""

    rest = await start(MoneyRoutes(pool, sellers={"quote": Shop()}))  # type: ignore[dict-item]
    ada, bob = await rest.person("Ada", roles=ADMIN), await rest.person("Bob")
    async with pool.acquire() as conn:
        sale = await order(conn, bob.id, purpose="quote", target_id=new_id(), wallet=None)
        await conn.execute("update payment set status = 'completed' where id = $1", sale.id)
    assert [each["refundable"] for each in await found(rest, ada)] == [True]


async def test_what_is_not_there_is_not_found(rest: Rest, ada: Person, bob: Person) -> None:
    answer = await rest.call("GET", f"/operators/users/{new_id()}/wallets", by=ada, status=404)
    assert answer.error == "USER_NOT_FOUND"
    theirs = entries_of(ada).replace(str(ada.id), str(bob.id))
    answer = await rest.call("GET", theirs, by=ada, status=404)
    assert answer.error == "WALLET_NOT_FOUND"


async def test_wrong_filters_name_their_field(rest: Rest, ada: Person, bob: Person) -> None:
    for path, query, field in (
        (PAYMENTS, "userId=bob", "userId"),
        (PAYMENTS, "status=paid", "status"),
        (PAYMENTS, "gateway=paypal", "gateway"),
        (entries_of(bob), "kind=Top-up", "kind"),
        (entries_of(bob), "direction=up", "direction"),
    ):
        answer = await rest.call("GET", f"{path}?{query}", by=ada, status=400)
        assert (answer.error, answer.body["details"]["field"]) == ("INVALID_FILTER", field)


async def test_others_see_nothing(rest: Rest, bob: Person) -> None:
    for path in (PAYMENTS, f"/operators/users/{bob.id}/wallets", entries_of(bob)):
        assert (await rest.call("GET", path, by=bob, status=403)).error == "FORBIDDEN"
