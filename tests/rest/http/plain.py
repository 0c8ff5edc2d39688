"""An application without a database, for what stands around every route."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rest.http.route import Handler, Route, mount
from server.middlewares import Around, install

Client = TestClient[web.Request, web.Application]


def refuse_nobody(handler: Handler) -> Handler:
    return handler


class Clients:
    """Starts applications and closes them all; an async context manager."""

    def __init__(self) -> None:
        self._open: list[Client] = []

    async def __aenter__(self) -> Clients:
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._open:
            await client.close()

    async def start(
        self,
        *routes: Route,
        guard: Callable[[Handler], Handler] = refuse_nobody,
        around: Around | None = None,
    ) -> Client:
        app = web.Application()
        install(app, around)
        mount(app, routes, guard)
        client: Client = TestClient(TestServer(app))
        self._open.append(client)
        await client.start_server()
        return client


async def ask(client: Client, method: str, path: str, **more: Any) -> tuple[int, Any]:
    """Status and decoded body."""
    async with client.request(method, path, **more) as response:
        return response.status, await response.json()
