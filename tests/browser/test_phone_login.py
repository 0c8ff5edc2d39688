"""Coming in: by demo account, password, sign-up and phone; and going out again."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD
from tests.browser.chromium import Visitors
from tests.browser.phones import MIA, go, heading, press_demo

pytestmark = pytest.mark.chromium


async def log_in(page: Page, password: str) -> None:
    await page.get_by_label("E-mail or phone number").fill(CALLER_MAIL)
    await page.get_by_label("Password").fill(password)
    await page.get_by_label("Password").press("Enter")


async def test_a_demo_account_takes_one_press_and_lasts_over_a_reload(people: Visitors) -> None:
    page = await people.visit()
    await press_demo(page, MIA)
    await go(page, "Me")
    await page.reload()
    await heading(page, "Me")
    assert await page.get_by_role("region", name="Profile").get_by_text(CALLER_MAIL).is_visible()
    await page.go_back()
    await heading(page, "People")
    await go(page, "Me")
    await page.get_by_role("button", name="Log out").click()
    await heading(page, "Welcome")
    await page.reload()
    await heading(page, "Welcome")


async def test_a_wrong_password_is_explained_and_chosen_colours_stay(
    people: Visitors,
) -> None:
    page = await people.visit()
    await log_in(page, "not the password")
    refusal = page.get_by_role("alert")
    await refusal.wait_for()
    assert "E-mail or password is wrong" in await refusal.inner_text()
    await people.check_access(page)
    people.expected("401")
    await page.get_by_role("button", name="Switch to dark colours").click()
    await page.reload()
    await heading(page, "Welcome")
    assert await page.evaluate("document.documentElement.dataset.theme") == "dark"
    await log_in(page, DEMO_PASSWORD)
    await heading(page, "People")


async def test_somebody_new_signs_up(people: Visitors) -> None:
    page = await people.visit()
    await page.get_by_role("button", name="Sign up").click()
    await page.get_by_label("Your name").fill("Zoe")
    await page.get_by_label("E-mail").fill("zoe@example.org")
    await page.get_by_label("Password").fill("correct horse")
    await people.check_access(page)
    await page.get_by_role("button", name="Create account").click()
    await heading(page, "People")
    await go(page, "Wallet")
    assert await page.get_by_role("region", name="Balance").get_by_text("0 PTS").is_visible()
    await page.get_by_role("heading", name="Nothing moved yet").wait_for()
    await go(page, "History")
    await page.get_by_role("heading", name="No calls here").wait_for()
    await go(page, "Inbox")
    await page.get_by_role("heading", name="All quiet").wait_for()


async def test_a_code_by_phone_is_in_the_dev_inbox(people: Visitors) -> None:
    page = await people.visit()
    await page.get_by_role("button", name="By phone").click()
    await page.get_by_label("Phone number").fill("+1 202 555 0147")
    await page.get_by_role("button", name="Send me a code").click()
    inbox = page.get_by_role("region", name="Dev inbox")
    code = await inbox.locator("strong").inner_text()
    await page.get_by_label("Code").fill("000000" if code != "000000" else "111111")
    await page.get_by_label("Your name").fill("Pat")
    await page.get_by_role("button", name="Log in with the code").click()
    await page.get_by_text("The code is wrong or has expired").wait_for()
    people.expected("400")
    await people.check_access(page)
    await page.get_by_label("Code").fill(code)
    await page.get_by_role("button", name="Log in with the code").click()
    await heading(page, "People")
    await go(page, "Me")
    assert await page.get_by_text("Pat", exact=True).is_visible()
