"""The whole server in this process, in development mode on a port of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from server.app import Server
from server.config import Config
from storage.migrate import migrate


@asynccontextmanager
async def served(dsn: str, data: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The URL of a server with its demo accounts, on the database `dsn`."""
    monkeypatch.setenv("TALKTIME_DATA_DIR", str(data))
    monkeypatch.setenv("TALKTIME_ARGON2_PROFILE", "test")
    await migrate(dsn)
    server = Server(Config.load(dev=True), dsn)
    runner = web.AppRunner(await server.start(), access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    server.base_url = f"http://{host}:{port}"
    try:
        yield server.base_url
    finally:
        await server.drain()
        await runner.cleanup()
        await server.stop()
