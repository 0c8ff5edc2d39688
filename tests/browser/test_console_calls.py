"""Operators and live calls: seen, ended, and told entry by entry."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitors
from tests.browser.operating import enter, talk
from tests.end_to_end.driver import site

pytestmark = pytest.mark.chromium


async def confirm(page: Page, button: str, reason: str) -> None:
    """Give the reason in the question that is open, and do it."""
    question = page.get_by_role("dialog")
    await question.get_by_label("Reason").fill(reason)
    await question.get_by_role("button", name=button, exact=True).click()
    await expect(question).to_have_count(0)


async def test_a_live_call_is_ended_with_a_reason_and_both_phones_hear_it(
    people: Visitors,
) -> None:
    async with site(people.url) as there:
        ended = await talk(there)
        other = await talk(there, "noah@demo.talktime", "lea@demo.talktime")
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Calls", exact=True).click()
        row = page.get_by_role("row", name="Mia")
        await expect(row).to_contain_text("connected")
        await expect(page.get_by_role("row", name="Noah")).to_contain_text("connected")
        await row.get_by_role("button", name="End").click()
        await people.check_access(page)
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_have_count(0)
        await expect(row).to_be_visible()
        await row.get_by_role("button", name="End").click()
        await confirm(page, "End call", "Reported by the callee.")
        for phone in (ended.caller, ended.callee):
            assert (await phone.event("call_ended"))["reason"] == "admin"
        await expect(page.get_by_role("row", name="Mia")).to_have_count(0)
        await expect(page.get_by_role("row", name="Noah")).to_be_visible()
        assert not other.caller.all("call_ended")
        await page.get_by_role("link", name="Audit log").click()
        await expect(page.get_by_role("cell", name="Reported by the callee.")).to_be_visible()


async def test_a_timeline_shows_inputs_events_ticks_and_transfers_in_picture_and_list(
    people: Visitors,
) -> None:
    async with site(people.url) as there:
        call = await talk(there)
        await call.caller.event("call_tick", 2)
        await call.callee.ok("call_end", call.id)
        await call.caller.event("call_ended")
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Calls", exact=True).click()
        await page.get_by_role("button", name="Ended").click()
        await page.get_by_role("row", name="Mia").get_by_role("link").first.click()
        await expect(page.get_by_role("heading", name="Mia calls Kai")).to_be_visible()
        entries = page.get_by_role("list", name="Entries")
        for said in (
            "Asks for the call",
            "Is told: incoming",
            "Accepts",
            "Call connected",
            "Unit 1: 120 PTS",
            "Unit 2: 120 PTS",
            "Platform fee",
            "Hangs up",
            "Call ended",
        ):
            await expect(entries.get_by_text(said).first).to_be_visible()

        # What is chosen in the list is marked in the picture, and the other way round.
        picture = page.get_by_role("group", name="Picture of the call")
        await entries.get_by_role("button", name="Unit 2: 120").click()
        await expect(picture.locator(".thing.chosen")).to_have_class("thing tick money chosen")
        await people.check_access(page)
        await picture.locator(".thing.tick .hit").first.click()
        chosen = entries.locator("[aria-current]")
        await expect(chosen).to_contain_text("Unit 1")
        await picture.focus()
        await page.keyboard.press("End")
        await expect(chosen).not_to_contain_text("Unit 1")
        await page.keyboard.press("Home")
        await expect(entries.get_by_role("button").nth(0)).to_have_attribute("aria-current", "true")
        await page.keyboard.press("ArrowRight")
        await expect(entries.get_by_role("button").nth(1)).to_have_attribute("aria-current", "true")
        await expect(chosen).to_have_count(1)

        before = await picture.locator("svg").get_attribute("width")
        await page.get_by_role("button", name="Zoom in").click()
        await expect(picture.locator("svg")).not_to_have_attribute("width", str(before))
        await page.get_by_role("button", name="Money", exact=True).click()
        await expect(entries.get_by_text("Accepts")).to_have_count(0)
        await expect(entries.get_by_text("Unit 2: 120 PTS")).to_be_visible()
        await page.get_by_role("button", name="Time", exact=True).click()
        await people.check_access(page)


async def test_an_ended_call_is_refunded_once(people: Visitors) -> None:
    async with site(people.url) as there:
        call = await talk(there)
        await call.callee.ok("call_end", call.id)
        await call.caller.event("call_ended")
        page = await people.visit("/console")
        await enter(page)
        await page.goto(f"/console#/calls/{call.id}")
        await page.get_by_role("button", name="Refund", exact=True).click()
        await confirm(page, "Refund", "The line was bad.")
        await expect(page.get_by_role("status").get_by_text("went back")).to_be_visible()
        await expect(page.get_by_role("button", name="Refund", exact=True)).to_have_count(0)
        me = await there.get(await there.login("mia@demo.talktime"), "/users/me")
        assert me["user"]["balance"] == 1_000
