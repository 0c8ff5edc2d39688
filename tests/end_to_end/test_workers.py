"""Several workers behind one port, as people and their calls meet them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from server.embedded import EmbeddedPostgres
from server.embedded_valkey import EmbeddedValkey
from tests.end_to_end.crew import Crew, gone, start_crew
from tests.end_to_end.driver import Device, Json, Site, connect_call, site
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.end_to_end.test_metrics import scrape
from tests.server.running import development, running
from tests.server.test_cli import TRACEBACK, talktime

MIA, KAI = "mia@demo.talktime", "kai@demo.talktime"
linux = pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who is there")

Start = Callable[..., Awaitable[Crew]]


@pytest.fixture
async def start(scratch: Path) -> AsyncIterator[Start]:
    """Starts crews, each with a new directory; nothing of them survives the test."""
    crews: list[tuple[Crew, Path]] = []

    async def begin(**settings: str) -> Crew:
        home = scratch / f"crew-{uuid4().hex}"
        home.mkdir(mode=0o711)
        crew = await start_crew(home, **settings)
        crews.append((crew, home))
        return crew

    yield begin
    for crew, home in crews:
        await crew.end()
        forgotten = EmbeddedPostgres(home, durable=False)
        if forgotten.status().running:
            forgotten.start()
            forgotten.stop()


async def devices(crew: Crew, there: Site) -> tuple[Device, Device]:
    """Mia on the first worker, Kai on the second."""
    first, second = (Site(url, there.http) for url in crew.own)
    return (
        await first.device(await there.login(MIA), "a"),
        await second.device(await there.login(KAI), "b"),
    )


async def come_back(device: Device, there: Site, session: Json) -> Device:
    """The same device on a new socket, when the old one is closed; as apps do, it tries again
    when it is told that it is too early."""
    await device.closed()
    while True:
        try:
            ws = await there.http.ws_connect(f"{there.url}/ws", protocols=["talktime.v1"])
        except aiohttp.WSServerHandshakeError:
            continue
        again = Device(ws, device.name, session["user"], after=device.commands)
        hello = {"token": session["accessToken"], "device": {"id": device.name}, "protocol": 1}
        await again.send(type="hello", data=hello)
        closed = asyncio.ensure_future(again.closed())
        welcome = asyncio.ensure_future(again.event("welcome"))
        await asyncio.wait([closed, welcome], return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if welcome.done():
            return again
        welcome.cancel()
        assert again.close_code in (1012, 1013)


def environment(pid: int) -> dict[str, str]:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def homes(pid: int) -> list[Path]:
    """The directories in which the embedded PostgreSQL and Valkey of a worker have sockets."""
    told = environment(pid)
    database = told["DATABASE_URL"].partition("host=")[2].partition("&")[0]
    return [Path(database), Path(told["REDIS_URL"].removeprefix("unix://")).parent]


@linux
async def test_one_box_two_workers_on_one_port_and_ctrl_c_leaves_nothing(start: Start) -> None:
    crew = await start()
    text = "\n".join(crew.lines)
    assert (text.count("╭"), text.count(crew.url + "/api-docs")) == (1, 1)
    assert "embedded PostgreSQL" in text
    async with site(crew.url) as there:
        answered: Counter[str] = Counter()
        for _ in range(40):
            # Each request on a connection of its own.
            async with there.http.get(
                f"{crew.url}/health", headers={"Connection": "close"}
            ) as answer:
                answered[(await answer.json())["node"]] += 1
        assert set(answered) == {"main-1", "main-2"}
        for at, url in enumerate(crew.own, 1):
            async with there.http.get(f"{url}/health") as answer:
                assert (await answer.json())["node"] == f"main-{at}"
    pids = crew.children()
    left = homes(crew.worker(1))
    assert [home.is_dir() for home in left] == [True, True]
    assert len(pids) >= 3, "two workers and the Valkey"
    crew.send(signal.SIGINT)
    assert await crew.ended() == 0
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    assert [home.exists() for home in left] == [False, False]
    assert TRACEBACK not in crew.log.read_text()


async def test_workers_speak_to_each_other_directly(start: Start) -> None:
    crew = await start()
    async with site(crew.url) as there, asyncio.timeout(15):
        own = [Site(url, there.http) for url in crew.own]
        for worker in own:
            while (await scrape(worker))["talktime_links_connected"] != 1:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.05)
        before = [await scrape(worker) for worker in own]
        await connect_call(*await devices(crew, there))
        for worker, old in zip(own, before, strict=True):
            new = await scrape(worker)
            for what in ("sent", "received"):
                name = f"talktime_link_parcels_{what}_total"
                assert new[name] - old[name] > 5


@linux
async def test_the_calls_of_a_killed_worker_go_on_and_it_is_there_again(
    start: Start, dsn: str
) -> None:
    crew = await start(DATABASE_URL=dsn)
    async with site(crew.url) as there:
        mia = await there.login(MIA)
        caller, callee = await devices(crew, there)
        call = await connect_call(caller, callee)
        killed = crew.worker(1)
        os.kill(killed, signal.SIGKILL)
        caller = await come_back(caller, Site(crew.own[1], there.http), mia)
        # Both legs show that their media has flowed all the while.
        await caller.ok("media_connected", call)
        # The other leg is made to connect anew, as its call was made out of the books.
        callee = await come_back(callee, there, await there.login(KAI))
        await callee.ok("media_connected", call)
        resumed = await callee.event("call_connected")
        assert (resumed["resumed"], resumed["meter"]["charged"]) == (True, 120)
        await crew.until_ready(0)
        assert crew.worker(1) != killed
        assert not caller.all("call_ended")
        assert (await caller.ok("call_end", call))["final"]["settled"]
        await callee.close()
        await caller.close()
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)
    assert "worker_ended" in crew.log.read_text()


@linux
async def test_a_call_goes_on_while_every_worker_is_replaced(start: Start, dsn: str) -> None:
    crew = await start(DATABASE_URL=dsn)
    async with site(crew.url) as there:
        sessions = {"a": await there.login(MIA), "b": await there.login(KAI)}
        caller, callee = await devices(crew, there)
        call = await connect_call(caller, callee)
        before = [crew.worker(1), crew.worker(2)]
        crew.send(signal.SIGHUP)
        past: list[Device] = []

        async def stay(device: Device) -> Device:
            """On the shared port, wherever that leads, until both were replaced."""
            while True:
                reader = asyncio.ensure_future(device.closed())
                await asyncio.wait([reader, replaced], return_when=asyncio.FIRST_COMPLETED)
                if not reader.done():
                    reader.cancel()
                    return device
                past.append(device)
                device = await come_back(device, there, sessions[device.name])
                device.talk(call)

        replaced = asyncio.ensure_future(crew.said("main-2 was replaced"))
        caller, callee = await asyncio.gather(stay(caller), stay(callee))
        await replaced
        assert "main-1 was replaced" in crew.lines
        assert not {crew.worker(1), crew.worker(2)} & set(before)
        assert len(past) >= 2
        for device in past:
            assert device.close_code == 1012
            assert device.all("draining")
        for device in (*past, caller, callee):
            assert not device.all("call_ended")
            assert not device.all("call_reconnecting")
        final = (await caller.ok("call_end", call))["final"]
        assert (final["total"], final["settled"]) == (120, True)
        await caller.close()
        await callee.close()
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


@linux
async def test_the_workers_of_a_killed_supervisor_drain_and_end(
    start: Start, dsn: str, redis_url: str
) -> None:
    crew = await start(DATABASE_URL=dsn, REDIS_URL=redis_url, TALKTIME_REDIS_PREFIX=uuid4().hex[:8])
    async with site(crew.url) as there:
        caller, callee = await devices(crew, there)
        call = await connect_call(caller, callee)
        pids = [crew.worker(1), crew.worker(2)]
        crew.send(signal.SIGKILL)
        for device in (caller, callee):
            await device.closed()
            assert device.close_code == 1012
            assert device.all("draining")
        await asyncio.gather(*map(gone, pids))
    assert (await left_over(dsn))["calls"] == 1, "for the next to go on with"
    again = await start(
        DATABASE_URL=dsn, REDIS_URL=redis_url, TALKTIME_REDIS_PREFIX=uuid4().hex[:8]
    )
    assert "1 calls go on" in "\n".join(again.lines)
    async with site(again.url) as there:
        device = await there.device(await there.login(MIA), "a")
        assert device.all("welcome")[0]["data"]["call"]["id"] == call
        assert (await device.ok("call_end", call))["final"]["settled"]
    assert await left_over(dsn) == NOTHING


async def test_a_first_start_that_fails_ends_the_command_with_a_sentence(
    tmp_path: Path, dsn: str
) -> None:
    async with running(dsn, development(tmp_path, node_name="main-1")):
        taken = await talktime(
            tmp_path,
            *("serve", "--dev", "--workers", "2", "--port", "1"),
            DATABASE_URL=dsn,
            TALKTIME_PORT="1",
        )
    redis = EmbeddedValkey(password="right")
    url = redis.start()
    try:
        wrong = await talktime(
            tmp_path,
            *("serve", "--dev", "--workers", "2"),
            DATABASE_URL=dsn,
            REDIS_URL=url.replace("right", "wrong"),
            TALKTIME_PORT="2",
        )
    finally:
        redis.stop()
    for said, why in ((taken, "another process runs as node 'main-1'"), (wrong, "Redis")):
        assert said.code == 1
        assert why in said.err
        assert "worker main-1 did not start; it has said why above" in said.err
        assert said.out == "", "no box"
        assert TRACEBACK not in said.err
    assert "wrong" not in wrong.err.replace("wrong password", "")
