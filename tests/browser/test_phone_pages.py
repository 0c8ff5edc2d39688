"""All screens in both schemes and both widths: no fault, nothing that keeps anybody out."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image
from playwright.async_api import Page

from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors
from tests.browser.phones import (
    KAI,
    MIA,
    answer,
    come_as,
    come_rich,
    go,
    hang_up,
    heading,
    press_demo,
    ring,
    talk,
)

pytestmark = pytest.mark.chromium

LOOKS: tuple[tuple[tuple[int, int], Scheme], ...] = ((NARROW, "dark"), (WIDE, "light"))
FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"


def picture() -> bytes:
    """A small PNG."""
    out = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "PNG")
    return out.getvalue()


async def check(people: Visitors, page: Page) -> None:
    """The screen as it is now, narrow and dark, then wide and light."""
    for (width, height), scheme in LOOKS:
        await people.resize(page, width, height)
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        assert await page.evaluate(FITS), f"{page.url} is wider than {width} px"
        await people.check_access(page)


async def test_the_screens_of_a_caller_are_open_to_everybody(people: Visitors) -> None:
    kai, mia = await come_as(people, KAI), await come_rich(people, MIA)
    await ring(mia, KAI)
    await heading(kai, MIA)
    await check(people, kai)
    await answer(kai)
    await talk(mia, kai)
    await check(people, mia)
    await hang_up(mia)
    await mia.get_by_role("region", name="Receipt").wait_for()
    await check(people, mia)
    await mia.get_by_role("button", name="Done").click()
    await check(people, mia)
    for screen in ("People", "Wallet", "Inbox", "Me"):
        await go(mia, screen)
        await mia.wait_for_load_state("networkidle")
        await check(people, mia)
    await go(mia, "History")
    await mia.get_by_role("main").get_by_role("link", name=KAI).click()
    await mia.get_by_role("region", name="Receipt").wait_for()
    await check(people, mia)


async def test_the_way_in_and_a_provider_s_screens_are_open_to_everybody(people: Visitors) -> None:
    page = await people.visit()
    await heading(page, "Welcome")
    await check(people, page)
    await press_demo(page, KAI)
    await go(page, "Work")
    await page.get_by_role("region", name="Earnings").wait_for()
    await check(people, page)


async def test_the_inbox_is_counted_live_and_read(people: Visitors) -> None:
    mia, kai = await come_as(people, MIA), await come_as(people, KAI)
    await ring(mia, KAI)
    await heading(kai, MIA)
    await mia.get_by_role("button", name="Cancel call").click()
    await kai.get_by_role("button", name="Done").click()
    links = kai.get_by_role("navigation", name="Screens")
    await links.get_by_role("link", name="Inbox , 1 unread").wait_for()
    await go(kai, "Inbox")
    await kai.get_by_role("button", name="Mark all read").wait_for()
    await kai.get_by_role("button", name="Mark as read").click()
    await links.get_by_role("link", name="Inbox", exact=True).wait_for()
    await kai.get_by_role("button", name="Delete").click()
    await kai.get_by_role("heading", name="All quiet").wait_for()
    switch = kai.get_by_role("switch", name="News of the house")
    async with kai.expect_response("**/settings/notifications"):
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
    await mia.get_by_label("Picture").set_input_files(
        {"name": "me.png", "mimeType": "image/png", "buffer": picture()}
    )
    await mia.get_by_text("Your picture is saved.").wait_for()
    await mia.wait_for_function("document.querySelector('.profile .avatar img')?.naturalWidth > 0")
    await mia.get_by_label("Name").fill("Mia Marble")
    await mia.get_by_label("About you").fill("Likes long walks.")
    await mia.get_by_role("button", name="Save").click()
    await mia.get_by_text("Your profile is saved.").wait_for()
    await mia.get_by_role("region", name="Profile").get_by_text("Likes long walks.").wait_for()
    await people.check_access(mia)
