"""A server with some life in it: people, calls, money and words, for pictures of the pages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import aiohttp
import pytest
from aiohttp import web

from rest.auth.passwords import Passwords
from server.app import Server
from server.clock import node_clock
from server.config import Config
from server.demo_accounts import CALLER_MAIL, DEMO_PASSWORD, PROVIDER_MAIL
from server.embedded import EmbeddedPostgres
from server.people import make_provider, make_user
from signalling.client.envelope import Json
from signalling.client.rest import Api
from storage.migrate import migrate

Kept = TypeVar("Kept")

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
# Where the clock begins: what has been is of the last two days.
BEGAN_MS = -48 * HOUR_MS
# Time that is let go on in such steps finds the books kept up to date at each.
JUMP_MS = 20_000
SETTLE_S = 0.02
HEARTBEAT_S = 20


class Talk(NamedTuple):
    """A call that has been: how long, and the stars and words for it."""

    provider: str
    talk_ms: int
    score: int = 0
    comment: str = ""


PROVIDERS: tuple[tuple[str, int, str, list[str]], ...] = (
    ("Amara Okafor", 150, "Career coach. Bring the question you keep putting off.", ["career"]),
    ("Ben Hartley", 90, "Guitar, from first chord to first gig.", ["music", "guitar"]),
    ("Chiara Moretti", 120, "Italian by talking, not by grammar.", ["italian", "language"]),
    ("Dimitri Volkov", 200, "Chess: bring a game that you lost.", ["chess"]),
    ("Emi Tanaka", 80, "Japanese cooking for small kitchens.", ["cooking", "japan"]),
    ("Farid Haddad", 0, "I listen. No charge, no advice unless you ask.", ["listening"]),
)
TALKS = (
    Talk("Chiara Moretti", 7 * MINUTE_MS + 12_000, 5, "Twenty words I will not forget. Grazie!"),
    Talk("Ben Hartley", 12 * MINUTE_MS + 40_000, 4, "Patient, and the barre chords finally ring."),
    Talk("Kai", 3 * MINUTE_MS + 5_000, 5, "Saved my sourdough."),
    Talk("Emi Tanaka", 5 * MINUTE_MS + 51_000, 5, "Clear, calm, delicious."),
    Talk("Amara Okafor", 9 * MINUTE_MS + 20_000, 4, "Honest questions, useful ones."),
    Talk("Kai", 2 * MINUTE_MS + 33_000),
)


class Time:
    """The server's, which can be let go on in a moment; what is due meanwhile is done then."""

    def __init__(self, shift_ms: int) -> None:
        self.shift_ms = shift_ms
        self._clock = node_clock()
        self._due: list[Due] = []

    def now_ms(self) -> int:
        return self._clock() + self.shift_ms

    def later(self, delay_ms: int, run: Callable[[], None]) -> Due:
        due = Due(self.now_ms() + delay_ms, run)
        due.timer = asyncio.get_running_loop().call_later(delay_ms / 1_000, due.now)
        self._due = [each for each in self._due if each.timer is not None]
        self._due.append(due)
        return due

    async def jump(self, span_ms: int) -> None:
        step_ms = JUMP_MS if abs(span_ms) < HOUR_MS else span_ms
        while span_ms:
            step = min(step_ms, span_ms)
            span_ms -= step
            self.shift_ms += step
            for each in list(self._due):
                if each.at_ms <= self.now_ms():
                    each.now()
            await asyncio.sleep(SETTLE_S)


