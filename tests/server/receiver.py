"""An operator's server: it takes webhooks, checks their signatures by the book, and answers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

WAIT_S = 15.0
TOLERANCE_S = 300


@dataclass(frozen=True)
class Got:
    id: str
    body: dict[str, Any]
    headers: dict[str, str]
    raw: bytes

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.body["data"]
        return data

    def is_signed_by(self, secret: str) -> bool:
        """As a receiver that was written from the standard's page."""
        key = base64.b64decode(secret.removeprefix("whsec_"))
        at = self.headers["webhook-timestamp"]
        digest = hmac.digest(key, f"{self.id}.{at}.".encode() + self.raw, "sha256")
        expected = "v1," + base64.b64encode(digest).decode()
        given = self.headers["webhook-signature"].split(" ")
        fits = any(hmac.compare_digest(expected, each) for each in given)
        return fits and abs(time.time() - int(at)) <= TOLERANCE_S


Answering = Callable[[Got], Awaitable[web.Response]]


class Receiver:
    """`answer` may be replaced; everything that came is in `got`, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.got: list[Got] = []
        self.answer: Answering = accept
        self._news = asyncio.Condition()

    async def handle(self, request: web.Request) -> web.Response:
        raw = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        got = Got(headers["webhook-id"], json.loads(raw), headers, raw)
        async with self._news:
            self.got.append(got)
            self._news.notify_all()
        return await self.answer(got)

    async def until(self, met: Callable[[list[Got]], bool]) -> list[Got]:
        async with self._news:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._news.wait_for(lambda: met(self.got))
            except TimeoutError:
                kinds = [each.body["type"] for each in self.got]
                raise AssertionError(f"waited in vain; there is {kinds}") from None
        return self.got

    async def times(self, count: int) -> list[Got]:
        return await self.until(lambda got: len(got) >= count)


async def accept(_: Got) -> web.Response:
    return web.Response(status=204)


def answering(*statuses: int, headers: dict[str, str] | None = None) -> Answering:
    """One status after the other, the last one for ever."""
    left = list(statuses)

    async def answer(_: Got) -> web.Response:
        status = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, text=f"said {status}", headers=headers)

    return answer


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
        yield receiver
    finally:
        await runner.cleanup()
