from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from rest.http.body import Body, read_body
from rest.http.errors import Problem
from rest.http.idempotency import ERRORS, HEADER, Idempotency
from rest.http.reply import reply
from rest.http.route import Route
from signalling.events import Shape
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Answer, Person, Rest


class Order(Body, frozen=True):
    amount: int
    note: str = ""


class Receipt(Shape, frozen=True):
    number: int
    amount: int


class Shop:
    """Counts its sales. `gate` holds a sale up; `failing` is what the next sale ends with."""

    def __init__(self, pool: Pool) -> None:
        self._idempotency = Idempotency(pool)
        self.sales = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.began = asyncio.Event()
        self.failing: Exception | None = None

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/orders",
                self.order,
                summary="Buy",
                returns=Receipt,
                body=Order,
                status=201,
                errors=(*ERRORS, "CONFLICT"),
            )
        ]

    async def order(self, request: web.Request) -> web.Response:
        body = await read_body(request, Order)

        async def work() -> web.Response:
            self.began.set()
            await self.gate.wait()
            self.sales += 1
            if self.failing is not None:
                raise self.failing
            return reply(Receipt(number=self.sales, amount=body.amount), 201)

        return await self._idempotency.once(request, body, work)


@pytest.fixture
def shop(pool: Pool) -> Shop:
    return Shop(pool)


@pytest.fixture
async def rest(start: Start, shop: Shop) -> Rest:
    return await start(shop)


@pytest.fixture
async def ann(rest: Rest) -> Person:
    return await rest.person()


async def buy(
    rest: Rest, by: Person, *, amount: int = 5, key: str = "k1", raw: bytes | None = None
) -> Answer:
    json = None if raw is not None else {"amount": amount}
    return await rest.call("POST", "/orders", by=by, json=json, raw=raw, headers={HEADER: key})


async def test_a_repeated_request_gets_the_first_answer(rest: Rest, ann: Person) -> None:
    first = await buy(rest, ann)
    again = await buy(rest, ann)

    assert (first.status, again.status) == (201, 201)
    assert again.raw == first.raw
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers


async def test_the_same_body_written_otherwise_is_the_same_request(
    rest: Rest, shop: Shop, ann: Person
) -> None:
    await buy(rest, ann, raw=b'{"amount":5,"note":"a"}')

    again = await buy(rest, ann, raw=b'{ "note": "a", "amount": 5 }')

    assert again.status == 201
    assert shop.sales == 1


async def test_without_a_key_each_request_counts(rest: Rest, shop: Shop, ann: Person) -> None:
    for _ in range(2):
        await rest.call("POST", "/orders", by=ann, json={"amount": 5}, status=201)

    assert shop.sales == 2


async def test_another_body_under_the_key_is_a_conflict(rest: Rest, ann: Person) -> None:
    await buy(rest, ann)

    refused = await buy(rest, ann, amount=6)

    assert (refused.status, refused.error) == (409, "IDEMPOTENCY_CONFLICT")


async def test_keys_of_two_accounts_have_nothing_to_do_with_each_other(
    rest: Rest, shop: Shop, ann: Person
) -> None:
    ben = await rest.person("Ben")
    await buy(rest, ann)

    assert (await buy(rest, ben, amount=6)).status == 201
    assert shop.sales == 2


async def test_a_request_still_running_is_not_run_again(
    rest: Rest, shop: Shop, ann: Person
) -> None:
    shop.gate.clear()
    first = asyncio.create_task(buy(rest, ann))
    await asyncio.wait_for(shop.began.wait(), 5)

    second = await buy(rest, ann)
    shop.gate.set()

    assert (second.status, second.error) == (409, "IDEMPOTENCY_IN_PROGRESS")
    assert (await first).status == 201
    assert shop.sales == 1


async def test_many_at_once_sell_once(rest: Rest, shop: Shop, ann: Person) -> None:
    answers = await asyncio.gather(*(buy(rest, ann) for _ in range(30)))

    assert shop.sales == 1
    assert {answer.status for answer in answers} <= {201, 409}


async def test_a_refusal_is_an_answer_too(rest: Rest, shop: Shop, ann: Person) -> None:
    shop.failing = Problem(409, "CONFLICT", "Sold out.")
    first = await buy(rest, ann)
    shop.failing = None

    again = await buy(rest, ann)

    assert (first.error, again.error, again.body["message"]) == (
        "CONFLICT",
        "CONFLICT",
        "Sold out.",
    )
    assert again.body["requestId"] != first.body["requestId"]
    assert shop.sales == 1


@pytest.mark.parametrize(
    "failing", [Problem(429, "RATE_LIMITED", "Slowly."), Problem(503, "UNAVAILABLE", "Later.")]
)
async def test_what_passes_by_itself_is_not_kept(
    rest: Rest, shop: Shop, ann: Person, failing: Problem
) -> None:
    shop.failing = failing
    assert (await buy(rest, ann)).status == failing.status
    shop.failing = None

    assert (await buy(rest, ann)).status == 201


async def test_a_mistake_of_ours_frees_the_key(rest: Rest, shop: Shop, ann: Person) -> None:
    shop.failing = RuntimeError("a mistake")
    assert (await buy(rest, ann)).error == "INTERNAL"
    shop.failing = None

    assert (await buy(rest, ann)).status == 201


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 256, "sch\u00f6n"])
async def test_a_key_is_short_and_visible(rest: Rest, shop: Shop, ann: Person, key: str) -> None:
    refused = await buy(rest, ann, key=key)

    assert (refused.status, refused.error) == (400, "INVALID_IDEMPOTENCY_KEY")
    assert shop.sales == 0
