"""A provider's side: being there or not, price and profile, becoming one; blocking."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.phones import KAI, LEA, MIA, NOAH, come_as, go, online, ring, see_person

pytestmark = pytest.mark.chromium


async def test_presence_is_live_and_a_price_that_rises_is_asked_about(
    people: Visitors,
) -> None:
    kai, mia = await come_as(people, KAI), await come_as(people, MIA)
    card = mia.get_by_role("main").get_by_role("link", name=KAI)
    await card.get_by_text("Online", exact=True).wait_for()
    await go(kai, "Work")
    await kai.get_by_role("button", name="On a break").click()
    await card.get_by_text("On a break").wait_for()
    await kai.get_by_label("Status message").fill("Back at eight")
    await kai.get_by_role("button", name="Set", exact=True).click()
    await see_person(mia, KAI)
    await mia.get_by_text("“Back at eight”").wait_for()
    await mia.get_by_role("button", name="Call", exact=True).click()
    await mia.get_by_role("heading", name="Not available").wait_for()
    await mia.get_by_role("button", name="Done").click()
    await kai.get_by_role("button", name="Online", exact=True).click()
    await online(mia)
    await kai.get_by_label("Audio, PTS a minute").fill("150")
    await kai.get_by_label("Topics").fill("bread, ovens")
    await kai.get_by_label("Introduction").fill("Ask me about bread.")
    await kai.get_by_role("button", name="Save").click()
    await kai.get_by_text("New calls have the new price.").wait_for()
    await mia.get_by_role("button", name="Call", exact=True).click()
    dialog = mia.get_by_role("dialog", name="The price has changed")
    await dialog.get_by_text("150 PTS", exact=True).wait_for()
    await people.check_access(mia)
    await mia.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    await mia.reload()
    await mia.get_by_text("Ask me about bread.").wait_for()
    await mia.get_by_role("list", name="Topics").get_by_text("ovens").wait_for()


async def test_a_customer_becomes_a_provider_and_is_called(people: Visitors) -> None:
    noah, mia = await come_as(people, NOAH), await come_as(people, MIA)
    await go(noah, "Me")
    await noah.get_by_role("link", name="Become a provider").click()
    await noah.get_by_label("Audio, PTS a minute").fill("10")
    await noah.get_by_label("Video, PTS a minute").fill("20")
    await people.check_access(noah)
    await noah.get_by_role("button", name="Become a provider").click()
    await noah.get_by_text("You can take calls now.").wait_for()
    await noah.get_by_role("button", name="Online", exact=True).click()
    await noah.get_by_text("People can call you while this page is open.").wait_for()
    await mia.reload()
    await ring(mia, NOAH)
    await noah.get_by_text("Pays 10 PTS a minute").wait_for()


async def test_who_is_blocked_cannot_be_called_until_unblocked(people: Visitors) -> None:
    mia, _ = await come_as(people, MIA), await come_as(people, LEA)
    await see_person(mia, LEA)
    await online(mia)
    await mia.get_by_role("button", name="Block").click()
    await mia.get_by_role("button", name="Unblock").wait_for()
    await mia.get_by_role("button", name="Call", exact=True).click()
    await mia.get_by_role("alert").filter(has_text="One of you has blocked the other").wait_for()
    await go(mia, "Me")
    blocked = mia.locator("section").filter(has_text="Blocked people")
    await blocked.get_by_text(LEA, exact=True).wait_for()
    await blocked.get_by_role("button", name="Unblock").click()
    await blocked.get_by_text("Nobody.").wait_for()