class Due:
    def __init__(self, at_ms: int, run: Callable[[], None]) -> None:
        self.at_ms = at_ms
        self.timer: asyncio.TimerHandle | None = None
        self._run = run

    def now(self) -> None:
        if self.timer is not None:
            self.cancel()
            self._run()

    def cancel(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class House:
    """`url` is where it is. Who `is_there` has a socket, so is online."""

    def __init__(self, url: str, server: Server, stack: AsyncExitStack) -> None:
        self.url = url
        self.server = server
        self.ids: dict[str, str] = {}
        self._stack = stack

    async def api(self, email: str) -> Api:
        api = await self._stack.enter_async_context(Api(self.url))
        user = await api.login(email, DEMO_PASSWORD)
        self.ids[user.name] = user.id
        return api

    async def keep(self, context: AbstractAsyncContextManager[Kept]) -> Kept:
        """Enter something that lasts as long as the house."""
        return await self._stack.enter_async_context(context)

    async def is_there(self, api: Api, device: str) -> None:
        http = await self._stack.enter_async_context(aiohttp.ClientSession())
        ws = await http.ws_connect(self.url.replace("http", "ws") + "/ws")
        data = {"token": api.token, "protocol": 1, "device": {"id": device}}
        await ws.send_str(json.dumps({"type": "hello", "data": data}))
        self._stack.callback(asyncio.create_task(_keep(ws)).cancel)


async def _keep(ws: aiohttp.ClientWebSocketResponse) -> None:
    while not ws.closed:
        await ws.send_str('{"type": "ping"}')
        await asyncio.sleep(HEARTBEAT_S)


@asynccontextmanager
async def house() -> AsyncIterator[House]:
    """The demo accounts, some providers more, and two days of calls between them."""
    with _database() as (dsn, data), pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALKTIME_DATA_DIR", str(data))
        patch.setenv("TALKTIME_ARGON2_PROFILE", "test")
        for name in ("ADDRESS_PER_S", "USER_PER_S"):
            patch.setenv(f"TALKTIME_{name}", "0")
        await migrate(dsn)
        time = Time(BEGAN_MS)
        server = Server(Config.load(dev=True), dsn, clock=time.now_ms, later=time.later)
        runner = web.AppRunner(await server.start(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        server.base_url = f"http://{host}:{port}"
        try:
            async with AsyncExitStack() as stack:
                made = House(server.base_url, server, stack)
                await _fill(made, time)
                yield made
        finally:
            await server.drain()
            await runner.cleanup()
            await server.stop()


@contextmanager
def _database() -> Iterator[tuple[str, Path]]:
    with TemporaryDirectory(prefix="talktime-pictures-") as name:
        data = Path(name)
        data.chmod(0o711)
        postgres = EmbeddedPostgres(data, durable=False)
        dsn = postgres.start()
        try:
            yield dsn, data
        finally:
            postgres.stop()


def mail(name: str) -> str:
    return f"{name.split()[0].lower()}@demo.talktime"


async def _fill(house: House, time: Time) -> None:
    await _providers(house)
    mia, noah = await house.api(CALLER_MAIL), await house.api("noah@demo.talktime")
    apis = {name: await house.api(mail(name)) for name, *_ in PROVIDERS}
    apis["Kai"] = await house.api(PROVIDER_MAIL)
    await house.api(mail("Lea"))
    await apis["Kai"].request(
        "PUT",
        "/otomo/profile",
        {
            "introduction": "Baker for twenty years. Ask me about bread, starters and ovens.",
            "genres": ["cooking"],
            "tags": ["bread", "sourdough"],
        },
    )
    await apis["Kai"].request("PUT", "/otomo/schedule", {"items": _week()})
    for api in (mia, noah):
        await api.top_up(5_000)
    gap_ms = -BEGAN_MS // (len(TALKS) + 2)
    for number, talk in enumerate(TALKS):
        await time.jump(BEGAN_MS + (number + 1) * gap_ms - time.shift_ms)
        await _talk(house, noah if number == 2 else mia, apis[talk.provider], talk, time)
    await mia.request("POST", f"/user/block/{house.ids['Dimitri Volkov']}")
    await time.jump(-time.shift_ms)
    for name in apis:
        if name not in ("Dimitri Volkov", "Amara Okafor"):
            # What was logged in two days ago is not any more.
            await house.is_there(await house.api(mail(name)), f"{name.split()[0]}-phone")
    away = {"status": "break", "statusMessage": "Back at eight"}
    await (await house.api(mail("Ben"))).request("PUT", "/otomo/status", away)


def _week() -> list[Json]:
    return [{"dayOfWeek": day, "start": "09:00", "end": "17:30"} for day in (1, 2, 4)]


async def _providers(house: House) -> None:
    passwords = Passwords()
    password_hash = await passwords.hash(DEMO_PASSWORD)
    passwords.close()
    currency = house.server.config.currency
    async with house.server.pool.acquire() as conn, conn.transaction():
        for name, price, _, _ in PROVIDERS:
            user_id = await make_user(conn, name, mail(name), password_hash, currency)
            await make_provider(conn, user_id, name, price)
            house.ids[name] = str(user_id)
    for name, _, introduction, tags in PROVIDERS:
        api = await house.api(mail(name))
        await api.request(
            "PUT",
            "/otomo/profile",
            {"introduction": introduction, "tags": tags, "genres": tags[:1]},
        )


async def _talk(house: House, caller: Api, callee: Api, talk: Talk, time: Time) -> None:
    wanted = {"toUserId": house.ids[talk.provider], "kind": "audio"}
    call = (await caller.request("POST", "/calls", wanted))["call"]["id"]
    await callee.request("PATCH", f"/calls/{call}/answer")
    await time.jump(talk.talk_ms)
    await caller.request("PATCH", f"/calls/{call}/end")
    if talk.score:
        review = {"score": talk.score, "comment": talk.comment}
        await caller.request("POST", f"/calls/{call}/review", review)
