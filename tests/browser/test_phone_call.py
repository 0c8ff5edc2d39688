"""A whole call from the ring to the receipt, between two browsers, by what is on their screens."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Page

from tests.browser.chromium import NARROW, Visitors
from tests.browser.phones import (
    KAI,
    MIA,
    answer,
    api,
    come_as,
    come_rich,
    go,
    hang_up,
    heading,
    meter,
    ring,
    status,
    talk,
    until,
    until_meter,
    write,
)

pytestmark = pytest.mark.chromium

# A picture that moves: more of it has been shown than a moment ago.
PLAYS = """() => {
  const video = document.querySelector("video.remote");
  return !video.hidden && video.videoWidth > 0 && video.currentTime > 0.2;
}"""


# A minute costs 120.
MORE_THAN_ONE = re.compile(r"(?<!\d)(?!120 )[\d,]{3,} PTS")


async def balance(page: Page) -> int:
    return int((await api(page, "/wallet/balance"))["balance"])


async def test_a_video_call_from_ring_to_receipt(people: Visitors) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI, size=NARROW)
    before = await balance(mia)
    await ring(mia, KAI, "Video call")
    await heading(kai, MIA)
    await kai.get_by_text("Video call for you").wait_for()
    await status(mia, "Ringing")
    await people.check_access(kai)
    await answer(kai, "Accept with video")
    await talk(mia, kai)
    for page in (mia, kai):
        await until(page, PLAYS)
        await people.check_access(page)
    # The meter goes on: minutes last two seconds here.
    await until_meter(mia, "Spent", MORE_THAN_ONE)
    await until_meter(kai, "Paid so far", MORE_THAN_ONE)
    assert re.match(r"\d:\d\d", await meter(mia, "Time"))
    await mia.get_by_role("button", name="Connection").click()
    await mia.get_by_role("dialog").get_by_text("kbit/s").first.wait_for()
    await people.check_access(mia)
    await mia.keyboard.press("Escape")
    await _controls(mia, kai)
    await _chat(people, mia, kai)
    await hang_up(mia)
    await heading(kai, "Call ended")
    await kai.get_by_text("Mia hung up.").wait_for()
    await _settled(people, mia, kai, before)


async def _controls(mia: Page, kai: Page) -> None:
    await mia.get_by_role("button", name="Mute").click()
    await kai.get_by_text("Muted").wait_for()
    await mia.get_by_role("button", name="Unmute").click()
    await kai.get_by_text("Muted").wait_for(state="hidden")
    await kai.get_by_role("button", name="Camera off").click()
    await mia.locator("video.remote").wait_for(state="hidden")
    await kai.get_by_role("button", name="Camera on").click()
    await until(mia, PLAYS)
    await kai.get_by_role("button", name="Hold").click()
    await mia.get_by_text("On hold", exact=True).wait_for()
    await kai.get_by_role("button", name="Resume").click()
    await mia.get_by_text("On hold", exact=True).wait_for(state="hidden")
    await mia.get_by_role("button", name="Devices").click()
    camera = mia.get_by_role("dialog").get_by_label("Camera")
    await camera.select_option(index=0)
    await mia.get_by_role("dialog").get_by_role("button", name="Done").click()


async def _chat(people: Visitors, mia: Page, kai: Page) -> None:
    """On the wide screen it is open; on the narrow one it says how much is new."""
    await write(mia, "Is sourdough hard?")
    await kai.get_by_role("button", name="Open chat, 1 new").click()
    await kai.get_by_role("log").get_by_text("Is sourdough hard?").wait_for()
    await mia.get_by_role("log").get_by_text("Read").wait_for()
    await people.check_access(kai)
    await kai.get_by_label("Message to").press_sequentially("Not")
    await mia.get_by_text("Kai is typing").wait_for()
    await write(kai, "Not at all.")
    await mia.get_by_role("log").get_by_text("Not at all.").wait_for()
    await mia.get_by_text("Kai is typing").wait_for(state="hidden")
    await kai.get_by_role("button", name="Hide chat").click()


async def _settled(people: Visitors, mia: Page, kai: Page, before: int) -> None:
    """Both receipts, the API's and the wallets agree; then stars."""
    call = (await api(mia, "/calls"))["items"][0]["id"]
    receipt = (await api(mia, f"/calls/{call}/receipt"))["receipt"]
    total = receipt["total"]
    assert receipt["settled"]
    assert total >= 240
    assert await balance(mia) == before - total
    for page, word in ((mia, "Total"), (kai, "Paid by the caller")):
        row = page.get_by_role("region", name="Receipt").locator("div").filter(has_text=word)
        await row.filter(has_text=f"{total:,} PTS").first.wait_for()
    earned = (await api(kai, f"/calls/{call}/receipt"))["receipt"]["earned"]
    row = kai.get_by_role("region", name="Receipt").locator("div").filter(has_text="You earned")
    await row.filter(has_text=f"{earned:,} PTS").first.wait_for()
    await people.check_access(mia)
    await mia.get_by_role("radio", name="4 stars").check()
    await mia.get_by_label("A few words").fill("Clear and kind.")
    await mia.get_by_role("button", name="Send rating").click()
    await mia.get_by_text("4 of 5 stars").wait_for()
    await mia.get_by_role("button", name="Done").click()
    await kai.get_by_role("button", name="Done").click()
    await go(mia, "History")
    await mia.get_by_role("main").get_by_role("link", name="Kai").click()
    await mia.get_by_role("region", name="Receipt").get_by_text(f"{total:,} PTS").wait_for()
    await mia.get_by_role("link", name="See Kai").click()
    await mia.get_by_text("Clear and kind.").wait_for()
    await go(kai, "Inbox")
    await kai.get_by_text("with Mia and earned").wait_for()
    await go(kai, "Work")
    await kai.get_by_role("region", name="Earnings").get_by_text(f"{earned:,} PTS").first.wait_for()
