from __future__ import annotations

import asyncio

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.harness import Answer, Person, Rest
from tests.rest.wallet.conftest import ask, earn, funds

VERBS = {
    "approve": {},
    "reject": {"reason": "no such account"},
    "paid": {"reference": "T-1"},
    "returned": {"reason": "closed account"},
}


async def do(
    rest: Rest, by: Person, payout_id: object, verb: str, status: int | None = None
) -> Answer:
    path = f"/payouts/{payout_id}/{verb}"
    return await rest.call("POST", path, by=by, json=VERBS[verb], status=status)


async def requested(rest: Rest, kai: Person, amount: int = 600) -> str:
    return str((await ask(rest, kai, amount)).body["payout"]["id"])


async def told(rest: Rest, person: Person) -> list[str]:
    async with rest.pool.acquire() as conn:
        rows = await conn.fetch(
            "select type from notification where user_id = $1 order by created_at", person.id
        )
    return [row["type"] for row in rows]


async def test_a_payout_is_approved_and_paid(rest: Rest, kai: Person, ada: Person) -> None:
    payout_id = await requested(rest, kai)
    (waiting,) = (await rest.call("GET", "/payouts", by=ada, status=200)).body["items"]
    assert (waiting["id"], waiting["userId"]) == (payout_id, str(kai.id))

    approved = await rest.call("POST", f"/payouts/{payout_id}/approve", by=ada, status=200)
    assert (approved.body["payout"]["status"], approved.body["payout"]["decidedBy"]) == (
        "approved",
        str(ada.id),
    )
    paid = (await do(rest, ada, payout_id, "paid", 200)).body["payout"]

    assert (paid["status"], paid["reference"]) == ("paid", "T-1")
    assert (await rest.call("GET", "/payouts?status=paid", by=ada)).body["total"] == 1
    assert (await rest.call("GET", "/payouts?status=requested", by=ada)).body["total"] == 0
    assert await told(rest, kai) == ["PAYOUT_APPROVED", "PAYOUT_PAID"]
    earnings = (await rest.call("GET", "/wallet/earnings", by=kai)).body
    assert (earnings["paidOut"], earnings["inPayout"], earnings["available"]) == (600, 0, 400)


async def test_a_refused_payout_is_the_provider_s_money_again(
    rest: Rest, kai: Person, ada: Person
) -> None:
    rejected = await requested(rest, kai)
    await do(rest, ada, rejected, "reject", 200)
    returned = await requested(rest, kai)
    await do(rest, ada, returned, "approve", 200)
    await do(rest, ada, returned, "returned", 200)

    assert await funds(rest, kai) == 1_000
    seen = await rest.call("GET", f"/wallet/payouts/{rejected}", by=kai, status=200)
    assert (seen.body["payout"]["status"], seen.body["payout"]["reason"]) == (
        "rejected",
        "no such account",
    )
    assert await told(rest, kai) == ["PAYOUT_REJECTED", "PAYOUT_APPROVED", "PAYOUT_REJECTED"]


async def test_twenty_decisions_at_once_have_one_outcome(
    rest: Rest, kai: Person, ada: Person
) -> None:
    payout_id = await requested(rest, kai)

    answers = await asyncio.gather(
        *(do(rest, ada, payout_id, "approve" if n % 2 else "reject") for n in range(20))
    )

    assert sorted(each.status for each in answers) == [200] + [409] * 19
    (heard,) = [each.body["payout"]["status"] for each in answers if each.status == 200]
    assert {each.error for each in answers if each.status != 200} == {"WRONG_STATE"}
    assert await funds(rest, kai) == (400 if heard == "approved" else 1_000)
    assert len(await told(rest, kai)) == 1
    async with rest.pool.acquire() as conn:
        assert await conn.fetchval("select count(*) from audit_log") == 1


@pytest.mark.parametrize("verb", ["approve", "reject"])
async def test_a_repeated_decision_under_its_key_gets_the_first_answer(
    rest: Rest, kai: Person, ada: Person, verb: str
) -> None:
    path = f"/payouts/{await requested(rest, kai)}/{verb}"
    first, again = [
        await rest.call("POST", path, by=ada, json=VERBS[verb], headers={HEADER: "d1"}, status=200)
        for _ in range(2)
    ]
    assert again.body == first.body
    other = {"reason": "something else"}
    answer = await rest.call("POST", path, by=ada, json=other, headers={HEADER: "d1"}, status=409)
    assert answer.error == "IDEMPOTENCY_CONFLICT"


async def test_an_operator_does_not_decide_on_their_own_payout(rest: Rest) -> None:
    both = await rest.person("Both", roles=("customer", "admin", "companion"))
    await earn(rest, both, 1_000)
    payout_id = await requested(rest, both)
    for verb in ("approve", "reject"):
        answer = await do(rest, both, payout_id, verb, 403)
        assert answer.error == "SELF_APPROVAL"
    assert await funds(rest, both) == 400


async def test_steps_out_of_order_and_unknown_payouts_are_refused(
    rest: Rest, kai: Person, ada: Person
) -> None:
    payout_id = await requested(rest, kai)
    for verb in ("paid", "returned"):
        refused = await do(rest, ada, payout_id, verb, 409)
        assert refused.error == "WRONG_STATE"
        assert refused.body["details"] == {"status": "requested"}
    for verb in VERBS:
        assert (await do(rest, ada, new_id(), verb, 404)).error == "PAYOUT_NOT_FOUND"


async def test_the_desk_is_for_operators(rest: Rest, kai: Person, ann: Person) -> None:
    payout_id = await requested(rest, kai)
    for person in (kai, ann):
        assert (await rest.call("GET", "/payouts", by=person)).status == 403
        for verb in VERBS:
            assert (await do(rest, person, payout_id, verb)).status == 403
    assert (await rest.call("GET", "/payouts")).status == 401


@pytest.mark.parametrize(
    ("verb", "body", "code", "field"),
    [
        ("approve", {"reason": ""}, "INVALID_REASON", "reason"),
        ("reject", {}, "INVALID_REASON", "reason"),
        ("reject", {"reason": "x" * 501}, "INVALID_REASON", "reason"),
        ("paid", {}, "INVALID_REFERENCE", "reference"),
        ("paid", {"reference": "a\tb"}, "INVALID_REFERENCE", "reference"),
        ("returned", {"reason": None}, "INVALID_REASON", "reason"),
    ],
)
async def test_a_wrong_decision_names_its_field(
    rest: Rest, ada: Person, verb: str, body: dict[str, object], code: str, field: str
) -> None:
    answer = await rest.call("POST", f"/payouts/{new_id()}/{verb}", by=ada, json=body, status=400)
    assert (answer.error, answer.body["details"]["field"]) == (code, field)


async def test_an_unknown_status_is_named(rest: Rest, ada: Person) -> None:
    answer = await rest.call("GET", "/payouts?status=lost", by=ada, status=400)
    assert answer.error == "INVALID_STATUS"
