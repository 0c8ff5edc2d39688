"""People with the phone on their screens: what they press and what they see."""

from __future__ import annotations

import re
from typing import Any

from playwright.async_api import BrowserContext, Page, WebSocketRoute

from tests.browser.chromium import STEP_MS, WIDE, Scheme, Visitors

MIA, KAI, LEA, NOAH, ADA = "Mia", "Kai", "Lea", "Noah", "Ada"


async def come_as(
    people: Visitors, name: str, *, size: tuple[int, int] = WIDE, scheme: Scheme = "light"
) -> Page:
    """A new browser, logged in as a demo account by one press."""
    page = await people.visit(size=size, scheme=scheme)
    await press_demo(page, name)
    return page


async def press_demo(page: Page, name: str) -> None:
    await page.get_by_role("region", name="Try it as").get_by_role("button", name=name).click()
    await heading(page, "People")


async def heading(page: Page, name: str) -> None:
    """Until that screen is there."""
    await page.get_by_role("heading", name=name, level=1, exact=True).wait_for()


async def go(page: Page, screen: str) -> None:
    """By the navigation, as people do."""
    # The inbox says how much of it is unread.
    link = re.compile(rf"^{screen}\b")
    await page.get_by_role("navigation", name="Screens").get_by_role("link", name=link).click()
    await heading(page, screen)


async def see_person(page: Page, name: str) -> None:
    await page.get_by_role("main").get_by_role("link", name=name).first.click()
    await heading(page, name)


async def ring(page: Page, name: str, button: str = "Call") -> None:
    """Call somebody from their page, until the phone says that it calls."""
    await go(page, "People")
    await see_person(page, name)
    await online(page)
    await page.get_by_role("button", name=button, exact=True).click()


async def online(page: Page) -> None:
    """Until the person who is shown takes calls."""
    await page.get_by_role("article").get_by_text("Online", exact=True).wait_for()


async def answer(page: Page, button: str = "Accept") -> None:
    await page.get_by_role("button", name=button, exact=True).click()


async def talk(*pages: Page) -> None:
    """Until all of them are connected and the meter is there."""
    for page in pages:
        await status(page, "Connected")
        await page.get_by_role("region", name="Meter").wait_for()


async def status(page: Page, word: str) -> None:
    await page.get_by_role("main").get_by_role("status").filter(has_text=word).first.wait_for()


async def write(page: Page, text: str) -> None:
    """A message in the chat of the call that goes on."""
    await page.get_by_label("Message to").fill(text)
    await page.get_by_role("button", name="Send").click()


async def hang_up(page: Page) -> None:
    await page.get_by_role("button", name="Hang up").click()
    await heading(page, "Call ended")


async def meter(page: Page, name: str) -> str:
    figures = page.get_by_role("region", name="Meter")
    return (await figures.locator("dt", has_text=name).locator("xpath=../dd").inner_text()).strip()


async def until_meter(page: Page, name: str, text: str | re.Pattern[str]) -> None:
    row = page.get_by_role("region", name="Meter").locator("div").filter(has_text=name)
    await row.filter(has_text=text).first.wait_for()


async def come_rich(people: Visitors, name: str) -> Page:
    """As `come_as`, with money for more talk than any test takes."""
    page = await come_as(people, name)
    await fund(page)
    return page


async def fund(page: Page, amount: int = 60_000) -> None:
    await page.evaluate(
        """async (amount) => {
          const { accessToken } = JSON.parse(localStorage.getItem("talktime.session"));
          const post = async (path, body, more = {}) => {
            const headers = { "Content-Type": "application/json", ...more };
            const wish = { method: "POST", headers, body: JSON.stringify(body) };
            return (await fetch(path, wish)).json();
          };
          const wish = { amount, method: "sandbox" };
          const own = { Authorization: `Bearer ${accessToken}` };
          const { payment } = await post("/payments", wish, own);
          await post(payment.checkoutUrl, { outcome: "pay" });
        }""",
        amount,
    )


async def api(page: Page, path: str) -> Any:
    """What the API tells the person who is logged in there."""
    return await page.evaluate(
        """async (path) => {
          const { accessToken } = JSON.parse(localStorage.getItem("talktime.session"));
          const headers = { Authorization: `Bearer ${accessToken}` };
          return (await fetch(path, { headers })).json();
        }""",
        path,
    )


class Wire:
    """The sockets of a browser, which can be cut and kept cut."""

    def __init__(self) -> None:
        self._is_cut = False
        self._open: list[WebSocketRoute] = []

    async def attach(self, context: BrowserContext) -> None:
        """To be called before the first page is opened."""
        await context.route_web_socket("**/ws", self._opened)

    async def _opened(self, route: WebSocketRoute) -> None:
        if self._is_cut:
            await route.close(code=1012)
            return
        route.connect_to_server()
        self._open.append(route)

    async def cut(self) -> None:
        self._is_cut = True
        for route in self._open:
            await route.close(code=1012)
        self._open.clear()

    def mend(self) -> None:
        self._is_cut = False


async def wired(people: Visitors, name: str) -> tuple[Page, Wire]:
    """As `come_as`, with a line that can be cut."""
    wire = Wire()
    context = await people.visitor()
    await wire.attach(context)
    page = await context.new_page()
    await page.goto("/")
    await press_demo(page, name)
    await fund(page)
    return page, wire


async def until(page: Page, script: str) -> None:
    await page.wait_for_function(script, timeout=STEP_MS)
