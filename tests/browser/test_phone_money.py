"""Money on the phone: too little of it, more of it in the middle of a call, the wallet."""

from __future__ import annotations

import pytest
from playwright.async_api import Page

from tests.browser.chromium import Visitors
from tests.browser.phones import (
    KAI,
    answer,
    api,
    come_as,
    go,
    heading,
    ring,
    talk,
    until_meter,
)

pytestmark = pytest.mark.chromium


async def pay(page: Page, amount: str) -> None:
    """Top up at the sandbox, in the part of the page that is open."""
    await page.get_by_role("radio", name="Another amount").check()
    await page.get_by_label("Amount in PTS").fill(amount)
    await page.get_by_role("button", name="Top up", exact=True).last.click()
    await page.get_by_text("Sandbox: no real money").wait_for()
    await page.get_by_role("button", name="Pay", exact=True).click()
    await page.get_by_text("The money is in your wallet.").wait_for()


async def sign_up(people: Visitors) -> Page:
    """Somebody without any money."""
    page = await people.visit()
    await page.get_by_role("button", name="Sign up").click()
    await page.get_by_label("Your name").fill("Zoe")
    await page.get_by_label("E-mail").fill("zoe@example.org")
    await page.get_by_label("Password").fill("correct horse")
    await page.get_by_role("button", name="Create account").click()
    await heading(page, "People")
    return page


async def test_too_little_money_is_mended_on_the_spot_and_again_in_mid_call(
    people: Visitors,
) -> None:
    zoe, kai = await sign_up(people), await come_as(people, KAI)
    await ring(zoe, KAI)
    dialog = zoe.get_by_role("dialog", name="Top up to call")
    await dialog.get_by_text("This call needs 120 PTS to begin, and you have 0 PTS").wait_for()
    await people.check_access(zoe)
    await pay(zoe, "1000")
    await dialog.get_by_role("button", name="Call Kai").click()
    await answer(kai)
    await talk(zoe, kai)
    await zoe.get_by_role("alert").filter(has_text="Your balance is almost used up").wait_for()
    await kai.get_by_role("alert").filter(has_text="Zoe's balance is almost used up").wait_for()
    await people.check_access(zoe)
    await zoe.get_by_role("region", name="Meter").get_by_role("button", name="Top up").click()
    await people.check_access(zoe)
    await pay(zoe, "60000")
    await zoe.get_by_role("button", name="Back to the call").click()
    await zoe.get_by_role("alert").wait_for(state="hidden")
    await until_meter(zoe, "Balance", "60,")


async def test_a_call_ends_with_the_money_and_the_wallet_shows_where_it_went(
    people: Visitors,
) -> None:
    zoe, kai = await sign_up(people), await come_as(people, KAI)
    await go(zoe, "Wallet")
    await zoe.get_by_role("radio", name="Another amount").check()
    await zoe.get_by_label("Amount in PTS").fill("120")
    await zoe.get_by_role("button", name="Top up", exact=True).click()
    await zoe.get_by_role("button", name="Decline").click()
    await zoe.get_by_role("alert").filter(has_text="declined").wait_for()
    await people.check_access(zoe)
    await zoe.get_by_role("button", name="Pay", exact=True).click()
    await zoe.get_by_role("region", name="Balance").get_by_text("120 PTS").wait_for()
    await zoe.get_by_text("+120 PTS").wait_for()
    await zoe.get_by_role("button", name="Done").click()
    await ring(zoe, KAI)
    await answer(kai)
    await heading(zoe, "Balance used up")
    await kai.get_by_text("Zoe's balance was used up.").wait_for()
    await zoe.get_by_role("button", name="Done").click()
    await go(zoe, "Wallet")
    await zoe.get_by_role("region", name="Balance").get_by_text("0 PTS", exact=True).wait_for()
    await zoe.get_by_text("−120 PTS").wait_for()
    await zoe.get_by_role("button", name="Money in").click()
    await zoe.get_by_text("−120 PTS").wait_for(state="hidden")
    assert (await api(zoe, "/wallet/balance"))["balance"] == 0
    await zoe.get_by_role("radio", name="1000 points").check()
    await zoe.get_by_role("button", name="Top up", exact=True).click()
    await zoe.get_by_role("button", name="Pay", exact=True).click()
    await zoe.get_by_role("region", name="Balance").get_by_text("1,100 PTS").wait_for()
    await zoe.get_by_role("region", name="Balance").get_by_text("100 PTS", exact=True).wait_for()
