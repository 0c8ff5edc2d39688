"""The end of an account, as its owner asks for it."""

from __future__ import annotations

import asyncio

from server.people import grant
from storage import credentials
from storage.ids import new_id
from tests.rest.account.conftest import Account
from tests.rest.harness import CURRENCY, START_MS, Person


async def opened(account: Account, person: Person, first: bytes) -> None:
    """Make the person's session a real one."""
    async with account.rest.pool.acquire() as conn:
        await credentials.open_session(
            conn,
            session_id=person.session_id,
            user_id=person.id,
            refresh_hash=first * 32,
            now_ms=START_MS,
            idle_ms=1_000,
            lifetime_ms=1_000,
        )


async def test_a_deleted_account_is_logged_out_everywhere_at_once(account: Account) -> None:
    rest = account.rest
    ann = await rest.person("Ann", email="ann@example.org", phone="+4915112345678")
    await opened(account, ann, b"a")
    tablet = Person(ann.id, new_id(), "")
    await opened(account, tablet, b"b")
    await rest.call("DELETE", "/user/delete", by=ann, status=200)
    assert account.left == [ann.id, ann.id], "before, and whoever was quick meanwhile"
    assert set(account.ended) == {ann.session_id, tablet.session_id}
    await rest.call("GET", "/user/me", by=ann, status=401)
    await rest.call("DELETE", "/user/delete", by=ann, status=401)
    await rest.call("GET", f"/users/{ann.id}", status=404)
    again = await rest.person("Ann", email="ann@example.org", phone="+4915112345678")
    assert again.id != ann.id


async def test_an_old_log_in_deletes_nothing_and_ends_no_call(account: Account) -> None:
    ann = await account.rest.person("Ann")
    account.freshness.stale.add(ann.id)
    refused = await account.rest.call("DELETE", "/user/delete", by=ann, status=403)
    assert refused.error == "FRESH_LOGIN_REQUIRED"
    assert (account.left, account.ended) == ([], [])
    account.freshness.stale.clear()
    await account.rest.call("DELETE", "/user/delete", by=ann, status=200)


async def test_deleting_twice_at_once_is_deleting_once(account: Account) -> None:
    ann = await account.rest.person("Ann")
    answers = await asyncio.gather(
        *(account.rest.call("DELETE", "/user/delete", by=ann) for _ in range(4))
    )
    assert {answer.status for answer in answers} <= {200, 401}
    assert answers[0].status == 200
    status = await account.rest.pool.fetchval("select status from users where id = $1", ann.id)
    assert status == "deleted"


async def test_money_is_only_given_up_in_so_many_words(account: Account) -> None:
    rest = account.rest
    ann = await rest.person("Ann")
    async with rest.pool.acquire() as conn, conn.transaction():
        await grant(conn, ann.id, 250, CURRENCY, "a gift")
    refused = await rest.call("DELETE", "/user/delete", by=ann, status=409)
    assert refused.error == "WALLET_NOT_EMPTY"
    assert refused.body["details"] == {"balance": {CURRENCY: 250}}
    assert account.ended == []
    odd = await rest.call("DELETE", "/user/delete?forfeit=perhaps", by=ann, status=400)
    assert odd.body["details"] == {"field": "forfeit"}
    await rest.call("GET", "/user/me", by=ann, status=200)
    await rest.call("DELETE", "/user/delete?forfeit=true", by=ann, status=200)


async def test_earnings_are_never_given_up(account: Account) -> None:
    rest = account.rest
    ann = await rest.person("Ann")
    await rest.pool.execute(
        "update account set posted = 90, version = version + 1 "
        "where owner = $1 and kind = 'earnings_pending'",
        ann.id,
    )
    refused = await rest.call("DELETE", "/user/delete?forfeit=true", by=ann, status=409)
    assert refused.error == "EARNINGS_NOT_PAID"
    assert refused.body["details"] == {"earnings": {CURRENCY: 90}}


async def test_a_call_that_is_not_settled_holds_the_account(account: Account) -> None:
    ann = await account.rest.person("Ann")
    await account.rest.pool.execute(
        "insert into call_slot (user_id, call_id) values ($1, $2)", ann.id, new_id()
    )
    refused = await account.rest.call("DELETE", "/user/delete", by=ann, status=409)
    assert refused.error == "ACCOUNT_BUSY"
