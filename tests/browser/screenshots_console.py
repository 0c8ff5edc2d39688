"""Pictures of every page of the operator's console with something to see in it.

`python -m tests.browser.screenshots_console --out DIR`; `--only NAME` takes some of them.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Page

from server.embedded import EmbeddedPostgres
from signalling.core import tariff
from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors, visitors
from tests.browser.conftest import brief
from tests.browser.operating import (
    ADMIN_MAIL,
    OTHER_MAIL,
    Talk,
    enter,
    fail_job,
    id_of,
    make_admin,
    receiver,
    talk,
    want_payout,
)
from tests.end_to_end.driver import Json, Site, site
from tests.served import served

SIZES = {"1280": WIDE, "390": NARROW}
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
TICKS = 4


async def take_console_pictures(people: Visitors, dsn: str, out: Path, only: str = "") -> None:
    """All pages, light and dark, wide and narrow, as `console-<page>-<scheme>-<width>.png`."""
    async with site(people.url) as there, receiver() as endpoint:
        places = await _furnish(there, dsn, endpoint.url)
        for scheme in SCHEMES:
            for width, size in SIZES.items():
                page = await people.visit("/console", size=size, scheme=scheme)
                await page.get_by_role("heading", name="Talktime console").wait_for()
                if not only or only == "login":
                    await _shoot(page, out / f"console-login-{scheme}-{width}.png")
                await enter(page)
                for name, place in places.items():
                    if only and only != name:
                        continue
                    await page.goto(f"/console{place}")
                    await page.locator("main h1").wait_for()
                    await page.wait_for_load_state("networkidle")
                    if name == "call":
                        await page.locator(".entries button").nth(12).click()
                    await _shoot(page, out / f"console-{name}-{scheme}-{width}.png")
                if not only or only == "dialog":
                    await page.goto("/console#/calls")
                    await page.get_by_role("button", name="End", exact=True).first.click()
                    await _shoot(page, out / f"console-dialog-{scheme}-{width}.png")
                await page.context.close()


async def _shoot(page: Page, path: Path) -> None:
    await page.evaluate("scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.screenshot(path=path, full_page=True)


async def _furnish(there: Site, dsn: str, hook: str) -> dict[str, str]:
    """Something of everything; the pages' places."""
    ada = await there.login(ADMIN_MAIL)
    mia = await there.login("mia@demo.talktime")
    body = {"url": hook, "events": []}
    await _must(there, ada, "POST", "/webhooks/endpoints", body)
    await _must(there, ada, "POST", "/webhooks/endpoints", {**body, "url": f"{hook}/gone"})
    ended = await talk(there)
    await ended.caller.event("call_tick", TICKS)
    await ended.callee.ok("call_end", ended.id)
    await ended.caller.event("call_ended")
    await _close(ended)
    await talk(there)
    await talk(there, OTHER_MAIL, "lea@demo.talktime")
    for name in ("send_sms", "push", "send_sms"):
        await fail_job(dsn, name)
    await want_payout(there, dsn, 2_500)
    await want_payout(there, dsn, 1_200, "lea@demo.talktime")
    kai = await id_of(dsn, "kai@demo.talktime")
    for amount, why in ((500, "The call of yesterday was bad."), (50_000, "A bonus for the year.")):
        adjustment = {"userId": str(kai), "wallet": "call_credits", "amount": amount, "reason": why}
        await _must(there, ada, "POST", "/operators/adjustments", adjustment)
    for sum_minor in (1_000, 2_500):
        bought = {"amount": sum_minor, "method": "sandbox"}
        answer = await _must(there, mia, "POST", "/payments", bought)
    await _pay(there, answer["payment"]["checkoutUrl"])
    return {
        "overview": "#/?minutes=15",
        "calls": "#/calls",
        "calls-ended": "#/calls?tab=ended",
        "call": f"#/calls/{ended.id}",
        "users": "#/users",
        "user": f"#/users/{kai}",
        "user-logins": f"#/users/{kai}?tab=logins",
        "payouts": "#/money",
        "adjustments": "#/money?tab=adjustments",
        "payments": "#/money?tab=payments",
        "jobs": "#/jobs?tab=failed",
        "webhooks": "#/webhooks",
        "nodes": "#/nodes",
        "audit": "#/audit",
    }


async def _must(there: Site, session: Json, method: str, path: str, body: Json) -> Json:
    status, answer = await there.ask(session, method, path, body)
    assert status < 300, answer
    return answer


async def _pay(there: Site, checkout: str) -> None:
    async with there.http.post(checkout, data={"outcome": "pay"}) as answer:
        assert answer.status < 400, await answer.text()


async def _close(ended: Talk) -> None:
    await ended.caller.close()
    await ended.callee.close()


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--only", default="")
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home = Path(folder)
        home.chmod(0o711)
        patch.setattr(tariff, "minute", brief)
        postgres = EmbeddedPostgres(home / "database", durable=False)
        dsn = await asyncio.to_thread(postgres.start)
        try:
            async with AsyncExitStack() as stack:
                url = await stack.enter_async_context(served(dsn, home, patch))
                people = await stack.enter_async_context(visitors(url))
                await take_console_pictures(people, dsn, given.out, given.only)
                print("\n".join(people.faults) or "no faults")
        finally:
            await asyncio.to_thread(postgres.stop)


if __name__ == "__main__":
    asyncio.run(main())
