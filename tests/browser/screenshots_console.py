"""Pictures of every page of the operator's console with something to see in it.

`python -m tests.browser.screenshots_console --out DIR`; `--only NAME` takes some of them.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from server.embedded import EmbeddedPostgres
from signalling.core import tariff
from tests.browser.chromium import NARROW, WIDE, Scheme, Visitors, visitors
from tests.browser.conftest import brief
from tests.browser.operating import (
    ADMIN_MAIL,
    OTHER_MAIL,
    Talk,
    database,
    enter,
    fail_job,
    id_of,
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
                    if name.startswith("call-time"):
                        await page.get_by_role("button", name="Time", exact=True).click()
                    if name == "call":
                        await page.locator(".entries button").nth(12).click()
                    if name == "webhooks-delivery":
                        await page.get_by_role("button", name="Attempts").first.click()
                        await page.get_by_role("heading", name="Attempts").wait_for()
                    await _shoot(page, out / f"console-{name}-{scheme}-{width}.png")
                if width == "390" and only in ("", "menu"):
                    await page.get_by_role("button", name="Menu").click()
                    await _shoot(page, out / f"console-menu-{scheme}-{width}.png")
                if not only or only == "dialog":
                    await page.goto("/console#/calls")
                    await page.get_by_role("button", name="End", exact=True).first.click()
                    await _shoot(page, out / f"console-dialog-{scheme}-{width}.png")
                await page.context.close()


async def _shoot(page: Page, path: Path) -> None:
    await expect(page.locator(".waiting")).to_have_count(0)
    await page.evaluate("scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await page.screenshot(path=path, full_page=True)


async def _furnish(there: Site, dsn: str, hook: str) -> dict[str, str]:
    """Something of everything; the pages' places."""
    await _remember(dsn)
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
    live = await talk(there)
    await talk(there, OTHER_MAIL, "lea@demo.talktime")
    for name in ("send_sms", "webhook", "send_sms"):
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
        "overview": "#/?minutes=60",
        "calls": "#/calls",
        "calls-ended": "#/calls?tab=ended",
        "call": f"#/calls/{ended.id}",
        "call-time": f"#/calls/{ended.id}",
        "call-live": f"#/calls/{live.id}",
        "users": "#/users",
        "user": f"#/users/{kai}",
        "user-logins": f"#/users/{kai}?tab=logins",
        "payouts": "#/money",
        "adjustments": "#/money?tab=adjustments",
        "payments": "#/money?tab=payments",
        "jobs": "#/jobs?tab=failed",
        "webhooks": "#/webhooks",
        "webhooks-delivery": "#/webhooks",
        "nodes": "#/nodes",
        "audit": "#/audit",
    }


async def _remember(dsn: str) -> None:
    """An hour of figures for the charts, as if there had been a day's business."""
    async with database(dsn) as conn:
        epoch = await conn.fetchval("select max(epoch) from node")
        rows = [_sample(n, epoch) for n in range(4, 360)]
        await conn.executemany(
            "insert into node_sample (at, epoch, span_s, requested, connected, ended, charged,"
            " requests, errors, live, ringing, sockets, users)"
            " values (now() - $1::int * interval '10 s', $2, 10, $3, $4, $5, $6, $7, $8, $9, $10,"
            " $11, $12)",
            rows,
        )


def _sample(ago: int, epoch: int) -> tuple[int, ...]:
    wave = 1 + math.sin(ago / 40)
    live = round(14 + 9 * wave + math.cos(ago / 9))
    asked = round(2 + wave + math.cos(ago / 5))
    errors = 2 if ago % 97 == 0 else 0
    requests = round(40 + 20 * wave + 6 * math.sin(ago / 7))
    users = live * 3 + 20
    counts = (asked, asked - (ago % 9 == 0), asked - (ago % 7 == 0))
    return (ago, epoch, *counts, live * 20, requests, errors, live, ago % 3, users + 6, users)


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


def _entered(folder: str) -> Path:
    """The folder, so that the database's user can go through it."""
    home = Path(folder)
    home.chmod(0o711)
    return home


async def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--only", default="")
    given = options.parse_args()
    out: Path = given.out
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        home = _entered(folder)
        patch.setattr(tariff, "minute", brief)
        postgres = EmbeddedPostgres(home / "database", durable=False)
        dsn = await asyncio.to_thread(postgres.start)
        try:
            async with AsyncExitStack() as stack:
                url = await stack.enter_async_context(served(dsn, home, patch))
                people = await stack.enter_async_context(visitors(url))
                await take_console_pictures(people, dsn, out, given.only)
                print("\n".join(people.faults) or "no faults")
        finally:
            await asyncio.to_thread(postgres.stop)


if __name__ == "__main__":
    asyncio.run(main())
