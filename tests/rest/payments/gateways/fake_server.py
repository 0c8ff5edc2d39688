"""What the fakes of payment companies share: a real server on a port, with moods to be in."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Literal

from aiohttp import web
from aiohttp.test_utils import TestServer

Mood = Literal[
    "well", "slow", "huge", "cut", "redirect", "down", "busy", "locked", "html", "list", "types",
    "deep", "empty",
]  # fmt: skip
# In none of these may anything be believed, or anybody be kept waiting.
BAD_MOODS: tuple[Mood, ...] = (
    "slow", "huge", "cut", "redirect", "down", "busy", "locked", "html", "list", "types", "deep",
    "empty",
)  # fmt: skip
_BODIES = {
    "html": b"<h1>Under maintenance</h1>",
    "list": b"[]",
    "deep": b"[" * 100_000,
    "empty": b"",
    # Every name there is in the true answers, and no right type.
    "types": b'{"id":1,"amount":"1000","currency":{},"status":[],"client_secret":7,"metadata":3,'
    b'"requestSuccessful":true,"responseBody":{"accessToken":1,"expiresIn":"x","checkoutUrl":[],'
    b'"transactionReference":null,"paymentReference":5,"paymentStatus":{},"amountPaid":1.5e400,'
    b'"currency":"naira","refundStatus":0}}',
}
_STATUSES = {"down": 500, "busy": 429, "locked": 401}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FakeServer(ABC):
    """`mood` is how it answers from now on; `asked` counts its requests by path."""

    def __init__(self) -> None:
        self.mood: Mood = "well"
        self.asked: list[str] = []
        self.trapped = 0
        self._released = asyncio.Event()
        self._server: TestServer | None = None

    @abstractmethod
    def routes(self) -> list[web.RouteDef]:
        """What it answers."""

    @property
    def url(self) -> str:
        assert self._server is not None
        return str(self._server.make_url("")).rstrip("/")

    async def start(self) -> None:
        @web.middleware
        async def moody(request: web.Request, handler: Handler) -> web.StreamResponse:
            self.asked.append(f"{request.method} {request.path}")
            return await self._misbehave(request) or await handler(request)

        app = web.Application(middlewares=[moody])
        app.add_routes([*self.routes(), web.route("*", "/trap", self._trap)])
        self._server = TestServer(app)
        await self._server.start_server()

    async def close(self) -> None:
        self._released.set()
        assert self._server is not None
        await self._server.close()

    async def _misbehave(self, request: web.Request) -> web.StreamResponse | None:
        if request.path == "/trap":
            return None
        match self.mood:
            case "well":
                return None
            case "slow":
                await self._released.wait()
            case "cut":
                assert request.transport is not None
                request.transport.abort()
            case "huge":
                return web.Response(body=b'{"id":"' + b"x" * 2_000_000 + b'"}')
            case "redirect":
                return web.Response(status=307, headers={"Location": f"{self.url}/trap"})
            case "down" | "busy" | "locked":
                body = b'{"error":{"type":"api_error","message":"no"},"requestSuccessful":false}'
                return web.Response(status=_STATUSES[self.mood], body=body)
        return web.Response(body=_BODIES.get(self.mood, b""), content_type="application/json")

    async def _trap(self, request: web.Request) -> web.Response:
        """Where redirects lead: to loopback, as in an attack on the inside of a network."""
        self.trapped += 1
        return web.json_response({})
