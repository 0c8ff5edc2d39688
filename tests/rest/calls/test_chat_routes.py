"""The chat of a call by REST, after it was written over sockets."""

from __future__ import annotations

from typing import Any

import pytest

from storage.ids import new_id
from tests.rest.calls.conftest import Exchange
from tests.rest.harness import Person
from tests.signalling import handsets
from tests.signalling.handsets import Handset


@pytest.fixture
async def ann(exchange: Exchange) -> Person:
    return await exchange.customer(funds=1_000)


@pytest.fixture
async def kai(exchange: Exchange) -> Person:
    return await exchange.provider(price=100)


async def phone(exchange: Exchange, person: Person, name: str) -> Handset:
    return await exchange.node.handset(handsets.Person(person.id, name))


async def answered(exchange: Exchange, ann: Person, kai: Person) -> str:
    call_id = await exchange.request(ann, kai)
    await exchange.patch(kai, call_id, "answer", status=200)
    return call_id


async def page(exchange: Exchange, by: Person, call_id: str, query: str = "") -> dict[str, Any]:
    return (await exchange.get(by, f"/calls/{call_id}/messages{query}")).body


async def test_both_read_the_chat_of_a_live_call_and_of_one_that_is_over(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await answered(exchange, ann, kai)
    assert (await page(exchange, ann, call_id))["items"] == []
    hers, his = await phone(exchange, ann, "Ann"), await phone(exchange, kai, "Kai")
    asked = await hers.ok("chat_send", conversation=call_id, text="Is it hard?")
    message = asked["message"]["id"]
    await his.ok("chat_read", conversation=call_id, message=message)
    await his.ok("chat_send", conversation=call_id, text="Not at all.")

    live = await page(exchange, ann, call_id)
    await exchange.patch(ann, call_id, "end", status=200)

    assert [(each["text"], each["sender"], each["read"]) for each in live["items"]] == [
        ("Not at all.", str(kai.id), False),
        ("Is it hard?", str(ann.id), True),
    ]
    assert live["items"][1]["id"] == message
    assert (live["total"], live["limit"], live["offset"]) == (2, 20, 0)
    for by in (ann, kai):
        assert await page(exchange, by, call_id) == live
    by_its_own_name = await exchange.get(kai, f"/conversations/{call_id}/messages")
    assert by_its_own_name.body == live


async def test_a_long_chat_comes_page_by_page_from_its_end(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await answered(exchange, ann, kai)
    hers = await phone(exchange, ann, "Ann")
    for text in "abcde":
        await hers.ok("chat_send", conversation=call_id, text=text)
    for query, texts in (
        ("?limit=2", "ed"),
        ("?limit=2&offset=2", "cb"),
        ("?limit=2&page=3", "a"),
        ("?limit=2&offset=6", ""),
    ):
        body = await page(exchange, kai, call_id, query)
        assert "".join(each["text"] for each in body["items"]) == texts, query
        assert body["total"] == 5, query
    for query, code in (("?limit=101", "INVALID_LIMIT"), ("?page=1&offset=0", "INVALID_PAGE")):
        answer = await exchange.get(ann, f"/calls/{call_id}/messages{query}", status=400)
        assert answer.error == code


async def test_a_call_in_which_nobody_wrote_has_an_empty_chat(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await exchange.request(ann, kai)
    await exchange.patch(ann, call_id, "cancel", status=200)
    body = await page(exchange, kai, call_id)
    assert (body["items"], body["total"]) == ([], 0)


async def test_the_chat_of_others_is_not_there_not_for_an_admin_either(
    exchange: Exchange, ann: Person, kai: Person
) -> None:
    call_id = await answered(exchange, ann, kai)
    await (await phone(exchange, ann, "Ann")).ok("chat_send", conversation=call_id, text="x")
    for by in (await exchange.customer("Eve"), await exchange.admin()):
        for path in (f"/calls/{call_id}", f"/conversations/{call_id}", f"/calls/{new_id()}"):
            answer = await exchange.get(by, f"{path}/messages", status=404)
            assert answer.error == "CALL_NOT_FOUND"
