"""Calls that do not come about, and what the phone says then."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.phones import (
    KAI,
    LEA,
    MIA,
    NOAH,
    answer,
    come_as,
    come_rich,
    go,
    heading,
    ring,
    see_person,
    status,
    talk,
)

pytestmark = pytest.mark.chromium

DENY = """() => {
  const { mediaDevices } = navigator;
  window.asked = mediaDevices.getUserMedia.bind(mediaDevices);
  mediaDevices.getUserMedia = () => Promise.reject(new DOMException("no", "NotAllowedError"));
}"""
ALLOW = "() => { navigator.mediaDevices.getUserMedia = window.asked; }"


async def test_a_call_is_cancelled_declined_and_refused_as_busy(people: Visitors) -> None:
    mia, kai = await come_as(people, MIA), await come_as(people, KAI)
    await ring(mia, KAI)
    await heading(kai, MIA)
    await mia.get_by_role("button", name="Cancel call").click()
    await heading(mia, "Call cancelled")
    await heading(kai, "Missed call")
    await people.check_access(kai)
    await kai.get_by_role("button", name="Done").click()
    await mia.get_by_role("button", name="Call again").click()
    await kai.get_by_role("button", name="Decline").click()
    await heading(mia, "Call declined")
    await mia.get_by_text("Kai cannot talk now").wait_for()
    await heading(kai, "Call declined")
    await kai.get_by_role("button", name="Done").click()
    await mia.get_by_role("button", name="Done").click()
    await go(kai, "Inbox")
    missed = kai.get_by_role("listitem").filter(has_text="You missed a call from Mia.")
    await missed.first.wait_for()
    await go(kai, "History")
    await kai.get_by_text("Missed", exact=False).last.wait_for()
    await ring(mia, KAI)
    await kai.get_by_role("button", name="Say that I am busy").click()
    await heading(mia, "Busy")


async def test_who_is_in_a_call_is_busy_for_others(people: Visitors) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI)
    noah = await come_as(people, NOAH)
    await see_person(noah, KAI)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await noah.get_by_role("article").get_by_text("In a call").wait_for()
    await noah.get_by_role("button", name="Call", exact=True).click()
    await heading(noah, "Busy")
    await noah.get_by_text("Kai is in another call").wait_for()


async def test_without_a_microphone_nobody_rings_and_the_way_out_is_said(people: Visitors) -> None:
    mia, lea = await come_as(people, MIA), await come_as(people, LEA)
    await mia.evaluate(DENY)
    await ring(mia, LEA)
    alert = mia.get_by_role("alert").filter(has_text="does not let this page use your microphone")
    await alert.wait_for()
    await people.check_access(mia)
    # Allowed now, it works.
    await mia.evaluate(ALLOW)
    await mia.get_by_role("button", name="Call", exact=True).click()
    await heading(lea, MIA)
    await lea.evaluate(DENY)
    await answer(lea)
    await lea.get_by_text("does not let this page use your microphone").wait_for()
    await lea.evaluate(ALLOW)
    await answer(lea)
    await talk(mia, lea)


async def test_a_camera_that_is_denied_leaves_the_call_with_sound(people: Visitors) -> None:
    mia, lea = await come_as(people, MIA), await come_as(people, LEA)
    await mia.evaluate(
        """() => {
          const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = (wish) =>
            wish.video ? Promise.reject(new DOMException("no", "NotFoundError")) : ask(wish);
        }"""
    )
    await ring(mia, LEA, "Video call")
    await answer(lea, "Audio only")
    await talk(mia, lea)
    await mia.get_by_role("alert").filter(has_text="No microphone or camera was found").wait_for()
    await status(lea, "Connected")
