"""Every page of the console: who comes in, and that everybody can use it."""

from __future__ import annotations

import pytest
from playwright.async_api import Page, expect

from storage.pool import Connection
from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors
from tests.browser.operating import enter, fail_job, id_of, talk, want_payout
from tests.end_to_end.driver import PASSWORD, site

pytestmark = pytest.mark.chromium
PLACES = {
    "#/": "Overview",
    "#/calls": "Calls",
    "#/calls?tab=ended": "Calls",
    "#/users": "Users",
    "#/money": "Money",
    "#/money?tab=adjustments": "Money",
    "#/money?tab=payments": "Money",
    "#/jobs?tab=failed": "Jobs",
    "#/webhooks": "Webhooks",
    "#/nodes": "Nodes",
    "#/audit": "Audit log",
}


async def settled(page: Page) -> None:
    await expect(page.locator(".waiting")).to_have_count(0)
    await expect(page.locator(".failed")).to_have_count(0)


async def check_sizes(people: Visitors, page: Page) -> None:
    for width, height in (WIDE, NARROW):
        await people.resize(page, width, height)
        await people.check_access(page)
        too_much = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
        assert too_much <= 0, f"{page.url} is wider than its window of {width} px"


async def test_who_is_no_admin_is_told_so_and_stays_outside(people: Visitors) -> None:
    page = await people.visit("/console")
    await page.get_by_label("E-mail").fill("mia@demo.talktime")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_contain_text("not an operator's")
    await people.check_access(page)
    await page.reload()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


async def test_an_admin_comes_in_by_password_stays_in_and_leaves(people: Visitors) -> None:
    page = await people.visit("/console#/nodes")
    await page.get_by_label("E-mail").fill("ada@demo.talktime")
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", name="Nodes")).to_be_visible()
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()


@pytest.mark.timeout(300)  # Thirty looks at pages, each by every rule.
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_can_be_used_by_everybody(
    people: Visitors, books: Connection, scheme: Scheme
) -> None:
    async with site(people.url) as there:
        live = await talk(there)
        await fail_job(books)
        await want_payout(there, books, 2_500)
        user = f"#/users/{await id_of(books, 'kai@demo.talktime')}"
        more = {f"#/calls/{live.id}": "Mia calls Kai", user: "Kai", f"{user}?tab=logins": "Kai"}
        page = await people.visit("/console", scheme=scheme)
        await check_sizes(people, page)
        await enter(page)
        for place, heading in {**PLACES, **more}.items():
            await page.goto(f"/console{place}")
            await expect(page.locator("h1")).to_have_text(heading)
            await settled(page)
            await check_sizes(people, page)


async def test_a_narrow_window_has_a_menu_that_escape_closes(people: Visitors) -> None:
    page = await people.visit("/console", size=NARROW)
    await enter(page)
    menu = page.get_by_role("button", name="Menu")
    await expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_hidden()
    await menu.click()
    await people.check_access(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("link", name="Jobs", exact=True)).to_be_hidden()
    await menu.click()
    await page.get_by_role("link", name="Jobs", exact=True).click()
    await expect(page.get_by_role("heading", name="Jobs", level=1)).to_be_visible()
    await expect(page.get_by_role("link", name="Nodes", exact=True)).to_be_hidden()


async def test_people_are_found_with_a_slash_and_the_beginning_of_a_name(people: Visitors) -> None:
    page = await people.visit("/console")
    await enter(page)
    await page.get_by_role("link", name="Users", exact=True).click()
    await expect(page.get_by_role("link", name="Noah")).to_be_visible()
    await page.keyboard.press("/")
    await page.keyboard.type("mi")
    await expect(page.get_by_role("link", name="Noah")).to_have_count(0)
    await page.get_by_role("link", name="Mia").click()
    await expect(page.get_by_role("heading", name="Mia")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_role("searchbox")).to_have_value("mi")


async def test_a_list_that_cannot_be_loaded_says_what_to_do_and_does_it(people: Visitors) -> None:
    page = await people.visit("/console")
    await enter(page)
    await page.route("**/operators/nodes*", lambda route: route.abort())
    await page.get_by_role("link", name="Nodes", exact=True).click()
    await expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    await page.unroute("**/operators/nodes*")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.get_by_role("cell", name="alive")).to_be_visible()
    people.faults[:] = [fault for fault in people.faults if "ERR_FAILED" not in fault]


async def test_dark_and_light_are_changed_and_kept_with_the_charts(people: Visitors) -> None:
    page = await people.visit("/console")
    await enter(page)
    await expect(page.locator(".plot canvas")).to_have_count(6)
    await page.get_by_role("button", name="Dark or light").click()
    await expect(page.locator("html[data-theme=dark]")).to_be_attached()
    await expect(page.locator(".plot canvas")).to_have_count(6)
    await page.get_by_role("button", name="15 min").click()
    await page.reload()
    await expect(page.locator("html[data-theme=dark]")).to_be_attached()
    await expect(page.get_by_role("button", name="15 min")).to_have_attribute(
        "aria-pressed", "true"
    )
