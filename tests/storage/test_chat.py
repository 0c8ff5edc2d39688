import asyncio
from uuid import UUID

import pytest

from storage import chat
from storage.errors import NotFound
from storage.ids import new_id
from storage.pool import Connection, Pool
from tests.storage.world import make_user


async def talk(conn: Connection) -> tuple[UUID, UUID, UUID]:
    """A conversation and its two members."""
    first, second = await make_user(conn), await make_user(conn)
    conversation = await chat.open_call_conversation(conn, new_id(), [first.id, second.id])
    return conversation, first.id, second.id


async def test_a_call_has_one_conversation(conn: Connection) -> None:
    conversation, first, second = await talk(conn)
    assert await chat.open_call_conversation(conn, conversation, [first, second]) == conversation
    assert set(await chat.members(conn, conversation)) == {first, second}
    assert await chat.members(conn, new_id()) == []


async def test_a_message_is_stored_once_for_each_client_id(conn: Connection) -> None:
    conversation, first, second = await talk(conn)
    sent, new, everybody = await chat.send_message(conn, conversation, first, "1", "hello")
    assert new
    assert set(everybody) == {first, second}
    assert (sent.sender, sent.text, sent.conversation) == (first, "hello", conversation)
    again = await chat.send_message(conn, conversation, first, "1", "something else")
    assert again == (sent, False, everybody)
    other, new, _ = await chat.send_message(conn, conversation, second, "1", "hi")
    assert new
    assert other.id > sent.id


async def test_a_message_sent_from_many_sides_is_one(pool: Pool) -> None:
    async with pool.acquire() as conn:
        conversation, first, _ = await talk(conn)

    async def send() -> tuple[UUID, bool]:
        async with pool.acquire() as conn:
            message, new, _ = await chat.send_message(conn, conversation, first, "1", "hello")
            return message.id, new

    results = await asyncio.gather(*(send() for _ in range(10)))
    assert len({message for message, _ in results}) == 1
    assert sum(new for _, new in results) == 1


async def test_strangers_can_neither_write_nor_read(conn: Connection) -> None:
    conversation, first, _ = await talk(conn)
    stranger = await make_user(conn)
    message, _, _ = await chat.send_message(conn, conversation, first, "1", "hello")
    with pytest.raises(NotFound):
        await chat.send_message(conn, conversation, stranger.id, "1", "hello")
    with pytest.raises(NotFound):
        await chat.mark_read(conn, conversation, stranger.id, message.id)
    with pytest.raises(NotFound):
        await chat.send_message(conn, new_id(), first, "1", "hello")


async def test_reading_only_moves_forward(conn: Connection) -> None:
    conversation, first, second = await talk(conn)
    one, _, everybody = await chat.send_message(conn, conversation, first, "1", "one")
    two, _, _ = await chat.send_message(conn, conversation, first, "2", "two")
    assert await chat.mark_read(conn, conversation, second, two.id) == (True, everybody)
    assert await chat.mark_read(conn, conversation, second, two.id) == (False, everybody)
    assert await chat.mark_read(conn, conversation, second, one.id) == (False, everybody)
    with pytest.raises(NotFound):
        await chat.mark_read(conn, conversation, second, new_id())


async def test_messages_are_listed_from_the_newest_with_what_was_read(conn: Connection) -> None:
    conversation, first, second = await talk(conn)
    assert await chat.list_messages(conn, new_id(), 10, 0) == ([], 0)
    texts = ["one", "two", "three"]
    one, two, three = [
        (await chat.send_message(conn, conversation, sender, text, text))[0]
        for text, sender in zip(texts, (first, second, first), strict=True)
    ]
    # Who writes has not read their own for the other.
    for reader, message in ((second, one), (second, two), (first, one)):
        await chat.mark_read(conn, conversation, reader, message.id)
    listed, total = await chat.list_messages(conn, conversation, 10, 0)
    assert [(each.id, each.sender, each.text, each.read) for each in listed] == [
        (three.id, first, "three", False),
        (two.id, second, "two", False),
        (one.id, first, "one", True),
    ]
    assert total == 3
    assert await chat.list_messages(conn, conversation, 1, 1) == ([listed[1]], 3)
