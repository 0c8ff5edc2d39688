"""Servers for the end-to-end tests."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from server.app import Server
from server.config import Config
from signalling.calls.host import Handle
from storage.migrate import migrate
from tests.end_to_end.driver import Process, Site, start_process

Start = Callable[..., Awaitable[Process]]


@pytest.fixture
async def processes(tmp_path: Path, dsn: str) -> AsyncIterator[Start]:
    """Starts servers as processes on one database; none of them survives the test."""
    started: list[Process] = []

    async def start(**settings: str) -> Process:
        process = await start_process(tmp_path, DATABASE_URL=dsn, **settings)
        started.append(process)
        return process

    yield start
    for process in started:
        try:
            await process.kill()
        except ProcessLookupError:
            pass


class FastServer:
    """A server in this process whose calls live `speed` times as fast as the world."""

    def __init__(self, server: Server, site: Site, speed: int) -> None:
        self.server = server
        self.site = site
        self.speed = speed


@pytest.fixture
async def fast(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[FastServer]:
    """Sixty seconds of a call in one."""
    speed = 60
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("TALKTIME_ARGON2_PROFILE", "test")
    monkeypatch.setenv("TALKTIME_DEAD_IDLE_MS", "900000")
    monkeypatch.setenv("TALKTIME_DEAD_CALL_MS", "120000")
    config = Config.load(dev=True)
    began_ns = time.monotonic_ns()
    began_ms = time.time_ns() // 1_000_000

    def clock() -> int:
        return began_ms + (time.monotonic_ns() - began_ns) * speed // 1_000_000

    def later(delay_ms: int, run: Callable[[], None]) -> Handle:
        return asyncio.get_running_loop().call_later(delay_ms / 1_000 / speed, run)

    await migrate(dsn)
    server = Server(config, dsn, clock=clock, later=later)
    runner = web.AppRunner(await server.start(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    host, port = runner.addresses[0][:2]
    server.base_url = f"http://{host}:{port}"
    async with aiohttp.ClientSession() as session:
        site = Site(server.base_url, session)
        yield FastServer(server, site, speed)
        await site.close()
    await server.drain()
    await runner.cleanup()
    await server.stop()
