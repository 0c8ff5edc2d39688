"""`python -m tests.browser.screenshots [--out DIR] [--only WORD]`: a picture of every screen.

Each in light and dark, on a desk and on a phone: the phone's, then the console's. With
`--readme DIR` the few that the README shows are put there, made small.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from PIL import Image
from playwright.async_api import BrowserContext, Page

from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD
from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors, visitors
from tests.browser.house import House, house
from tests.browser.operating import earn
from tests.browser.phones import Wire, write

SIZES = {"wide": WIDE, "narrow": NARROW}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
# What the README shows, and under which name.
README = {
    "people-narrow-light": "phone-people.png",
    "call-audio-narrow-dark": "phone-call.png",
    "receipt-narrow-light": "phone-receipt.png",
    "console-overview-wide-light": "console-overview.png",
    "console-call-wide-light": "console-timeline.png",
}
COLOURS = 128
CHIARA = "chiara@demo.talktime"


class Camera:
    """Takes pictures of one size and one scheme; they are called by what they show."""

    def __init__(self, people: Visitors, out: Path, size: str, scheme: Scheme, only: str) -> None:
        self.people = people
        self.taken: list[Path] = []
        self.is_narrow = size == "narrow"
        self._out = out
        self.size = size
        self.scheme = scheme
        self._only = only

    async def person(self) -> BrowserContext:
        return await self.people.visitor(size=SIZES[self.size], scheme=self.scheme)

    async def open(self, path: str = "/") -> Page:
        """The first tab of somebody new."""
        page = await (await self.person()).new_page()
        await page.goto(path)
        return page

    async def take(self, page: Page, name: str, *, whole: bool = False) -> None:
        """What is in the window, or the `whole` page."""
        if self._only not in name and "failed" not in name:
            return
        await page.wait_for_timeout(250)
        path = self._out / f"{name}-{self.size}-{self.scheme}.png"
        await page.screenshot(path=path, full_page=whole)
        self.taken.append(path)


async def log_in(page: Page, email: str, *, where: str = "") -> None:
    await page.get_by_label("E-mail or phone number").fill(email)
    await page.get_by_label("Password").fill(DEMO_PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).last.click()
    await page.get_by_role("heading", name="People", level=1).wait_for()
    if where:
        await show(page, where)


async def show(page: Page, where: str) -> None:
    await page.evaluate("where => { location.hash = where; }", where)
    await page.wait_for_load_state("networkidle")


async def tour(house: House, camera: Camera) -> None:
    """The phone."""
    page = await camera.open()
    await page.get_by_role("heading", name="Welcome").wait_for()
    await camera.take(page, "login")
    await page.get_by_role("button", name="By phone").click()
    await page.get_by_label("Phone number").fill("+1 202 555 0147")
    await page.get_by_role("button", name="Send me a code").click()
    await page.get_by_text("Your code is").wait_for()
    await camera.take(page, "login-code")
    await page.get_by_role("button", name="Log in", exact=True).first.click()
    await log_in(page, CALLER_MAIL)
    await page.wait_for_load_state("networkidle")
    await camera.take(page, "people")
    await show(page, f"#/people/{house.ids['Chiara Moretti']}")
    await camera.take(page, "person")
    await show(page, "#/history")
    await camera.take(page, "history")
    await page.locator("a.row").first.click()
    await page.wait_for_load_state("networkidle")
    await camera.take(page, "receipt")
    for screen in ("wallet", "inbox", "me"):
        await show(page, f"#/{screen}")
        await camera.take(page, screen)
    await work(house, camera)
    await call(camera, page)
    await page.context.close()
    await trouble(house, camera)


async def work(house: House, camera: Camera) -> None:
    page = await camera.open()
    await log_in(page, CHIARA, where="#/work")
    await camera.take(page, "work")
    await payouts(house, camera, page)
    await page.context.close()
    page = await camera.open()
    await log_in(page, "ada@demo.talktime", where="#/work")
    await camera.take(page, "become-provider")
    await show(page, "#/history")
    await camera.take(page, "history-empty")
    await page.context.close()


async def payouts(house: House, camera: Camera, page: Page) -> None:
    """One is on its way, one was refused, one waits; and one is too small."""
    async with house.server.pool.acquire() as conn:
        await earn(conn, 6_000, CHIARA)
    chiara, ada = await house.api(CHIARA), await house.api("ada@demo.talktime")
    for verb, body in (
        ("approve", {}),
        ("reject", {"reason": "The bank does not know this account."}),
        ("", {}),
    ):
        wish = {"amount": 1_500, "destination": "IBAN XX00 0000 0000"}
        payout = (await chiara.request("POST", "/wallet/payouts", wish))["payout"]["id"]
        if verb:
            await ada.request("POST", f"/payouts/{payout}/{verb}", body)
    await page.reload()
    await page.get_by_role("button", name="Ask for a payout").click()
    await page.get_by_label("Amount in PTS").fill("500")
    await page.get_by_label("Where to").fill("IBAN XX00 0000 0000")
    await page.get_by_role("button", name="Ask for it").click()
    await page.get_by_text("Less than 1,000 PTS").wait_for()
    camera.people.expected("400")
    while await page.get_by_role("button", name="Dismiss").count():
        await page.get_by_role("button", name="Dismiss").first.click()
    await page.get_by_role("heading", name="Payouts").scroll_into_view_if_needed()
    await camera.take(page, "payouts")


async def call(camera: Camera, mia: Page) -> None:
    """From the ring to the receipt, on both sides."""
    lea = await camera.open()
    await log_in(lea, "lea@demo.talktime")
    await show(mia, "#/people")
    await mia.get_by_role("link", name="Lea").first.click()
    await mia.get_by_role("button", name="Video call").click()
    accept = lea.get_by_role("button", name="Accept with video")
    await accept.wait_for()
    await camera.take(lea, "incoming")
    await camera.take(mia, "ringing")
    await accept.click()
    for page in (mia, lea):
        await page.get_by_role("region", name="Meter").wait_for()
    await mia.wait_for_timeout(3_000)
    await chat(camera, mia, lea)
    await camera.take(mia, "call-video")
    await camera.take(lea, "call-callee")
    await mia.get_by_role("button", name="Camera off").click()
    await lea.get_by_role("button", name="Camera off").click()
    await camera.take(mia, "call-audio")
    await mia.get_by_role("button", name="Connection").click()
    await mia.get_by_role("dialog").wait_for()
    await camera.take(mia, "quality")
    await mia.keyboard.press("Escape")
    await mia.get_by_role("button", name="Devices").click()
    await mia.get_by_role("dialog").wait_for()
    await camera.take(mia, "devices")
    await mia.keyboard.press("Escape")
    await mia.get_by_role("button", name="Top up").click()
    await mia.get_by_role("dialog").get_by_role("button", name="Top up").click()
    await mia.get_by_role("button", name="Pay").wait_for()
    await camera.take(mia, "topup")
    await mia.keyboard.press("Escape")
    await mia.get_by_role("button", name="Hang up").click()
    await mia.get_by_role("heading", name="Call ended").wait_for()
    await mia.get_by_text("4 stars").first.wait_for(state="attached")
    await camera.take(mia, "after", whole=True)
    await mia.get_by_role("button", name="Done").click()
    await show(mia, "#/history")
    await mia.locator("a.row").first.click()
    await mia.get_by_role("region", name="Chat").wait_for()
    await camera.take(mia, "receipt-chat")
    await lea.context.close()


async def trouble(house: House, camera: Camera) -> None:
    """Too little money, and a line that goes."""
    wire = Wire()
    context = await camera.person()
    await wire.attach(context)
    noah, lea = await context.new_page(), await camera.open()
    await noah.goto("/")
    await log_in(noah, "noah@demo.talktime", where=f"#/people/{house.ids['Lea']}")
    await log_in(lea, "lea@demo.talktime")
    await noah.get_by_role("button", name="Call", exact=True).click()
    await lea.get_by_role("button", name="Accept", exact=True).click()
    await noah.get_by_role("region", name="Meter").wait_for()
    second = await camera.open()
    await log_in(second, "noah@demo.talktime")
    await second.get_by_text("is on another device").wait_for()
    await wire.cut()
    await lea.get_by_text("connection was lost").wait_for()
    await second.get_by_role("button", name="Continue on this device").wait_for()
    for page, name in ((lea, "reconnecting"), (noah, "no-line"), (second, "continue")):
        await camera.take(page, name)
    wire.mend()
    await lea.get_by_role("button", name="Hang up").click()
    await lea.get_by_role("heading", name="Call ended").wait_for()
    await camera.take(lea, "after-callee")
    await lea.get_by_role("button", name="Done").click()
    await second.context.close()
    await noah.context.close()
    await poverty(house, camera, lea)
    await lea.context.close()


async def poverty(house: House, camera: Camera, lea: Page) -> None:
    """Each time somebody new, with money for less than two minutes."""
    poor = await camera.open()
    await poor.get_by_role("button", name="Sign up").click()
    await poor.get_by_label("Your name").fill("Zoe Quinn")
    await poor.get_by_label("E-mail").fill(f"zoe-{camera.size}-{camera.scheme}@example.org")
    await poor.get_by_label("Password").fill(DEMO_PASSWORD)
    await camera.take(poor, "sign-up")
    await poor.get_by_role("button", name="Create account").click()
    await poor.get_by_role("heading", name="People", level=1).wait_for()
    await show(poor, f"#/people/{house.ids['Lea']}")
    await poor.get_by_role("button", name="Call", exact=True).click()
    dialog = poor.get_by_role("dialog")
    await dialog.wait_for()
    await camera.take(poor, "too-little")
    await dialog.get_by_role("radio", name="Another amount").check()
    await dialog.get_by_label("Amount in PTS").fill("90")
    await dialog.get_by_role("button", name="Top up", exact=True).click()
    await dialog.get_by_role("button", name="Pay").click()
    await dialog.get_by_role("button", name="Call Lea").click()
    await lea.get_by_role("button", name="Accept", exact=True).click()
    await poor.get_by_text("almost used up").wait_for()
    await camera.take(poor, "low-balance")
    await poor.get_by_role("button", name="Hang up").click()
    await lea.get_by_role("heading", name="Call ended").wait_for()
    await poor.context.close()


async def chat(camera: Camera, mia: Page, lea: Page) -> None:
    for page in (mia, lea):
        if camera.is_narrow:
            await page.get_by_role("button", name="Open chat").click()
    lines = ((mia, "Is it fine to proof overnight?"), (lea, "Yes, in the fridge. Up to 16 hours."))
    for page, text in lines:
        await write(page, text)
    await mia.get_by_text("Up to 16 hours").wait_for()
    await lea.get_by_label("Message to").fill("And")
    if camera.is_narrow:
        await camera.take(mia, "chat")
        for page in (mia, lea):
            await page.get_by_role("button", name="Hide chat").click()


Tour = Callable[[House, Camera], Awaitable[None]]


def put_into_readme(taken: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, shown in README.items():
        with Image.open(taken / f"{name}.png") as picture:
            picture.convert("RGB").quantize(COLOURS).save(folder / shown, optimize=True)


@asynccontextmanager
async def studio() -> AsyncIterator[tuple[House, Visitors]]:
    async with house() as open_house, visitors(open_house.url) as people:
        yield open_house, people


async def attempt(tour: Tour, house: House, camera: Camera) -> None:
    """One tour; what was on the screens is in `failed` when it breaks off."""
    try:
        await tour(house, camera)
    except Exception:
        for number, page in enumerate(camera.people.pages):
            await camera.take(page, f"failed-{number}")
        print(*camera.people.faults, sep="\n")
        raise


async def pictures(tour: Tour, out: Path, only: str) -> int:
    """All sizes and schemes of a tour, in a house of its own; how many faults there were."""
    async with studio() as (open_house, people):
        for size in SIZES:
            for scheme in SCHEMES:
                camera = Camera(people, out, size, scheme, only)
                await attempt(tour, open_house, camera)
                print(f"{size} {scheme}: {len(camera.taken)} pictures", flush=True)
        print(*people.faults, sep="\n")
        return len(people.faults)


async def main(out: Path, only: str) -> int:
    # It takes its pictures with what is defined here.
    from tests.browser import screenshots_console

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    await asyncio.to_thread(out.mkdir, parents=True, exist_ok=True)
    faults = 0
    if not only.startswith("console"):
        faults += await pictures(tour, out, only)
    faults += await pictures(screenshots_console.tour, out, only)
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--only", default="", help="those with this in their name")
    parser.add_argument("--readme", type=Path, help="where to put those of the README")
    arguments = parser.parse_args()
    status = asyncio.run(main(arguments.out, arguments.only))
    if arguments.readme is not None and not arguments.only:
        put_into_readme(arguments.out, arguments.readme)
    raise SystemExit(status)
