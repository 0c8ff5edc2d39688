"""Adjusting wallets by REST: at once up to a limit, beyond it with a second operator."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from rest.http.idempotency import HEADER, REPLAYED, Idempotency
from rest.operators.adjustment_routes import AdjustmentRoutes
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, Answer, Person, Rest
from tests.rest.operators.desk import ADMIN, audit_of
from tests.storage.world import check_books

PATH = "/operators/adjustments"
LIMIT = 1_000
WHY = {"reason": "I have seen the log."}


class Kicks:
    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def kicks() -> Kicks:
    return Kicks()


@pytest.fixture
async def rest(start: Start, pool: Pool, kicks: Kicks) -> Rest:
    return await start(
        AdjustmentRoutes(
            pool,
            idempotency=Idempotency(pool),
            currency=CURRENCY,
            alone_max=LIMIT,
            kick=kicks,
        )
    )


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=ADMIN)


@pytest.fixture
async def eve(rest: Rest) -> Person:
    return await rest.person("Eve", roles=ADMIN)


@pytest.fixture
async def bob(rest: Rest) -> Person:
    return await rest.person("Bob")


async def ask(
    rest: Rest,
    admin: Person,
    person: Person,
    amount: int,
    *,
    wallet: str = "call_credits",
    key: str | None = None,
    status: int = 201,
) -> Answer:
    return await rest.call(
        "POST",
        PATH,
        by=admin,
        json={"userId": str(person.id), "wallet": wallet, "amount": amount, "reason": "A gift."},
        headers={} if key is None else {HEADER: key},
        status=status,
    )


async def pending(rest: Rest, admin: Person, person: Person, amount: int) -> str:
    """The id of one that waits."""
    made = (await ask(rest, admin, person, amount)).body["adjustment"]
    assert (made["status"], made["decidedAt"]) == ("pending", None)
    return str(made["id"])


async def decide(
    rest: Rest, admin: Person, adjustment_id: str, verb: str, status: int = 200
) -> Answer:
    return await rest.call(
        "POST", f"{PATH}/{adjustment_id}/{verb}", by=admin, json=WHY, status=status
    )


async def funds(rest: Rest, person: Person, wallet: str = "call_credits") -> int:
    found: int = await rest.pool.fetchval(
        "select posted from account where owner = $1 and kind = $2", person.id, wallet
    )
    return found


async def test_a_small_adjustment_is_posted_at_once_and_told(
    rest: Rest, ada: Person, bob: Person, pool: Pool, kicks: Kicks
) -> None:
    made = (await ask(rest, ada, bob, 600)).body["adjustment"]
    assert (made["status"], made["amount"], made["userName"]) == ("approved", 600, "Bob")
    assert (made["requestedByName"], made["decidedBy"]) == ("Ada", None)
    assert (await funds(rest, bob), kicks.count) == (600, 1)
    await ask(rest, ada, bob, -100)
    assert await funds(rest, bob) == 500
    told = await pool.fetch(
        "select message from notification where user_id = $1 order by id", bob.id
    )
    assert [row[0] for row in told] == ["Your wallet was credited.", "Your wallet was debited."]
    topics = await pool.fetch("select topic, body from outbox where user_id = $1", bob.id)
    changed: list[Any] = [row["body"] for row in topics if row["topic"] == "wallet_changed"]
    assert [(each["reason"], each["balance"]) for each in changed] == [
        ("adjustment", 600),
        ("adjustment", 500),
    ]
    line = ("adjustment.post", ada.id, "A gift.")
    assert await audit_of(rest, made["id"]) == [line]
    await check_books(pool)


@pytest.mark.parametrize("wallet", ["primary", "earnings_available"])
async def test_other_wallets_are_adjusted_too(
    rest: Rest, ada: Person, bob: Person, pool: Pool, wallet: str
) -> None:
    await ask(rest, ada, bob, 600, wallet=wallet)
    await ask(rest, ada, bob, -200, wallet=wallet)
    assert await funds(rest, bob, wallet) == 400
    await check_books(pool)


async def test_a_large_one_waits_for_a_second_operator(
    rest: Rest, ada: Person, eve: Person, bob: Person, pool: Pool
) -> None:
    adjustment_id = await pending(rest, ada, bob, LIMIT + 1)
    assert await funds(rest, bob) == 0
    answer = await decide(rest, ada, adjustment_id, "approve", 403)
    assert answer.error == "SELF_APPROVAL"
    decided = (await decide(rest, eve, adjustment_id, "approve")).body["adjustment"]
    assert (decided["status"], decided["decidedByName"]) == ("approved", "Eve")
    assert decided["decision"] == WHY["reason"]
    assert await funds(rest, bob) == LIMIT + 1
    for verb in ("approve", "reject"):
        answer = await decide(rest, eve, adjustment_id, verb, 409)
        assert (answer.error, answer.body["details"]) == ("WRONG_STATE", {"status": "approved"})
    assert [line[:2] for line in await audit_of(rest, decided["id"])] == [
        ("adjustment.request", ada.id),
        ("adjustment.approve", eve.id),
    ]
    await check_books(pool)


async def test_small_sums_count_together_until_a_day_has_passed(
    rest: Rest, ada: Person, eve: Person, bob: Person, pool: Pool
) -> None:
    await ask(rest, ada, bob, LIMIT - 100)
    await pending(rest, ada, bob, 101)
    await pending(rest, ada, bob, -101)
    # What was not posted alone does not count, and each operator has a limit of their own.
    for admin in (ada, eve):
        made = (await ask(rest, admin, bob, -100)).body["adjustment"]
        assert made["status"] == "approved"
    await pending(rest, ada, bob, 1)
    async with pool.acquire() as conn, conn.transaction():
        await conn.execute("set local session_replication_role = replica")
        await conn.execute("update adjustment set requested_at = now() - interval '25 hours'")
    assert (await ask(rest, ada, bob, 1)).body["adjustment"]["status"] == "approved"


async def test_of_many_at_once_no_more_than_the_limit_is_posted(
    rest: Rest, ada: Person, bob: Person, pool: Pool
) -> None:
    answers = await asyncio.gather(*(ask(rest, ada, bob, 400) for _ in range(6)))
    states = sorted(each.body["adjustment"]["status"] for each in answers)
    assert states == ["approved"] * 2 + ["pending"] * 4
    assert await funds(rest, bob) == 800
    await check_books(pool)


async def test_of_many_approvals_at_once_one_is_heard(
    rest: Rest, ada: Person, eve: Person, bob: Person, pool: Pool
) -> None:
    adjustment_id = await pending(rest, ada, bob, 5_000)
    admins = [eve, *[await rest.person(f"Op {n}", roles=ADMIN) for n in range(3)]]
    answers = await asyncio.gather(
        *(
            rest.call("POST", f"{PATH}/{adjustment_id}/approve", by=admin, json=WHY)
            for admin in admins
        )
    )
    assert sorted(each.status for each in answers) == [200, 409, 409, 409]
    assert await funds(rest, bob) == 5_000
    await check_books(pool)


async def test_a_wallet_never_gets_below_zero(
    rest: Rest, ada: Person, eve: Person, bob: Person, pool: Pool
) -> None:
    answer = await ask(rest, ada, bob, -1, status=409)
    assert answer.error == "INSUFFICIENT_FUNDS"
    assert answer.body["details"] == {"required": 1, "available": 0}
    adjustment_id = await pending(rest, ada, bob, -5_000)
    answer = await decide(rest, eve, adjustment_id, "approve", 409)
    assert answer.error == "INSUFFICIENT_FUNDS"
    answer = await rest.call("GET", f"{PATH}?status=pending", by=eve, status=200)
    assert [each["id"] for each in answer.body["items"]] == [adjustment_id]
    await check_books(pool)


async def test_a_rejected_one_moves_nothing(
    rest: Rest, ada: Person, eve: Person, bob: Person
) -> None:
    for admin in (ada, eve):
        adjustment_id = await pending(rest, ada, bob, 5_000)
        decided = (await decide(rest, admin, adjustment_id, "reject")).body["adjustment"]
        assert (decided["status"], decided["decidedBy"]) == ("rejected", str(admin.id))
        assert (await decide(rest, eve, adjustment_id, "approve", 409)).error == "WRONG_STATE"
    assert await funds(rest, bob) == 0


async def test_nobody_adjusts_their_own_wallet(
    rest: Rest, ada: Person, eve: Person, bob: Person
) -> None:
    assert (await ask(rest, ada, ada, 1, status=403)).error == "SELF_APPROVAL"
    adjustment_id = await pending(rest, ada, eve, 5_000)
    for verb in ("approve", "reject"):
        assert (await decide(rest, eve, adjustment_id, verb, 403)).error == "SELF_APPROVAL"


async def test_the_same_key_adjusts_once(rest: Rest, ada: Person, bob: Person, pool: Pool) -> None:
    first = await ask(rest, ada, bob, 100, key="once")
    again = await ask(rest, ada, bob, 100, key="once")
    assert again.headers[REPLAYED.lower()] == "true"
    assert first.body == again.body
    # As if the first answer had been lost in a crash.
    await pool.execute("delete from idempotency")
    assert (await ask(rest, ada, bob, 100, key="once")).body == first.body
    assert await funds(rest, bob) == 100
    await pool.execute("delete from idempotency")
    answer = await ask(rest, ada, bob, 101, key="once", status=409)
    assert answer.error == "IDEMPOTENCY_CONFLICT"


async def test_a_deleted_account_is_not_adjusted(
    rest: Rest, ada: Person, eve: Person, bob: Person, pool: Pool
) -> None:
    adjustment_id = await pending(rest, ada, bob, 5_000)
    await pool.execute("update users set status = 'deleted' where id = $1", bob.id)
    assert (await ask(rest, ada, bob, 1, status=404)).error == "USER_NOT_FOUND"
    assert (await decide(rest, eve, adjustment_id, "approve", 404)).error == "USER_NOT_FOUND"
    await decide(rest, eve, adjustment_id, "reject")


async def test_adjustments_are_listed_the_newest_first(
    rest: Rest, ada: Person, bob: Person
) -> None:
    made = [(await ask(rest, ada, bob, amount)).body["adjustment"] for amount in (600, 500)]
    answer = await rest.call("GET", PATH, by=ada, status=200)
    assert (answer.body["items"], answer.body["total"]) == (made[::-1], 2)
    answer = await rest.call("GET", f"{PATH}?status=approved", by=ada, status=200)
    assert (answer.body["items"], answer.body["total"]) == (made[:1], 1)


async def test_what_is_not_there_is_not_found(rest: Rest, ada: Person) -> None:
    for verb in ("approve", "reject"):
        answer = await decide(rest, ada, str(new_id()), verb, 404)
        assert answer.error == "ADJUSTMENT_NOT_FOUND"


async def test_wrong_input_names_its_field(rest: Rest, ada: Person, bob: Person) -> None:
    good = {"userId": str(bob.id), "wallet": "primary", "amount": 1, "reason": "x"}
    for change, field, code in (
        ({"amount": 0}, "amount", "INVALID_AMOUNT"),
        ({"amount": 1_000_000_001}, "amount", "INVALID_AMOUNT"),
        ({"wallet": "bonus"}, "wallet", "INVALID_WALLET"),
        ({"reason": ""}, "reason", "INVALID_REASON"),
        ({"userId": "bob"}, "userId", "INVALID_PAYLOAD"),
    ):
        answer = await rest.call("POST", PATH, by=ada, json=good | change, status=400)
        assert (answer.error, answer.body["details"]["field"]) == (code, field)
    answer = await rest.call("GET", f"{PATH}?status=open", by=ada, status=400)
    assert answer.error == "INVALID_FILTER"


async def test_others_adjust_nothing(rest: Rest, bob: Person) -> None:
    body = {"userId": str(bob.id), "wallet": "primary", "amount": 1, "reason": "x"}
    for method, path, sent in (
        ("POST", PATH, body),
        ("GET", PATH, None),
        ("POST", f"{PATH}/{new_id()}/approve", WHY),
        ("POST", f"{PATH}/{new_id()}/reject", WHY),
    ):
        assert (await rest.call(method, path, by=bob, json=sent, status=403)).error == "FORBIDDEN"
