"""A node on its way down, and one that cannot reach the others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.app import Server
from storage.nodes import hold_name
from storage.pool import Pool, connect
from tests.end_to_end.driver import Json, Site, connect_call
from tests.server.running import Running, development, running
from tests.server.test_app import KAI, MIA
from tests.valkey import Valkey


async def ready(site: Site) -> tuple[int, Json]:
    async with site.http.get(f"{site.url}/ready") as answer:
        return answer.status, await answer.json()


async def until_ready(site: Site, status: int) -> Json:
    async with asyncio.timeout(20):
        while (found := await ready(site))[0] != status:  # noqa: ASYNC110 - Redis' doing
            await asyncio.sleep(0.05)
    return found[1]


async def test_without_redis_a_node_is_not_ready_and_is_again_when_it_is_back(
    dsn: str, tmp_path: Path, valkey: Valkey
) -> None:
    async with running(dsn, development(tmp_path, redis_url=valkey.url)) as there:
        found = await until_ready(there.site, 200)
        assert (found["redis"], found["status"]) == (True, "ready")
        valkey.freeze()
        found = await until_ready(there.site, 503)
        assert (found["redis"], found["database"], found["draining"]) == (False, True, False)
        valkey.thaw()
        assert (await until_ready(there.site, 200))["redis"] is True
        valkey.kill()
        assert (await until_ready(there.site, 503))["redis"] is False
        valkey.start()
        assert (await until_ready(there.site, 200))["redis"] is True


class Leaving:
    """A server whose drain has come as far as its sockets, which it holds until `go` is set."""

    def __init__(self, there: Running) -> None:
        self.there = there
        self.site = there.site
        self.handed, self.go = asyncio.Event(), asyncio.Event()
        self._close_all = there.server.live.hub.close_all
        self._draining: asyncio.Task[int] | None = None

    async def begin(self) -> None:
        async def later(code: int, spread_ms: int, **given: int) -> None:
            self.handed.set()
            await self.go.wait()
            await self._close_all(code, spread_ms, **given)

        self.there.server.live.hub.close_all = later  # type: ignore[method-assign]
        self._draining = asyncio.create_task(self.there.server.drain())
        async with asyncio.timeout(10):
            await self.handed.wait()

    async def end(self) -> None:
        self.go.set()
        if self._draining is not None:
            await self._draining


@pytest.fixture
async def leaving(dsn: str, tmp_path: Path) -> AsyncIterator[Leaving]:
    async with running(dsn, development(tmp_path)) as there:
        made = Leaving(there)
        yield made
        await made.end()


async def test_a_drain_is_told_first_then_calls_are_left_and_sockets_last(
    leaving: Leaving,
) -> None:
    site = leaving.site
    caller = await site.device(await site.login(MIA), "a")
    callee = await site.device(await site.login(KAI), "b")
    await connect_call(caller, callee)
    live = leaving.there.server.live
    hand_over = live.hand_over

    async def seen() -> int:
        status, found = await ready(site)
        assert (status, found["draining"]) == (503, True), "told before anything else"
        assert len(live.registry) == 1
        return await hand_over()

    live.hand_over = seen  # type: ignore[method-assign]
    await leaving.begin()
    live.hand_over = hand_over  # type: ignore[method-assign]
    assert len(live.registry) == 0
    assert (caller.close_code, callee.close_code) == (None, None)
    await leaving.end()
    for device in (caller, callee):
        await device.closed()
        assert device.close_code == 1012
        assert device.all("draining")


async def test_no_call_begins_on_a_node_that_is_leaving(leaving: Leaving) -> None:
    site = leaving.site
    mia, kai = await site.login(MIA), await site.login(KAI)
    caller = await site.device(mia, "a")
    await site.device(kai, "b")
    await leaving.begin()
    status, body = await site.ask(mia, "POST", "/calls", {"toUserId": kai["user"]["id"]})
    assert (status, body["error"]) == (503, "UNAVAILABLE")
    answer = await caller.command("call_request", toUserId=kai["user"]["id"])
    assert (answer["type"], answer["data"]["code"]) == ("error", "unavailable")
    assert answer["data"]["retryAfterMs"] > 0


async def test_what_is_asked_while_it_drains_is_answered(leaving: Leaving) -> None:
    site = leaving.site
    mia = await site.login(MIA)
    await leaving.begin()
    assert (await site.get(mia, "/wallet/balance"))["balance"] == 1_000
    async with site.http.get(f"{site.url}/health") as answer:
        assert answer.status == 200


async def test_a_fenced_node_hands_nothing_over_and_drains_at_once(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    stopped = asyncio.Event()
    async with running(dsn, development(tmp_path, beat_ms=50)) as there:
        there.server.stop_now = stopped.set  # type: ignore[method-assign]  # the runner's hook
        site = there.site
        caller = await site.device(await site.login(MIA), "a")
        callee = await site.device(await site.login(KAI), "b")
        await connect_call(caller, callee)
        await pool.execute("update node set fenced = true")
        async with asyncio.timeout(10):
            await stopped.wait()
        assert there.server.fenced
        assert await there.server.drain() == 0
        await caller.closed()
        assert (caller.close_code, caller.all("call_ended")) == (1012, [])
    assert await pool.fetchval("select count(*) from call_handover") == 0


async def test_a_stopped_server_gives_its_name_back_at_once(dsn: str, tmp_path: Path) -> None:
    server = Server(development(tmp_path), dsn)
    await server.start()
    await server.drain()
    await server.stop()
    conn = await connect(dsn)
    assert await hold_name(conn, "main")
    await conn.close()
