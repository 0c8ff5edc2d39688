"""A whole server in this process, on a free port and a fresh database, in the world's own time."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from server.app import Server
from server.config import Config
from server.runner import Runner
from tests.end_to_end.driver import Site


def development(data_dir: Path, **settings: Any) -> Config:
    return Config.load(dev=True, data_dir=data_dir, argon2_profile="test", **settings)


class Running:
    def __init__(self, server: Server, site: Site, app: web.Application) -> None:
        self.server = server
        self.site = site
        self.app = app


@contextlib.asynccontextmanager
async def running(dsn: str, config: Config) -> AsyncIterator[Running]:
    """`dsn` is a migrated database. Nothing of the server is left afterwards."""
    server = Server(config, dsn)
    app = await server.start()
    runner = Runner(app, keep_alive_s=15.0, shutdown_s=1.0)
    try:
        await runner.setup()
        listener = web.TCPSite(runner, "127.0.0.1", 0)
        await listener.start()
        host, port = runner.addresses[0][:2]
        server.base_url = f"http://{host}:{port}"
        async with aiohttp.ClientSession() as session:
            site = Site(server.base_url, session)
            yield Running(server, site, app)
            await site.close()
        await server.drain()
    finally:
        await runner.cleanup()
        await server.stop()
