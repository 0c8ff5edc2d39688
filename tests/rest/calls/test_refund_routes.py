from __future__ import annotations

import asyncio

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.calls.conftest import Exchange
from tests.rest.harness import Answer, Person

REASON = {"reason": "no sound"}


@pytest.fixture
async def ann(exchange: Exchange) -> Person:
    return await exchange.customer(funds=1_000)


@pytest.fixture
async def kai(exchange: Exchange) -> Person:
    return await exchange.provider(price=100)


@pytest.fixture
async def ada(exchange: Exchange) -> Person:
    return await exchange.admin()


async def spoken(exchange: Exchange, ann: Person, kai: Person) -> str:
    """A call that ended after it had cost 200, of which 140 were earned."""
    call_id = await exchange.request(ann, kai)
    await exchange.patch(kai, call_id, "answer", status=200)
    await exchange.node.passes(61_000)
    await exchange.patch(ann, call_id, "end", status=200)
    return call_id


async def refund(
    exchange: Exchange, by: Person, call_id: object, json: object = None, key: str | None = None
) -> Answer:
    headers = {} if key is None else {HEADER: key}
    path = f"/calls/{call_id}/refund"
    body = REASON if json is None else json
    return await exchange.rest.call("POST", path, by=by, json=body, headers=headers)


async def money(exchange: Exchange, person: Person, kind: str = "call_credits") -> int:
    found: int = await exchange.node.pool.fetchval(
        "select posted from account where owner = $1 and kind = $2", person.id, kind
    )
    return found


async def test_an_operator_gives_a_call_back_once(
    exchange: Exchange, ann: Person, kai: Person, ada: Person
) -> None:
    call_id = await spoken(exchange, ann, kai)
    assert (await money(exchange, ann), await money(exchange, kai, "earnings_pending")) == (
        800,
        140,
    )

    answer = await refund(exchange, ada, call_id, key="r1")

    assert answer.body == {
        "success": True,
        "callId": call_id,
        "refunded": 200,
        "recalled": 0,
        "houseBore": 0,
        "currency": "PTS",
    }
    assert (await refund(exchange, ada, call_id, key="r1")).body == answer.body
    assert (await refund(exchange, ada, call_id)).error == "ALREADY_REFUNDED"
    assert (await money(exchange, ann), await money(exchange, kai, "earnings_pending")) == (
        1_000,
        0,
    )


async def test_many_operators_at_once_give_it_back_once(
    exchange: Exchange, ann: Person, kai: Person, ada: Person
) -> None:
    call_id = await spoken(exchange, ann, kai)

    answers = await asyncio.gather(*(refund(exchange, ada, call_id) for _ in range(12)))

    assert sorted(each.status for each in answers) == [200] + [409] * 11
    assert await money(exchange, ann) == 1_000


async def test_earnings_that_are_gone_are_borne_by_the_house_or_not_refunded(
    exchange: Exchange, ann: Person, kai: Person, ada: Person
) -> None:
    call_id = await spoken(exchange, ann, kai)
    # Somebody took 100 of them for something else.
    await exchange.node.pool.execute(
        "update account set posted = posted - 100, version = version + 1 "
        "where owner = $1 and kind = 'earnings_pending'",
        kai.id,
    )

    refused = await refund(exchange, ada, call_id)
    assert (refused.status, refused.error) == (409, "EARNINGS_PAID_OUT")
    assert refused.body["details"] == {"missing": 100}

    borne = await refund(exchange, ada, call_id, {**REASON, "houseBears": True})
    assert borne.body["houseBore"] == 100


async def test_a_live_a_free_and_an_unknown_call_are_not_refunded(
    exchange: Exchange, ann: Person, kai: Person, ada: Person
) -> None:
    call_id = await exchange.request(ann, kai)
    assert (await refund(exchange, ada, call_id)).error == "CALL_NOT_ENDED"
    await exchange.patch(ann, call_id, "cancel", status=200)
    assert (await refund(exchange, ada, call_id)).error == "NOTHING_TO_REFUND"
    assert (await refund(exchange, ada, new_id())).error == "CALL_NOT_FOUND"


async def test_only_operators_refund(exchange: Exchange, ann: Person, kai: Person) -> None:
    call_id = await spoken(exchange, ann, kai)
    for person in (ann, kai):
        answer = await refund(exchange, person, call_id)
        assert (answer.status, answer.error) == (403, "FORBIDDEN")
    assert (await exchange.rest.call("POST", f"/calls/{call_id}/refund", json=REASON)).status == 401
    assert await money(exchange, ann) == 800


async def test_an_operator_does_not_refund_their_own_call(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await spoken(exchange, ann, kai)
    token = exchange.rest.keys.issue(
        ann.id, ann.session_id, ("customer", "admin"), exchange.rest.wall_s
    )
    answer = await refund(exchange, Person(ann.id, ann.session_id, token), call_id)
    assert (answer.status, answer.error) == (403, "SELF_APPROVAL")
    assert await money(exchange, ann) == 800


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({}, "INVALID_REASON", "reason"),
        ({"reason": " "}, "INVALID_REASON", "reason"),
        ({"reason": "x" * 501}, "INVALID_REASON", "reason"),
        ({**REASON, "houseBears": "yes"}, "INVALID_PAYLOAD", "houseBears"),
        ({**REASON, "amount": 5}, "INVALID_PAYLOAD", "amount"),
    ],
)
async def test_a_wrong_refund_names_its_field(
    exchange: Exchange, ada: Person, body: dict[str, object], code: str, field: str
) -> None:
    answer = await refund(exchange, ada, new_id(), body)
    assert (answer.status, answer.error) == (400, code)
    assert answer.body["details"]["field"] == field
