"""The log-in that tabs share, and how its tokens are renewed."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import Request, Route, WebSocketRoute

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, handset

pytestmark = pytest.mark.chromium

AGED = """
{
  const kept = JSON.parse(localStorage.getItem("talktime.session"));
  localStorage.setItem("talktime.session", JSON.stringify({ ...kept, renewAt: 0 }));
  api.session = { ...kept, renewAt: 0 };
  return kept.accessToken;
}
"""


async def test_tabs_that_renew_a_token_together_stay_logged_in_and_log_out_together(
    people: Visitors,
) -> None:
    context = await people.visitor()
    first = await handset(people, MIA, device="tab-1", context=context)
    second = await handset(people, MIA, device="tab-2", context=context, login=False)
    renewals: list[Request] = []
    context.on("request", lambda r: renewals.append(r) if r.url.endswith("/refresh") else None)
    old = [await each.page.evaluate(f"() => {AGED}") for each in (first, second)]
    assert old[0] == old[1]
    pairs = await asyncio.gather(
        *(each.run("Promise.all([api.token(), api.token()])") for each in (first, second))
    )
    for one, same in pairs:
        assert one == same != old[0]
    # Mostly once. What one tab has stored another may see too late.
    assert len(renewals) in (1, 2)
    kept = [await each.run("api.session.refreshToken") for each in (first, second)]
    assert kept[0] == kept[1]
    answers = [await each.run("api.get('/auth/me')") for each in (first, second)]
    assert answers[0]["user"]["name"] == answers[1]["user"]["name"] == "Mia"

    await first.run("window.told = 'nothing', api.subscribe((session) => (window.told = session))")
    await second.run("api.logout()")
    await first.until("window.told === null && api.session === null")
    for each in (first, second):
        await each.until("s.stopCode === 4504")


async def test_a_token_that_has_expired_is_renewed_and_all_goes_on(people: Visitors) -> None:
    """Both halves, as a device whose clock stood still would see them."""
    context = await people.visitor()
    sockets = 0

    async def expired(socket: WebSocketRoute) -> None:
        nonlocal sockets
        sockets += 1
        if sockets == 1:
            await socket.close(code=4502)
        else:
            socket.connect_to_server()

    await context.route_web_socket("**/ws", expired)
    mia = await handset(people, MIA, context=context)
    assert sockets == 2
    assert (
        len(
            await mia.run(
                "performance.getEntriesByType('resource')"
                ".filter((e) => e.name.endsWith('/auth/refresh'))"
            )
        )
        == 1
    )

    async def once(route: Route) -> None:
        await context.unroute("**/auth/me", once)
        body = {"success": False, "error": "TOKEN_EXPIRED", "message": "It has expired."}
        await route.fulfill(status=401, json=body)

    await context.route("**/auth/me", once)
    before = await mia.run("api.session.accessToken")
    assert (await mia.run("api.get('/auth/me')"))["user"]["name"] == "Mia"
    assert await mia.run("api.session.accessToken") != before
    people.expected("status of 401")


async def test_a_log_in_that_is_over_is_forgotten(people: Visitors) -> None:
    mia = await handset(people, MIA)
    await mia.run("api.session.refreshToken = 'A'.repeat(43)")
    await mia.run("localStorage.setItem('talktime.session', JSON.stringify(api.session))")
    assert await mia.refusal("api.token(api.session.accessToken)") == "INVALID_REFRESH_TOKEN"
    assert await mia.run("[api.session, localStorage.getItem('talktime.session')]") == [None, None]
    people.expected("status of 401")


async def test_people_enter_by_name_or_by_code_and_refusals_say_what_is_wrong(
    people: Visitors,
) -> None:
    tab = await handset(people, KAI)
    wrong = await tab.run(
        "new Api({ key: 'other' }).login({ email: 'kai@demo.talktime', password: 'wrong-one' })"
        ".catch((e) => [e.name, e.status, e.code, e.message, e.requestId.length > 0])"
    )
    assert wrong == ["ApiError", 401, "INVALID_CREDENTIALS", "Name or password is wrong.", True]
    people.expected("status of 401")

    signup = "{ name: 'Zoe', email: 'zoe@example.org', password: 'long enough 1' }"
    assert await tab.run(
        f"new Api({{ key: 'zoe' }}).signup({signup}).then((s) => s.user.name)"
    ) == ("Zoe")
    by_code = """(async () => {
      const api = new Api({ key: "phone" });
      const { devCode, ttl } = await api.sendCode("+12025550123");
      const { user } = await api.verifyCode({ phone: "+12025550123", otp: devCode, name: "Yan" });
      return [user.name, ttl > 0, (await api.get("/auth/me")).user.id === user.id];
    })()"""
    assert await tab.run(by_code) == ["Yan", True, True]
    found = await tab.run("api.get('/otomo/list', { limit: 1, isOnline: undefined })")
    assert len(found["items"]) == 1
