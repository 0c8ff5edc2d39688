"""All screens in both schemes and both widths: no fault, nothing that keeps anybody out."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors
from tests.browser.phones import KAI, MIA, answer, come_as, go, hang_up, heading, ring, talk

pytestmark = pytest.mark.chromium

FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
async def test_every_screen_can_be_used_by_everybody(
    people: Visitors, size: tuple[int, int], scheme: Scheme
) -> None:
    page = await people.visit(size=size, scheme=scheme)
    await heading(page, "Welcome")
    await _check(people, page)
    kai = await come_as(people, KAI)
    mia = await come_as(people, MIA, size=size, scheme=scheme)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await _check(people, mia)
    await hang_up(mia)
    await mia.get_by_role("region", name="Receipt").wait_for()
    await _check(people, mia)
    await mia.get_by_role("button", name="Done").click()
    await kai.get_by_role("button", name="Done").click()
    await _check(people, mia)
    for screen in ("People", "Wallet", "Inbox", "Me"):
        await go(mia, screen)
        await mia.wait_for_load_state("networkidle")
        await _check(people, mia)
    await go(mia, "History")
    await mia.get_by_role("main").get_by_role("link", name=KAI).click()
    await mia.get_by_role("region", name="Receipt").wait_for()
    await _check(people, mia)
    await kai.context.close()
    page = await come_as(people, KAI, size=size, scheme=scheme)
    await go(page, "Work")
    await page.get_by_role("region", name="Earnings").wait_for()
    await _check(people, page)


async def _check(people: Visitors, page: Page) -> None:
    await people.check_access(page)
    assert await page.evaluate(FITS), f"{page.url} is wider than the screen"


async def test_the_inbox_is_counted_live_and_read(people: Visitors) -> None:
    mia, kai = await come_as(people, MIA), await come_as(people, KAI)
    for _ in range(2):
        await ring(mia, KAI)
        await heading(kai, MIA)
        await mia.get_by_role("button", name="Cancel call").click()
        await mia.get_by_role("button", name="Done").click()
        await kai.get_by_role("button", name="Done").click()
    links = kai.get_by_role("navigation", name="Screens")
    await links.get_by_role("link", name="Inbox , 2 unread").wait_for()
    await go(kai, "Inbox")
    await kai.get_by_role("button", name="Mark as read").first.click()
    await links.get_by_role("link", name="Inbox , 1 unread").wait_for()
    await kai.get_by_role("button", name="Mark all read").click()
    await links.get_by_role("link", name="Inbox", exact=True).wait_for()
    await kai.get_by_role("button", name="Delete").first.click()
    await kai.get_by_role("main").get_by_role("listitem").nth(1).wait_for(state="detached")
    switch = kai.get_by_role("switch", name="News of the house")
    await switch.check()
    await kai.reload()
    await heading(kai, "Inbox")
    await kai.wait_for_function("document.querySelectorAll('[role=switch]:checked').length === 4")


async def test_people_are_searched_filtered_and_sorted(people: Visitors) -> None:
    mia = await come_as(people, MIA)
    cards = mia.get_by_role("main").get_by_role("listitem")
    await cards.nth(1).wait_for()
    await mia.get_by_label("Search by name").fill("le")
    await cards.nth(1).wait_for(state="detached")
    assert await cards.get_by_text("Lea").count() == 1
    await mia.get_by_label("Search by name").fill("nobody like this")
    await mia.get_by_role("heading", name="Nobody found").wait_for()
    await mia.get_by_label("Search by name").fill("")
    await cards.nth(1).wait_for()
    await mia.get_by_label("Sort").select_option("Highest price")
    await mia.wait_for_load_state("networkidle")
    await cards.nth(0).get_by_text("Kai").wait_for()
    await mia.get_by_label("Highest price a minute").fill("100")
    await cards.nth(1).wait_for(state="detached")
    await mia.get_by_role("switch", name="Online only").check()
    await mia.get_by_role("heading", name="Nobody found").wait_for()


async def test_a_profile_is_changed_and_the_keyboard_reaches_everything(people: Visitors) -> None:
    mia = await come_as(people, MIA)
    await mia.keyboard.press("Tab")
    await mia.keyboard.press("Tab")
    await go(mia, "Me")
    assert await mia.evaluate("document.activeElement.tagName") == "H1"
    await mia.get_by_role("button", name="Edit").click()
    await mia.get_by_label("Name").fill("Mia Marble")
    await mia.get_by_label("About you").fill("Likes long walks.")
    await mia.get_by_role("button", name="Save").click()
    await mia.get_by_text("Your profile is saved.").wait_for()
    await mia.get_by_role("region", name="Profile").get_by_text("Likes long walks.").wait_for()
    await people.check_access(mia)
