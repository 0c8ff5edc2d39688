"""The operator's console for `tests.browser.screenshots`: each page with something to see in it."""

from __future__ import annotations

import math
from weakref import WeakKeyDictionary

import pytest
from playwright.async_api import Page, expect

from server.demo_accounts import CALLER_MAIL
from storage.pool import Connection
from tests.browser.conftest import brief_minutes
from tests.browser.house import House
from tests.browser.operating import (
    ADMIN_MAIL,
    OTHER_MAIL,
    enter,
    fail_job,
    must,
    receiver,
    talk,
    want_payout,
)
from tests.browser.screenshots import Camera
from tests.end_to_end.driver import Json, Site, site

TICKS = 4
ENTRY = 12

_places: WeakKeyDictionary[House, dict[str, str]] = WeakKeyDictionary()


async def tour(house: House, camera: Camera) -> None:
    """The console."""
    if house not in _places:
        _places[house] = await _furnish(house)
    page = await camera.open("/console")
    await page.get_by_role("heading", name="Talktime console").wait_for()
    await camera.take(page, "console-login")
    await enter(page)
    for name, place in _places[house].items():
        await page.goto(f"/console{place}")
        await page.locator("main h1").wait_for()
        await page.wait_for_load_state("networkidle")
        await expect(page.locator(".waiting")).to_have_count(0)
        if name == "call":
            await page.locator(".entries button").nth(ENTRY).click()
        await _take(camera, page, name)
    await _details(camera, page, _places[house])
    await page.context.close()


async def _details(camera: Camera, page: Page, places: dict[str, str]) -> None:
    await page.goto(f"/console{places['call']}")
    await page.get_by_role("button", name="Time", exact=True).click()
    await _take(camera, page, "call-time")
    await page.goto(f"/console{places['webhooks']}")
    await page.get_by_role("button", name="Attempts").first.click()
    await page.get_by_role("heading", name="Attempts").wait_for()
    await _take(camera, page, "delivery")
    await page.goto(f"/console{places['calls']}")
    await page.get_by_role("button", name="End", exact=True).first.click()
    await camera.take(page, "console-dialog")
    await page.keyboard.press("Escape")
    if camera.is_narrow:
        await page.get_by_role("button", name="Menu").click()
        await camera.take(page, "console-menu")


async def _take(camera: Camera, page: Page, name: str) -> None:
    await page.evaluate("scrollTo(0, 0)")
    await page.mouse.move(0, 0)
    await camera.take(page, f"console-{name}", whole=True)


async def _furnish(house: House) -> dict[str, str]:
    """Something of everything, as long as the house stands; the pages' places."""
    there, endpoint = await house.keep(site(house.url)), await house.keep(receiver())
    ada = await there.login(ADMIN_MAIL)
    for path in ("", "/gone"):
        hook = {"url": endpoint.url + path, "events": []}
        await must(there, ada, "POST", "/webhooks/endpoints", hook)
    ended = await _short_talk(there)
    live = await talk(there)
    await talk(there, OTHER_MAIL, "lea@demo.talktime")
    async with house.server.pool.acquire() as conn:
        for name in ("send_sms", "webhook", "send_sms"):
            await fail_job(conn, name)
        await want_payout(there, conn, 2_500)
        await want_payout(there, conn, 1_200, "lea@demo.talktime")
        await _remember(conn)
    kai = live.callee.user_id
    await _spend(there, ada, kai)
    return {
        "overview": "#/",
        "calls": "#/calls",
        "calls-ended": "#/calls?tab=ended",
        "call": f"#/calls/{ended}",
        "call-live": f"#/calls/{live.id}",
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


async def _short_talk(there: Site) -> str:
    """A call that has ended after some units, which nobody had to wait for long."""
    with pytest.MonkeyPatch.context() as patch:
        brief_minutes(patch)
        call = await talk(there)
        await call.caller.event("call_tick", TICKS)
        await call.callee.ok("call_end", call.id)
        await call.caller.event("call_ended")
    for device in (call.caller, call.callee):
        await device.close()
    return call.id


async def _spend(there: Site, ada: Json, kai: str) -> None:
    for amount, why in ((500, "The call of yesterday was bad."), (50_000, "A bonus for the year.")):
        wish = {"userId": kai, "wallet": "call_credits", "amount": amount, "reason": why}
        await must(there, ada, "POST", "/operators/adjustments", wish)
    mia = await there.login(CALLER_MAIL)
    for amount in (1_000, 2_500):
        bought = {"amount": amount, "method": "sandbox"}
        payment = (await must(there, mia, "POST", "/payments", bought))["payment"]
    async with there.http.post(payment["checkoutUrl"], data={"outcome": "pay"}) as answer:
        assert answer.status < 400, await answer.text()


async def _remember(conn: Connection) -> None:
    """An hour of figures for the charts, as if there had been a day's business."""
    epoch = await conn.fetchval("select max(epoch) from node")
    await conn.executemany(
        "insert into node_sample (at, epoch, span_s, requested, connected, ended, charged,"
        " requests, errors, live, ringing, sockets, users)"
        " values (now() - $1::int * interval '10 s', $2, 10, $3, $4, $5, $6, $7, $8, $9, $10,"
        " $11, $12)",
        [_sample(ago, epoch) for ago in range(4, 360)],
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
