"""When the network goes, when another device has the call, and when the page is loaded anew."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.phones import (
    KAI,
    MIA,
    answer,
    come_as,
    come_rich,
    hang_up,
    heading,
    ring,
    status,
    talk,
    wired,
)

pytestmark = pytest.mark.chromium


async def test_both_sides_say_that_they_reconnect_and_go_on(people: Visitors) -> None:
    (mia, wire), kai = await wired(people, MIA), await come_as(people, KAI)
    await wire.cut()
    await mia.get_by_text("No connection to the server.").wait_for()
    await people.check_access(mia)
    wire.mend()
    await mia.get_by_text("No connection to the server.").wait_for(state="hidden")
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await wire.cut()
    lost = kai.get_by_role("alert").filter(has_text="Mia's connection was lost. Reconnecting")
    await lost.get_by_text("left").wait_for()
    await mia.get_by_role("alert").filter(has_text="The server cannot be reached").wait_for()
    await people.check_access(mia)
    await people.check_access(kai)
    wire.mend()
    await talk(mia, kai)
    await lost.wait_for(state="hidden")
    await hang_up(kai)
    await heading(mia, "Call ended")


async def test_a_call_on_another_device_is_shown_and_can_be_continued(people: Visitors) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI)
    second = await come_as(people, MIA)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await second.get_by_role("status").filter(has_text="is on another device").wait_for()
    await people.check_access(second)
    await mia.context.close()
    go_on = second.get_by_role("button", name="Continue on this device")
    await go_on.wait_for()
    await people.check_access(second)
    await go_on.click()
    await talk(second, kai)
    await hang_up(second)
    await heading(kai, "Call ended")


async def test_a_reload_in_mid_call_goes_on_with_it(people: Visitors) -> None:
    mia, kai = await come_rich(people, MIA), await come_as(people, KAI)
    await ring(mia, KAI)
    await answer(kai)
    await talk(mia, kai)
    await mia.reload()
    await talk(mia, kai)
    await status(kai, "Connected")
    await hang_up(mia)


async def test_a_log_in_that_is_ended_elsewhere_leads_to_the_way_in(people: Visitors) -> None:
    mia, second = await come_as(people, MIA), await come_as(people, MIA)
    await second.evaluate("location.hash = '#/me'")
    sessions = second.locator("section").filter(has_text="Where you are logged in")
    await sessions.get_by_role("button", name="End").click()
    await second.get_by_text("That log-in was ended.").wait_for()
    await mia.get_by_text("This log-in was ended. Log in again.").wait_for()
    await mia.get_by_role("button", name="Log in again").click()
    await heading(mia, "Welcome")
    people.expected("/auth/logout")
