from __future__ import annotations

import asyncio

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.harness import Freshness, Person, Rest
from tests.rest.wallet.conftest import MINIMUM, ask, earn, funds


async def test_earnings_say_what_is_where(rest: Rest, kai: Person) -> None:
    await earn(rest, kai, 500, release=False)
    await ask(rest, kai, 300)

    found = (await rest.call("GET", "/wallet/earnings", by=kai, status=200)).body

    assert found.pop("nextReleaseAt").endswith("Z")
    assert found == {
        "success": True,
        "pending": 500,
        "available": 700,
        "inPayout": 300,
        "paidOut": 0,
        "totalEarned": 1_500,
        "currency": "PTS",
    }


async def test_who_never_earned_sees_noughts(rest: Rest, ann: Person) -> None:
    found = (await rest.call("GET", "/wallet/earnings", by=ann, status=200)).body
    assert (found["totalEarned"], found["nextReleaseAt"]) == (0, None)


async def test_a_payout_takes_the_money_at_once_and_shows_in_the_list(
    rest: Rest, kai: Person
) -> None:
    made = (await ask(rest, kai, 600, note="rent")).body["payout"]

    assert (made["amount"], made["status"], made["note"]) == (600, "requested", "rent")
    assert await funds(rest, kai) == 400
    one = await rest.call("GET", f"/wallet/payouts/{made['id']}", by=kai, status=200)
    listed = await rest.call("GET", "/wallet/payouts?limit=1", by=kai, status=200)
    assert one.body["payout"] == made
    assert (listed.body["items"], listed.body["total"]) == ([made], 1)


async def test_more_than_is_available_is_refused_with_both_figures(rest: Rest, kai: Person) -> None:
    await earn(rest, kai, 5_000, release=False)
    answer = await ask(rest, kai, 1_001, status=402)
    assert answer.error == "INSUFFICIENT_FUNDS"
    assert answer.body["details"] == {"required": 1_001, "available": 1_000}
    assert (await rest.call("GET", "/wallet/payouts", by=kai)).body["total"] == 0


async def test_parallel_requests_never_take_more_than_there_is(rest: Rest, kai: Person) -> None:
    answers = await asyncio.gather(*(ask(rest, kai, 400, status=None) for _ in range(10)))
    assert sorted(each.status for each in answers) == [201] * 2 + [402] * 8
    assert await funds(rest, kai) == 200


async def test_a_repeated_request_under_its_key_is_one_payout(rest: Rest, kai: Person) -> None:
    answers = await asyncio.gather(*(ask(rest, kai, 200, key="p1", status=None) for _ in range(6)))
    last = await ask(rest, kai, 200, key="p1")

    made = {each.body["payout"]["id"] for each in answers if each.status == 201}
    assert made == {last.body["payout"]["id"]}
    assert await funds(rest, kai) == 800
    assert (await ask(rest, kai, 201, key="p1", status=409)).error == "IDEMPOTENCY_CONFLICT"


async def test_a_crashed_attempt_finds_the_payout_it_made(rest: Rest, kai: Person) -> None:
    first = await ask(rest, kai, 200, key="p1")
    async with rest.pool.acquire() as conn:
        await conn.execute(
            "update idempotency set status = null, answer = null,"
            " created_at = created_at - interval '61 seconds'"
        )
    again = await ask(rest, kai, 200, key="p1")
    assert again.body == first.body
    assert await funds(rest, kai) == 800


async def test_the_owner_takes_a_payout_back(rest: Rest, kai: Person) -> None:
    made = (await ask(rest, kai, 600)).body["payout"]
    path = f"/wallet/payouts/{made['id']}/cancel"

    answers = await asyncio.gather(*(rest.call("POST", path, by=kai) for _ in range(5)))

    assert sorted(each.status for each in answers) == [200] + [409] * 4
    assert await funds(rest, kai) == 1_000


