"""The chat of a call outlives the page it was written on."""

from __future__ import annotations

from uuid import UUID

import pytest
from playwright.async_api import Route

from storage.pool import Connection
from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, Handset, connect, handset, road

pytestmark = pytest.mark.chromium

SAID = "s.call.messages.map((m) => [m.text, m.mine, m.read])"


async def write(who: Handset, *texts: str) -> None:
    for text in texts:
        await who.run("client.sendChat(it)", text)


async def until_said(who: Handset, *texts: str) -> None:
    """Exactly these, in this order."""
    await who.until(f"s.call?.messages.map((m) => m.text).join() === {','.join(texts)!r}")


async def test_a_page_that_is_loaded_anew_has_the_chat_with_what_was_read(
    people: Visitors,
) -> None:
    mia = await handset(people, MIA)
    context = await people.visitor()
    kai = await handset(people, KAI, device="tab", context=context)
    await connect(mia, kai)
    await write(mia, "one")
    await until_said(kai, "one")
    await kai.run("client.readChat(client.state.call.messages[0].id)")
    await write(kai, "two")
    await until_said(mia, "one", "two")
    await mia.run("client.readChat(client.state.call.messages[1].id)")
    await write(kai, "three")
    await kai.page.close()
    again = await handset(people, KAI, device="tab", context=context, login=False)
    await until_said(again, "one", "two", "three")
    assert await again.until(SAID) == [
        ["one", False, True],
        ["two", True, True],
        ["three", True, False],
    ]
    # It goes on from there, each message once.
    await again.until_call("connected")
    await write(mia, "four")
    await until_said(again, "one", "two", "three", "four")
    times = await again.run("client.state.call.messages.map((m) => m.createdAt)")
    assert times == sorted(times)
    assert times == await mia.run("client.state.call.messages.map((m) => m.createdAt)")
    assert await again.faults() == []


async def test_who_takes_a_call_over_has_its_chat(people: Visitors) -> None:
    kai = await handset(people, KAI)
    context = await people.visitor()
    first = await handset(people, MIA, device="tab-1", context=context)
    await connect(first, kai)
    await write(first, "are you there?")
    second = await handset(people, MIA, device="tab-2", context=context, login=False)
    await second.until("s.elsewhere && !s.elsewhere.canTake")
    await first.page.close()
    await second.until("s.elsewhere?.canTake")
    await write(kai, "here")
    await second.run("client.take().then((c) => c.you)")
    await until_said(second, "are you there?", "here")
    assert await second.run("client.state.call.messages[0].mine") is True


async def test_a_new_session_has_what_was_written_while_the_road_was_closed(
    people: Visitors,
) -> None:
    kai = await handset(people, KAI)
    async with road(people) as way:
        mia = await handset(people, MIA)
        await connect(mia, kai)
        await write(mia, "one")
        await mia.run("client._socket._session = null")
        way.close()
        await mia.until("s.link === 'waiting'")
        await write(kai, "two")
        way.is_open = True
        assert (await mia.until_event("welcome", 2))["resumed"] is False
        await until_said(mia, "one", "two")
        if people.faults:
            people.expected("WebSocket connection to .* failed")


async def test_a_chat_that_cannot_be_read_says_so_and_is_asked_for_again(
    people: Visitors,
) -> None:
    mia = await handset(people, MIA)
    context = await people.visitor()
    kai = await handset(people, KAI, device="tab", context=context)
    await connect(mia, kai)
    await write(mia, "one")
    await kai.page.close()

    async def away(route: Route) -> None:
        await route.fulfill(status=503, json={"success": False, "error": "UNAVAILABLE"})

    await context.route("**/messages?*", away)
    again = await handset(people, KAI, device="tab", context=context, login=False)
    assert (await again.until("s.call?.chatError"))["code"] == "UNAVAILABLE"
    await again.until_call("connected")
    await write(mia, "two")
    await until_said(again, "two")
    await context.unroute("**/messages?*")
    await again.run("client.loadChat()")
    await until_said(again, "one", "two")
    assert await again.run("client.state.call.chatError") is None
    people.expected("503")


async def test_a_long_chat_is_read_page_by_page_after_the_call(
    people: Visitors, books: Connection
) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai)
    await write(mia, "the last one")
    await mia.run("client.hangUp()")
    call = (await mia.call())["id"]
    # In one call people write that much in an hour; here before it began, by their ids.
    await books.execute(
        """
        insert into message (id, conversation_id, sender_id, client_id, text)
        select ('0198f2a0-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, $1, $2, n, n
          from (select generate_series(1, 230)::text as n) many
        """,
        UUID(call),
        UUID(await mia.user_id()),
    )
    script = """(async () => {
      const { keptMessages } = await import("/assets/client/client.js");
      return (await keptMessages(api, it[0], it[1])).map((each) => each.text);
    })()"""
    texts = await kai.run(script, [call, await kai.user_id()])
    assert texts == [*map(str, range(1, 231)), "the last one"]
