"""A provider asks for what was earned, and sees what becomes of it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from storage.pool import Connection
from tests.browser.chromium import NARROW, Visitors
from tests.browser.operating import ADMIN_MAIL, earn, must
from tests.browser.phones import KAI, NOAH, api, come_as, go, heading
from tests.end_to_end.driver import site

pytestmark = pytest.mark.chromium


async def ask(page: Page, amount: str, destination: str = "IBAN XX00 0000 0000") -> None:
    """Fill the form that is open in, and send it."""
    await page.get_by_label("Amount in PTS").fill(amount)
    await page.get_by_label("Where to").fill(destination)
    await page.get_by_role("button", name="Ask for it").click()


async def figure(page: Page, name: str, text: str) -> None:
    term = page.get_by_role("region", name="Earnings").get_by_text(name, exact=True)
    await expect(term.locator("xpath=../dd")).to_have_text(text)


async def test_a_payout_is_asked_for_and_followed_to_its_end(
    people: Visitors, books: Connection
) -> None:
    kai = await come_as(people, KAI, size=NARROW)
    await go(kai, "Work")
    payouts = kai.get_by_role("region", name="Payouts")
    await payouts.get_by_text("Once something you have earned is ready").wait_for()
    await earn(books, 5_000)
    await kai.reload()
    await payouts.get_by_text("You have not asked for any yet.").wait_for()
    await payouts.get_by_role("button", name="Ask for a payout").click()
    await expect(kai.get_by_label("Amount in PTS")).to_have_value("5000")
    await expect(kai.get_by_label("Amount in PTS")).to_be_focused()
    await people.check_access(kai)
    for amount, said in (
        ("999", "Less than 1,000 PTS is not paid out."),
        ("5001", "That is more than is ready: 5,000 PTS can be paid out now."),
    ):
        await ask(kai, amount)
        await payouts.get_by_role("alert").filter(has_text=said).wait_for()
    await people.check_access(kai)
    await ask(kai, "3000")
    first = payouts.get_by_role("listitem").filter(has_text="3,000 PTS")
    await expect(first).to_contain_text("Requested")
    await expect(first).to_contain_text("To IBAN XX00 0000 0000")
    await figure(kai, "Ready to be paid out", "2,000 PTS")
    await figure(kai, "Being paid out", "3,000 PTS")
    await payouts.get_by_role("button", name="Ask for a payout").click()
    await ask(kai, "2000", "Another bank")
    second = payouts.get_by_role("listitem").filter(has_text="2,000 PTS")
    await expect(second).to_contain_text("Requested")
    await people.check_access(kai)

    ids = {each["amount"]: each["id"] for each in (await api(kai, "/wallet/payouts"))["items"]}
    async with site(people.url) as there:
        ada = await there.login(ADMIN_MAIL)
        await must(there, ada, "POST", f"/payouts/{ids[3_000]}/approve", {})
        await expect(first).to_contain_text("It is on its way to you.")
        await must(there, ada, "POST", f"/payouts/{ids[3_000]}/paid", {"reference": "B-17"})
        await expect(first).to_contain_text("Reference of the bank: B-17")
        why = {"reason": "The bank does not know this account."}
        await must(there, ada, "POST", f"/payouts/{ids[2_000]}/reject", why)
    await expect(second).to_contain_text("Refused")
    await expect(second).to_contain_text(f"Reason: {why['reason']}")
    await figure(kai, "Ready to be paid out", "2,000 PTS")
    await figure(kai, "Paid out", "3,000 PTS")
    await people.check_access(kai)
    await go(kai, "Inbox")
    await kai.get_by_role("link", name="See your payouts").first.click()
    await heading(kai, "Work")
    people.expected("400")
    people.expected("402")


async def test_a_payout_is_taken_back_unless_it_was_decided_on(
    people: Visitors, books: Connection
) -> None:
    await earn(books, 5_000)
    kai = await come_as(people, KAI, scheme="dark")
    await go(kai, "Work")
    payouts = kai.get_by_role("region", name="Payouts")
    for amount in ("2000", "3000"):
        await payouts.get_by_role("button", name="Ask for a payout").click()
        await ask(kai, amount)
        await payouts.get_by_role("button", name="Ask for it").wait_for(state="hidden")
    await payouts.get_by_role("button", name="Take 2,000 PTS back").click()
    row = payouts.get_by_role("listitem").filter(has_text="2,000 PTS")
    await expect(row).to_contain_text("Taken back")
    await figure(kai, "Ready to be paid out", "2,000 PTS")
    # Nothing is told of it, so the page does not know yet.
    await books.execute(
        """
        update payout set status = 'approved', decided_at = now(),
               decided_by = (select id from users where email = $1)
         where amount_minor = 3000
        """,
        ADMIN_MAIL,
    )
    await payouts.get_by_role("button", name="Take 3,000 PTS back").click()
    await kai.get_by_text("The operator has decided on this payout already.").wait_for()
    row = payouts.get_by_role("listitem").filter(has_text="3,000 PTS")
    await expect(row).to_contain_text("Approved")
    await people.check_access(kai)
    people.expected("409")


async def test_who_has_logged_in_long_ago_logs_in_again_and_goes_on(
    people: Visitors, books: Connection
) -> None:
    await earn(books, 5_000)
    kai = await come_as(people, KAI)
    await go(kai, "Work")
    payouts = kai.get_by_role("region", name="Payouts")
    await books.execute("update session set created_at = created_at - interval '11 minutes'")
    await payouts.get_by_role("button", name="Ask for a payout").click()
    await ask(kai, "1500", "My bank")
    await payouts.get_by_text("For this, log in again").wait_for()
    await people.check_access(kai)
    await payouts.get_by_role("button", name="Log in again").click()
    await heading(kai, "Welcome")
    await kai.get_by_role("region", name="Try it as").get_by_role("button", name=KAI).click()
    await heading(kai, "Work")
    await expect(kai.get_by_label("Amount in PTS")).to_have_value("1500")
    await expect(kai.get_by_label("Where to")).to_have_value("My bank")
    await kai.get_by_role("button", name="Ask for it").click()
    await expect(payouts.get_by_role("listitem")).to_contain_text("Requested")
    people.expected("403")


async def test_who_has_just_become_a_provider_may_ask_for_a_payout(
    people: Visitors, books: Connection
) -> None:
    noah = await come_as(people, NOAH)
    await noah.evaluate("location.hash = '#/work'")
    await noah.get_by_role("button", name="Become a provider").click()
    await noah.get_by_text("You can take calls now.").wait_for()
    await earn(books, 1_000, "noah@demo.talktime")
    await noah.reload()
    await noah.get_by_role("button", name="Ask for a payout").click()
    await ask(noah, "1000")
    await expect(
        noah.get_by_role("region", name="Payouts").get_by_role("listitem")
    ).to_contain_text("Requested")
