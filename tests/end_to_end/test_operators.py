"""Operators and calls of two nodes as real processes: seen, ended, and read after a kill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.driver import Device, Json, Site, connect_call, site
from tests.end_to_end.fleet import Fleet, a_fleet
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over

MIA, KAI, ADA = "mia@demo.talktime", "kai@demo.talktime", "ada@demo.talktime"
WAIT_S = 20.0


@pytest.fixture
async def fleet(tmp_path: Path, dsn: str, redis_url: str) -> AsyncIterator[Fleet]:
    async with a_fleet(tmp_path, dsn, redis_url) as there:
        await asyncio.gather(*[there.start(name) for name in ("one", "two")])
        yield there


class Scene:
    """Mia at node one, which runs the call; Kai and the admin at node two."""

    def __init__(self, one: Site, two: Site) -> None:
        self.one = one
        self.two = two
        self.mia: Json = {}
        self.ada: Json = {}
        self.caller: Device
        self.callee: Device

    async def call(self) -> str:
        self.mia, kai = await self.one.login(MIA), await self.two.login(KAI)
        self.ada = await self.two.login(ADA)
        self.caller = await self.one.device(self.mia, "phone")
        self.callee = await self.two.device(kai, "desk")
        return await connect_call(self.caller, self.callee)

    async def get(self, path: str) -> Json:
        return await self.two.get(self.ada, f"/operators{path}")

    async def taken_over(self, call: str) -> None:
        async with asyncio.timeout(WAIT_S):
            while (await self.get(f"/calls/{call}"))["call"]["owners"] == 1:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def timeline(self, call: str, missing: int) -> Json:
        """When as many journals as that are missing."""
        async with asyncio.timeout(WAIT_S):
            while True:
                found = await self.get(f"/calls/{call}/timeline")
                if found["missing"] == missing:
                    return found
                await asyncio.sleep(0.05)


def told(found: Json) -> list[tuple[str, str, str]]:
    return [(each["lane"], each["kind"], each["name"]) for each in found["items"]]


async def test_a_call_of_another_node_is_seen_and_ended(fleet: Fleet, dsn: str) -> None:
    async with site(fleet["one"].url) as one, site(fleet["two"].url) as two:
        scene = Scene(one, two)
        call = await scene.call()
        [view] = (await scene.get("/calls?state=live"))["items"]
        assert (view["id"], view["node"], view["state"]) == (call, "one", "connected")
        assert view["quality"] == {"caller": "good", "callee": "good"}
        assert (await scene.get("/overview"))["nodes"] == ["one", "two"]
        live = await scene.timeline(call, 0)
        assert live["journals"][0]["live"] is True
        body = {"reason": "Reported."}
        status, answer = await two.ask(scene.ada, "POST", f"/operators/calls/{call}/end", body)
        assert status == 200, answer
        assert (answer["call"]["reason"], answer["call"]["endedBy"]) == ("admin", "admin")
        for device in (scene.caller, scene.callee):
            assert (await device.event("call_ended"))["reason"] == "admin"
        found = told(await scene.timeline(call, 0))
        assert ("operator", "audit", "call.end") in found
        assert ("operator", "input", "stopped") in found
        assert await left_over(dsn) == NOTHING
        await assert_books_hold(dsn)


async def test_a_kill_loses_a_journal_and_neither_the_call_nor_its_money(
    fleet: Fleet, dsn: str
) -> None:
    async with site(fleet["one"].url) as one, site(fleet["two"].url) as two:
        scene = Scene(one, two)
        call = await scene.call()
        await fleet["one"].kill()
        await scene.taken_over(call)
        caller = await two.device(scene.mia, "phone")
        await caller.ok("media_connected", call)
        caller.talk(call)
        found = await scene.timeline(call, 1)
        assert [each["claim"] for each in found["journals"]] == [1]
        names = told(found)
        assert ("server", "state", "requested") in names
        assert ("callee", "input", "accepted") not in names, "its node was killed"
        assert ("money", "tick", "charged") in names
        body = {"reason": "Enough."}
        status, answer = await two.ask(scene.ada, "POST", f"/operators/calls/{call}/end", body)
        assert status == 200, answer
        assert (answer["call"]["node"], answer["call"]["owners"]) == ("two", 2)
        assert answer["call"]["charged"] == 120
        assert await left_over(dsn) == NOTHING
        await assert_books_hold(dsn)
