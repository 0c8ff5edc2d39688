"""A WebSocket server for tests that speaks the frames and does what a test tells it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import WSMsgType, web

Json = dict[str, Any]
USER = {"userId": "00000000-0000-7000-8000-000000000001", "name": "Mia", "avatarUrl": None}


class Talker:
    """Welcomes every socket and records every frame; `answer` decides on each command's reply.

    `answer` returns the frame to send back, or None to stay silent.
    """

    def __init__(self) -> None:
        self.url = ""
        self.hellos: list[Json] = []
        self.frames: asyncio.Queue[Json] = asyncio.Queue()
        self.answer: Callable[[Json], Json | None] = lambda frame: ok(frame)
        self.welcome: Json = {}
        self.refuse: int | None = None
        self.missed: list[Json] = []
        self.socket: web.WebSocketResponse | None = None
        self._seq = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("talktime.v1",))
        await socket.prepare(request)
        hello = json.loads(await socket.receive_str())
        self.hellos.append(hello)
        if self.refuse is not None:
            await socket.close(code=self.refuse)
            return socket
        self.socket = socket
        data = {**WELCOME, **self.welcome}
        if data["resumed"]:
            data["replayTo"] = self._seq
            last_seq = hello["data"]["resume"]["lastSeq"]
            await self.raw({"type": "welcome", "seq": last_seq, "ts": 1, "data": data})
            for event in self.missed:
                await self.raw(event)
            self.missed.clear()
        else:
            self._seq = 1
            await self.raw({"type": "welcome", "seq": 1, "ts": 1, "data": data})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            frame = json.loads(message.data)
            if frame["type"] == "ping":
                pong = {"t": frame["data"]["t"], "now": frame["data"]["t"] + 60_000}
                await socket.send_json({"type": "pong", "data": pong})
                continue
            self.frames.put_nowait(frame)
            reply = self.answer(frame)
            if reply is not None:
                await socket.send_json(reply)
        return socket

    async def event(
        self,
        kind: str,
        data: Json,
        *,
        call: str | None = None,
        rev: int | None = None,
        missed: bool = False,
    ) -> None:
        """Send an event; one that is `missed` comes after the next welcome, if that is resumed."""
        self._seq += 1
        event = {"type": kind, "seq": self._seq, "call": call, "rev": rev, "ts": 1, "data": data}
        if missed:
            self.missed.append(event)
        else:
            await self.raw(event)

    async def raw(self, frame: Json) -> None:
        assert self.socket is not None
        await self.socket.send_json({k: v for k, v in frame.items() if v is not None})

    async def frame(self, kind: str) -> Json:
        """The next frame of this type; others before it are passed over."""
        async with asyncio.timeout(5):
            while True:
                frame = await self.frames.get()
                if frame["type"] == kind:
                    return frame

    async def drop(self) -> None:
        """Cut the connection without a closing handshake."""
        assert self.socket is not None
        assert self.socket._req is not None
        assert self.socket._req.transport is not None
        self.socket._req.transport.abort()


WELCOME: Json = {
    "session": "s1",
    "secret": "x",
    "resumed": False,
    "protocol": 1,
    "features": [],
    "now": 1_700_000_000_000,
    "user": USER,
    "pingMs": 25_000,
    "deadMs": 60_000,
    "limits": {"frameBytes": 65536, "sendQueueBytes": 1, "sdpBytes": 1, "candidates": 32},
    "recent": [],
}


def ok(frame: Json, **data: object) -> Json:
    return {"type": "ok", "re": frame.get("id"), "data": data}


def error(frame: Json, code: str, **more: object) -> Json:
    return {"type": "error", "re": frame.get("id"), "data": {"code": code, "message": "no", **more}}


@asynccontextmanager
async def talking() -> AsyncIterator[Talker]:
    talker = Talker()
    app = web.Application()
    app.router.add_get("/ws", talker.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    talker.url = f"http://{host}:{port}"
    try:
        yield talker
    finally:
        await runner.cleanup()
