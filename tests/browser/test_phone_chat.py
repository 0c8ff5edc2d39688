"""The chat of a call on the screen: after a reload, on another device, and beside the receipt."""

from __future__ import annotations

import pytest
from playwright.async_api import Locator, Page, Route

from tests.browser.chromium import NARROW, Visitors
from tests.browser.phones import (
    KAI,
    MIA,
    answer,
    come_as,
    come_rich,
    go,
    hang_up,
    heading,
    ring,
    talk,
    write,
)

pytestmark = pytest.mark.chromium


def said(page: Page, text: str) -> Locator:
    """In the chat of the call that goes on."""
    return page.get_by_role("log").get_by_text(text)


async def test_the_chat_is_there_after_a_reload_and_says_only_what_is_new(
    people: Visitors,
) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI, size=NARROW)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await write(mia, "Is sourdough hard?")
    await kai.get_by_role("button", name="Open chat, 1 new").click()
    await said(mia, "Read").wait_for()
    await write(kai, "Not at all.")
    await said(mia, "Not at all.").wait_for()
    await kai.get_by_role("button", name="Hide chat").click()
    await mia.reload()
    await said(mia, "Is sourdough hard?").wait_for()
    await said(mia, "Not at all.").wait_for()
    await said(mia, "Read").wait_for()
    await talk(mia, kai)
    await people.check_access(mia)
    await write(mia, "And rye?")
    await kai.get_by_role("button", name="Open chat, 1 new").wait_for()
    await kai.reload()
    await talk(mia, kai)
    await kai.get_by_role("button", name="Open chat, 1 new").click()
    await said(kai, "And rye?").wait_for()
    await people.check_access(kai)
    await hang_up(mia)


async def test_a_call_that_is_continued_elsewhere_keeps_its_chat_as_does_its_receipt(
    people: Visitors,
) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI)
    second = await come_as(people, MIA, scheme="dark")
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await write(mia, "Is sourdough hard?")
    await said(kai, "Is sourdough hard?").wait_for()
    await mia.context.close()
    await second.get_by_role("button", name="Continue on this device").click()
    await said(second, "Is sourdough hard?").wait_for()
    await talk(second, kai)
    await write(kai, "Not at all.")
    await said(second, "Not at all.").wait_for()
    await hang_up(second)
    await heading(kai, "Call ended")
    for page in (second, kai):
        log = page.get_by_role("main").get_by_role("region", name="Chat")
        await log.get_by_text("Is sourdough hard?").wait_for()
        await log.get_by_text("Not at all.").wait_for()
        await people.check_access(page)
        await page.get_by_role("button", name="Done").click()
    await go(second, "History")
    await second.get_by_role("main").get_by_role("link", name=KAI).click()
    log = second.get_by_role("region", name="Chat")
    await log.get_by_text("You: Is sourdough hard?").wait_for()
    await log.get_by_text("Kai: Not at all.").wait_for()
    await people.check_access(second)


async def test_a_receipt_of_a_call_without_chat_shows_none_and_a_lost_chat_is_asked_for_again(
    people: Visitors,
) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await hang_up(mia)
    assert await mia.get_by_role("region", name="Chat").count() == 0
    await mia.get_by_role("button", name="Done").click()
    await kai.get_by_role("button", name="Done").click()
    await go(mia, "History")
    async with mia.expect_response("**/messages?*"):
        await mia.get_by_role("main").get_by_role("link", name=KAI).click()
    await mia.get_by_role("region", name="Receipt").wait_for()
    assert await mia.get_by_role("region", name="Chat").count() == 0

    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await write(mia, "Is sourdough hard?")
    await said(kai, "Is sourdough hard?").wait_for()

    async def away(route: Route) -> None:
        await route.fulfill(status=503, json={"success": False, "error": "UNAVAILABLE"})

    await mia.route("**/messages?*", away)
    await mia.reload()
    await mia.get_by_text("Earlier messages are missing. The server is busy.").wait_for()
    await people.check_access(mia)
    await mia.unroute("**/messages?*")
    chat = mia.get_by_role("complementary", name="Chat")
    await chat.get_by_role("button", name="Try again").click()
    await said(mia, "Is sourdough hard?").wait_for()
    people.expected("503")
