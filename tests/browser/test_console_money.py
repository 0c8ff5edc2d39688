"""Operators and money: adjustments that need two, payouts."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from storage.pool import Connection
from tests.browser.chromium import Visitors
from tests.browser.operating import OTHER_MAIL, enter, make_admin, want_payout
from tests.browser.test_console_calls import confirm
from tests.end_to_end.driver import PASSWORD, site

pytestmark = pytest.mark.chromium


async def enter_as(page: Page, mail: str) -> None:
    await page.get_by_label("E-mail").fill(mail)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.get_by_role("heading", name="Overview").wait_for()


async def adjust(page: Page, amount: str, reason: str) -> None:
    await page.get_by_role("button", name="Adjust a wallet").click()
    await page.get_by_role("dialog").get_by_label("Amount").fill(amount)
    await confirm(page, "Adjust", reason)


async def test_a_small_adjustment_is_posted_and_a_large_one_waits_for_a_second_operator(
    people: Visitors, books: Connection
) -> None:
    await make_admin(books, OTHER_MAIL)
    page = await people.visit("/console")
    await enter(page)
    await page.get_by_role("link", name="Users", exact=True).click()
    await page.get_by_role("link", name="Mia").click()
    await adjust(page, "250", "The call of yesterday was bad.")
    await expect(page.get_by_role("row", name="Adjustment")).to_contain_text("+250 PTS")
    await adjust(page, "50000", "A bonus for the year.")
    await expect(page.get_by_role("status").get_by_text("second operator")).to_be_visible()
    await expect(page.get_by_role("row", name="Adjustment")).to_have_count(1)

    other = await people.visit("/console")
    await enter_as(other, OTHER_MAIL)
    await other.get_by_role("link", name="Money", exact=True).click()
    await other.get_by_role("button", name="Adjustments").click()
    row = other.get_by_role("row", name="A bonus for the year.")
    await expect(row).to_contain_text("+50,000 PTS")
    await row.get_by_role("button", name="Approve").click()
    await confirm(other, "Approve", "Agreed.")
    await expect(other.get_by_text("Nothing waits for a second operator.")).to_be_visible()
    async with site(people.url) as there:
        me = await there.get(await there.login("mia@demo.talktime"), "/users/me")
        assert me["user"]["balance"] == 51_250


async def test_nobody_approves_what_they_asked_for(people: Visitors) -> None:
    page = await people.visit("/console")
    await enter(page)
    await page.get_by_role("link", name="Users", exact=True).click()
    await page.get_by_role("link", name="Mia").click()
    await adjust(page, "50000", "A bonus for the year.")
    await page.get_by_role("link", name="Money", exact=True).click()
    await page.get_by_role("button", name="Adjustments").click()
    await page.get_by_role("button", name="Approve", exact=True).click()
    question = page.get_by_role("dialog")
    await question.get_by_label("Reason").fill("I agree with myself.")
    await question.get_by_role("button", name="Approve").click()
    await expect(question.get_by_role("alert")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("row", name="A bonus for the year.")).to_be_visible()
    people.faults[:] = [fault for fault in people.faults if "status of 403" not in fault]


async def test_a_payout_is_approved_and_then_paid(people: Visitors, books: Connection) -> None:
    async with site(people.url) as there:
        await want_payout(there, books, 2_500)
        page = await people.visit("/console")
        await enter(page)
        await page.get_by_role("link", name="Money", exact=True).click()
        row = page.get_by_role("row", name="IBAN XX00 0000 0000")
        await expect(row).to_contain_text("2,500 PTS")
        await expect(row.get_by_role("link", name="Kai")).to_be_visible()
        await row.get_by_role("button", name="Approve").click()
        await confirm(page, "Approve", "")
        await expect(page.get_by_text("Nobody waits for a decision.")).to_be_visible()
        await page.get_by_role("button", name="Approved").click()
        await row.get_by_role("button", name="Mark as paid").click()
        question = page.get_by_role("dialog")
        await question.get_by_label("The bank's reference").fill("TX-4711")
        await question.get_by_role("button", name="Mark as paid").click()
        await page.get_by_role("button", name="Paid", exact=True).click()
        await expect(row).to_contain_text("TX-4711")
        kai = await there.login("kai@demo.talktime")
        (payout,) = (await there.get(kai, "/wallet/payouts"))["items"]
        assert (payout["status"], payout["reference"]) == ("paid", "TX-4711")