async def test_a_repeated_cancel_under_its_key_gets_the_first_answer(
    rest: Rest, kai: Person
) -> None:
    made = (await ask(rest, kai, 600)).body["payout"]
    path = f"/wallet/payouts/{made['id']}/cancel"

    first, again = [
        await rest.call("POST", path, by=kai, headers={HEADER: "c1"}, status=200) for _ in range(2)
    ]

    assert again.body == first.body
    assert await funds(rest, kai) == 1_000


async def test_nobody_sees_or_cancels_the_payout_of_another(
    rest: Rest, kai: Person, ann: Person
) -> None:
    made = (await ask(rest, kai, 600)).body["payout"]
    for known in (made["id"], new_id()):
        for method, path in (("GET", ""), ("POST", "/cancel")):
            answer = await rest.call(method, f"/wallet/payouts/{known}{path}", by=ann)
            assert (answer.status, answer.error) == (404, "PAYOUT_NOT_FOUND")
    assert (await rest.call("GET", "/wallet/payouts", by=ann)).body["items"] == []


async def test_who_is_no_provider_or_owes_money_takes_nothing_out(
    rest: Rest, kai: Person, ann: Person
) -> None:
    assert (await ask(rest, ann, 200, status=403)).error == "FORBIDDEN"
    async with rest.pool.acquire() as conn:
        await conn.execute(
            "update account set floor = -9, posted = -1, version = version + 1 "
            "where owner = $1 and kind = 'call_credits'",
            kai.id,
        )
    assert (await ask(rest, kai, 200, status=409)).error == "IN_DEBT"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": MINIMUM - 1, "destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": -200, "destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": 1e3, "destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": "200", "destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": 1_000_000_001, "destination": "x"}, "INVALID_AMOUNT", "amount"),
        ({"amount": 200}, "INVALID_DESTINATION", "destination"),
        ({"amount": 200, "destination": " "}, "INVALID_DESTINATION", "destination"),
        ({"amount": 200, "destination": "a\nb"}, "INVALID_DESTINATION", "destination"),
        ({"amount": 200, "destination": "x" * 101}, "INVALID_DESTINATION", "destination"),
        ({"amount": 200, "destination": "x", "status": "paid"}, "INVALID_PAYLOAD", "status"),
    ],
)
async def test_a_wrong_request_names_its_field(
    rest: Rest, kai: Person, body: dict[str, object], code: str, field: str
) -> None:
    answer = await rest.call("POST", "/wallet/payouts", by=kai, json=body, status=400)
    assert (answer.error, answer.body["details"]["field"]) == (code, field)
    assert await funds(rest, kai) == 1_000


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/wallet/earnings"),
        ("GET", "/wallet/payouts"),
        ("POST", "/wallet/payouts"),
        ("GET", f"/wallet/payouts/{new_id()}"),
        ("POST", f"/wallet/payouts/{new_id()}/cancel"),
    ],
)
async def test_payouts_are_for_those_who_are_logged_in(rest: Rest, method: str, path: str) -> None:
    assert (await rest.call(method, path)).status == 401


async def test_a_key_of_two_accounts_is_two_payouts(rest: Rest, kai: Person) -> None:
    pat = await rest.person("Pat", roles=("customer", "technician"))
    await earn(rest, pat, 1_000)
    made = [(await ask(rest, each, 200, key="same")).body["payout"]["id"] for each in (kai, pat)]
    assert len(set(made)) == 2


async def test_an_old_log_in_takes_nothing_out_and_a_fresh_one_may_use_the_same_key(
    rest: Rest, kai: Person, freshness: Freshness
) -> None:
    freshness.stale.add(kai.id)
    refused = await ask(rest, kai, 500, key="rent", status=403)
    assert refused.error == "FRESH_LOGIN_REQUIRED"
    assert await funds(rest, kai) == 1_000
    freshness.stale.clear()
    await ask(rest, kai, 500, key="rent")
    assert await funds(rest, kai) == 500
