"""People whose browsers run the client alone, on the phone's page without the phone."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, Page, Route

from server.demo_accounts import DEMO_PASSWORD
from tests.browser.chromium import STEP_MS, Visitors
from tests.faults.proxy import Proxy

MIA, NOAH, KAI, LEA = (f"{name}@demo.talktime" for name in ("mia", "noah", "kai", "lea"))
# Reports and back-offs come soon, so that a test does not wait for them.
TIMING = {"beatMs": 20, "backoffMs": 20, "backoffMaxMs": 60, "statsMs": 300, "qualityMs": 300}

_HANDSET = """
async ({ email, password, device, timing, login, url }) => {
  const { Api, Client } = await import("/assets/client/client.js");
  const api = new Api();
  if (login) await api.login({ email, password });
  const client = new Client({ api, device: { id: device, platform: "web" }, timing, url });
  const events = [];
  client.on("*", (event) => events.push(event));
  // Looked at as soon as anything changes, and now and then for what no event tells.
  const until = (seen, what) => new Promise((resolve, reject) => {
    const look = async () => {
      const found = await seen(client.state);
      if (found) over(resolve, found);
    };
    const stopState = client.subscribe(look);
    const every = setInterval(look, 50);
    const shown = () => JSON.stringify([client.state, events.slice(-8)], null, 1);
    const limit = setTimeout(() => over(reject, new Error(`never: ${what}\\n${shown()}`)), STEP_MS);
    const over = (settle, value) => {
      stopState();
      clearInterval(every);
      clearTimeout(limit);
      settle(value);
    };
    look();
  });
  // Of what comes in: how loud it has been so far, and how many pictures.
  const heard = async () => {
    const all = [...(await client._media._peer._pc.getStats()).values()];
    const ins = all.filter(({ type }) => type === "inbound-rtp");
    const of = (kind, key) => ins.find((each) => each.kind === kind)?.[key] ?? 0;
    return { energy: of("audio", "totalAudioEnergy"), frames: of("video", "framesDecoded") };
  };
  // Whether more of it comes from now on.
  const more = async (key) => {
    const before = await heard();
    return until(async () => (await heard())[key] > before[key], `more ${key}`);
  };
  // Sound is decoded only where it is played.
  const speaker = new Audio();
  speaker.autoplay = true;
  client.subscribe(({ call }) => {
    const remote = call?.remote ?? null;
    if (speaker.srcObject !== remote) speaker.srcObject = remote;
  });
  const topUp = async (amount) => {
    const wish = { amount, method: "sandbox", purpose: "topup" };
    const { payment } = await api.post("/payments", wish);
    await api.post(new URL(payment.checkoutUrl).pathname, { outcome: "pay" });
  };
  Object.assign(window, { Api, Client, api, client, events, until, more, heard, topUp });
  client.start();
}
""".replace("STEP_MS", str(STEP_MS))


class Handset:
    """A tab with a client. JavaScript given here sees `client`, `api` and `events`."""

    def __init__(self, page: Page) -> None:
        self.page = page

    async def run(self, script: str, argument: Any = None) -> Any:
        """The value of a JavaScript expression, awaited; `it` is the argument."""
        return await self.page.evaluate(f"async (it) => ({script})", argument)

    async def until(self, seen: str) -> Any:
        """Wait until an expression of the state `s` holds; what it is then."""
        wanted = json.dumps(seen)
        return await self.page.evaluate(f"() => until(async (s) => ({seen}), {wanted})")

    async def until_call(self, state: str) -> None:
        await self.until(f"s.call?.state === {json.dumps(state)}")

    async def until_event(self, kind: str, number: int = 1) -> Any:
        """The `data` of the event of this type, the first one or a later one."""
        found = f"events.filter((e) => e.type === {json.dumps(kind)})[{number - 1}]"
        return (await self.until(found))["data"]

    async def refusal(self, script: str) -> str:
        """The code of the error that an expression ends with."""
        caught: str = await self.run(f"await ({script}).then(() => '', (e) => e.code)")
        return caught

    async def hears(self) -> None:
        await self.run("await more('energy')")

    async def sees(self) -> None:
        await self.run("await more('frames')")

    async def user_id(self) -> str:
        found: str = await self.until("s.user?.userId")
        return found

    async def call(self) -> dict[str, Any]:
        """The call's plain fields."""
        found: dict[str, Any] = await self.run("JSON.parse(JSON.stringify(client.state.call))")
        return found

    async def faults(self) -> list[dict[str, str]]:
        found: list[dict[str, str]] = await self.run(
            "events.filter((e) => e.type === 'fault').map((e) => e.data)"
        )
        return found


async def blank(context: BrowserContext) -> Page:
    """A tab with the phone's page, under its rules, but without the phone."""

    async def empty(route: Route) -> None:
        await route.fulfill(body="", content_type="text/javascript")

    await context.route("**/assets/phone/*.js", empty)
    page = await context.new_page()
    await page.goto("/")
    return page


async def handset(
    people: Visitors,
    email: str,
    *,
    device: str | None = None,
    context: BrowserContext | None = None,
    login: bool = True,
    url: str | None = None,
    timing: dict[str, int] | None = None,
) -> Handset:
    """Somebody with a client that is online. In a `context`, another tab of the same person, who
    may be logged in already; `url` is another way to the socket."""
    page = await blank(context or await people.visitor())
    there = Handset(page)
    await page.evaluate(
        _HANDSET,
        {
            "email": email,
            "password": DEMO_PASSWORD,
            "device": device or email.split("@")[0],
            "timing": {**TIMING, **(timing or {})},
            "login": login,
            "url": url,
        },
    )
    await there.until("s.link === 'online' && client._relayOnly !== undefined")
    return there


async def connect(caller: Handset, callee: Handset, *, kind: str = "audio") -> None:
    """Ring, accept, and media flows both ways."""
    to = await callee.user_id()
    video = json.dumps(kind == "video")
    await caller.run("(await client.request(it[0], { kind: it[1] })).state", [to, kind])
    await callee.until("s.call?.you === 'ringing'")
    await callee.run(f"(await client.accept({{ video: {video} }})).state")
    for each in (caller, callee):
        await each.until_call("connected")


class Road:
    """What lies between the browsers and the server: it can be cut, and be closed for a while."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.is_open = True
        self.proxy = Proxy(lambda: address if self.is_open else None, Random(1))

    def cut(self) -> None:
        self.proxy.cut()

    def close(self) -> None:
        self.is_open = False
        self.proxy.cut()


@asynccontextmanager
async def road(people: Visitors) -> AsyncIterator[Road]:
    """From now on people come by this road."""
    parts = urlsplit(people.url)
    assert parts.hostname is not None
    assert parts.port is not None
    there = Road((parts.hostname, parts.port))
    await there.proxy.start()
    people.url = there.proxy.url
    try:
        yield there
    finally:
        await there.proxy.close()
