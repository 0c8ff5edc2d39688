"""A Chromium with a camera and a microphone of its own, and what is wrong with a page in it.

Every page that is opened here is watched: what it says on its console as an error, what it throws,
and whom it asks besides the server. `Visitors.faults` must be empty at the end of a test.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

WIDE, NARROW = (1280, 800), (390, 844)
STEP_MS = 15_000
# No traffic of the browser's own, and media devices that need no permission: a beep and a clock.
ARGUMENTS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
# What observes a size is told behind the first of them.
DRAWN = """() => new Promise(
  (done) => requestAnimationFrame(() => requestAnimationFrame(() => done())),
)"""
Scheme = Literal["light", "dark"]


class Visitors:
    """People at the pages of the server at `url`, each with a browser profile of their own."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        self._browser = browser
        self._axe = Axe()

    @property
    def pages(self) -> list[Page]:
        """All that are open."""
        return [page for context in self._browser.contexts for page in context.pages]

    async def visitor(
        self, *, size: tuple[int, int] = WIDE, scheme: Scheme = "light"
    ) -> BrowserContext:
        """A new profile; `context.new_page()` is another tab of the same person."""
        width, height = size
        context = await self._browser.new_context(
            base_url=self.url,
            viewport={"width": width, "height": height},
            color_scheme=scheme,
            reduced_motion="reduce",
            permissions=["camera", "microphone"],
        )
        context.set_default_timeout(STEP_MS)
        context.on("page", self._watch)
        return context

    async def visit(
        self, path: str = "/", *, size: tuple[int, int] = WIDE, scheme: Scheme = "light"
    ) -> Page:
        """The first tab of a new person."""
        context = await self.visitor(size=size, scheme=scheme)
        page = await context.new_page()
        await page.goto(path)
        return page

    async def resize(self, page: Page, width: int, height: int) -> None:
        """Give it a window of that size, and let what follows the size of its box follow."""
        await page.set_viewport_size({"width": width, "height": height})
        await page.evaluate(DRAWN)

    async def check_access(self, page: Page) -> None:
        """Adds to `faults` what keeps people from using the page as it is now."""
        found = await self._axe.run(page)
        for each in found.response["violations"]:
            where = "; ".join(" ".join(node["target"]) for node in each["nodes"][:4])
            self.faults.append(f"{page.url}: {each['id']} ({each['impact']}): {where}")

    def expected(self, pattern: str) -> None:
        """Takes out the faults that match, which a test has provoked: there must be some."""
        kept = [fault for fault in self.faults if not re.search(pattern, fault)]
        assert len(kept) < len(self.faults), f"no fault like {pattern!r} in {self.faults}"
        self.faults[:] = kept

    def _watch(self, page: Page) -> None:
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.faults.append(f"{page.url}: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            at = message.location.get("url", "")
            self.faults.append(f"console: {message.text} ({at})")

    def _asked(self, url: str) -> None:
        parts = urlsplit(url)
        here = urlsplit(self.url).netloc
        if parts.scheme not in ("data", "blob") and parts.netloc != here:
            self.faults.append(f"a request to another server: {url}")


@asynccontextmanager
async def visitors(url: str) -> AsyncIterator[Visitors]:
    """
    Raises:
        RuntimeError: there is no Chromium on this machine.
    """
    program = shutil.which("chromium")
    if program is None:
        raise RuntimeError("these tests need a browser: apt install chromium")
    # Its sandbox does not run as root.
    arguments = [*ARGUMENTS, "--no-sandbox"] if os.geteuid() == 0 else list(ARGUMENTS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield Visitors(browser, url)
        finally:
            await browser.close()
