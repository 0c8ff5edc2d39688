"""An admin asks in GraphQL from a browser."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from server.demo_accounts import DEMO_PASSWORD
from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors

pytestmark = pytest.mark.chromium

REFUSED = "the server responded with a status of 40"
EXPIRE = """() => {
  const kept = JSON.parse(sessionStorage.getItem("talktime.console"));
  sessionStorage.setItem(
    "talktime.console", JSON.stringify({ ...kept, renewAt: 0, ...%s }));
}"""


async def log_in(page: Page, name: str) -> None:
    await page.get_by_label("E-mail").fill(f"{name}@demo.talktime")
    await page.get_by_label("Password").fill(DEMO_PASSWORD)
    await page.get_by_role("button", name="Log in").click()


async def run(page: Page) -> None:
    await page.get_by_role("button", name="Execute query").click()


@pytest.mark.parametrize(("size", "scheme"), [(WIDE, "dark"), (NARROW, "light")])
async def test_an_admin_logs_in_asks_and_reads_the_schema(
    people: Visitors, size: tuple[int, int], scheme: Scheme
) -> None:
    page = await people.visit("/graphiql", size=size, scheme=scheme)
    await expect(page.get_by_label("E-mail")).to_be_focused()
    await people.check_access(page)
    await log_in(page, "ada")
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text("Hello from Talktime.")
    await page.get_by_role("button", name="Show Documentation Explorer").click()
    await expect(page.locator(".graphiql-plugin")).to_contain_text("Mutation")
    kept = await page.evaluate("JSON.stringify(localStorage)")
    token = await page.evaluate("JSON.parse(sessionStorage['talktime.console']).accessToken")
    assert token
    assert token not in kept
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("E-mail")).to_be_visible()
    assert await page.evaluate("sessionStorage.length") == 0


async def test_an_expired_token_is_renewed_and_an_ended_session_says_so(people: Visitors) -> None:
    page = await people.visit("/graphiql")
    await log_in(page, "ada")
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text("Hello")
    await page.evaluate(EXPIRE % "{}")
    # It asks for the schema as soon as it is there.
    async with page.expect_response("**/auth/refresh") as renewed:
        await page.reload()
    assert (await renewed.value).status == 200
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text("Hello")
    await page.evaluate(EXPIRE % '{ refreshToken: "over" }')
    await page.reload()
    await expect(page.get_by_role("alert")).to_have_text("Your session has ended. Log in again.")
    # The browser tells its console of every refusal.
    people.faults[:] = [each for each in people.faults if REFUSED not in each]


async def test_who_is_no_admin_is_told(people: Visitors) -> None:
    page = await people.visit("/graphiql")
    await log_in(page, "mia")
    await expect(page.get_by_role("alert")).to_contain_text("no admin")
    people.faults[:] = [each for each in people.faults if REFUSED not in each]


async def test_the_log_in_of_the_console_is_good_here_too(people: Visitors) -> None:
    page = await people.visit("/console")
    await page.get_by_role("button", name="Continue as Ada").click()
    await page.get_by_role("link", name="GraphiQL").click()
    await expect(page.get_by_text("ada@demo.talktime")).to_be_visible()
    await run(page)
    await expect(page.locator(".result-window")).to_contain_text("Hello")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_label("E-mail")).to_be_visible()
    await page.goto("/console")
    await expect(page.get_by_role("button", name="Continue as Ada")).to_be_visible()
