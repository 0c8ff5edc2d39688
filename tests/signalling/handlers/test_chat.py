"""Chat inside a call."""

import pytest

from storage import blocks
from storage.ids import new_id
from tests.signalling.handsets import Json
from tests.signalling.harness import Node
from tests.signalling.pairs import Pair, make_pair


@pytest.fixture
async def pair(node: Node) -> Pair:
    pair = await make_pair(node)
    await pair.accept()
    return pair


async def test_a_message_goes_to_every_other_device_of_both(pair: Pair) -> None:
    answer = await pair.phone.ok("chat_send", conversation=pair.call, text="Hello 👋")
    message = answer["message"]
    assert (message["sender"], message["text"]) == (str(pair.ann.id), "Hello 👋")
    for each in (pair.watch, pair.tab, pair.desk):
        event = await each.event("chat_message")
        assert (event["call"], event["data"]["message"]) == (pair.call, message)
        assert "rev" not in event
    assert not pair.phone.told("chat_message"), "who sent it has the answer"


async def test_the_same_id_is_one_message_even_when_its_answer_is_forgotten(pair: Pair) -> None:
    first = await pair.phone.ok("chat_send", id="m1", conversation=pair.call, text="once")
    assert await pair.phone.ok("chat_send", id="m1", conversation=pair.call, text="once") == first
    pair.phone.device.drop_answers(pair.node.time() + 600_000)
    assert await pair.phone.ok("chat_send", id="m1", conversation=pair.call, text="more") == first
    await pair.watch.ok("chat_send", id="m1", conversation=pair.call, text="another device")
    assert [event["data"]["message"]["text"] for event in pair.tab.told("chat_message")] == [
        "once",
        "another device",
    ]


async def test_a_message_without_an_id_is_told_but_not_answered(pair: Pair) -> None:
    before = len(pair.phone.link.frames)
    pair.phone.say("chat_send", conversation=pair.call, text="x")
    await pair.tab.event("chat_message")
    assert len(pair.phone.link.frames) == before


async def test_what_was_read_is_told(pair: Pair) -> None:
    sent = await pair.phone.ok("chat_send", conversation=pair.call, text="x")
    message = sent["message"]["id"]
    assert await pair.tab.ok("chat_read", conversation=pair.call, message=message) == {}
    event = await pair.phone.event("chat_read")
    assert event["data"] == {
        "conversation": pair.call,
        "userId": str(pair.kai.id),
        "message": message,
    }
    error = await pair.tab.refused("chat_read", conversation=pair.call, message=str(new_id()))
    assert error["code"] == "not_found"


async def test_typing_is_told_and_not_kept(pair: Pair) -> None:
    await pair.tab.ok("chat_typing", conversation=pair.call)
    await pair.tab.ok("chat_typing", conversation=pair.call, typing=False)
    assert [event["data"]["typing"] for event in pair.phone.told("chat_typing")] == [True, False]
    assert not pair.tab.told("chat_typing")
    assert len(pair.desk.told("chat_typing")) == 2


@pytest.mark.parametrize("by_caller", [True, False])
async def test_a_block_in_the_middle_of_a_call_ends_the_chat_for_both(
    pair: Pair, by_caller: bool
) -> None:
    one, other = (pair.ann, pair.kai) if by_caller else (pair.kai, pair.ann)
    await pair.phone.ok("chat_send", conversation=pair.call, text="before")
    async with pair.node.pool.acquire() as conn:
        await blocks.block(conn, one.id, other.id)
    for sender, listener in ((pair.phone, pair.tab), (pair.tab, pair.phone)):
        heard = len(listener.told("chat_message"))
        error = await sender.refused("chat_send", conversation=pair.call, text="after")
        assert error["code"] == "blocked"
        assert len(listener.told("chat_message")) == heard
    assert await pair.node.pool.fetchval("select array_agg(text) from message") == ["before"]


COMMANDS: list[tuple[str, Json]] = [
    ("chat_send", {"text": "x"}),
    ("chat_read", {"message": str(new_id())}),
    ("chat_typing", {}),
]


@pytest.mark.parametrize(("kind", "data"), COMMANDS)
async def test_chat_is_for_the_parties_of_a_live_answered_call(
    node: Node, kind: str, data: Json
) -> None:
    pair = await make_pair(node)
    error = await pair.phone.refused(kind, conversation=str(new_id()), **data)
    assert (error["code"], error["field"]) == ("not_found", "data.conversation")
    await pair.ring()
    error = await pair.phone.refused(kind, conversation=pair.call, **data)
    assert error["code"] == "wrong_state"
    await pair.tab.ok("call_accept", call=pair.call)
    bob = await node.handset(await node.person("Bob"))
    error = await bob.refused(kind, conversation=pair.call, **data)
    assert error["code"] == "not_your_call"
    await pair.phone.ok("call_end", call=pair.call)
    error = await pair.phone.refused(kind, conversation=pair.call, **data)
    assert (error["code"], error["field"]) == ("call_over", "data.conversation")
    assert error["final"]["total"] == 0
