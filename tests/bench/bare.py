"""The least that aiohttp can do: `/relay/{pair}` passes text from either socket to the other.

`python -m tests.bench.bare` prints its address and runs until it is interrupted.
"""

import asyncio
import gc
import signal

import uvloop
from aiohttp import WSMsgType, web

Socket = web.WebSocketResponse
_waiting: dict[str, Socket] = {}
_partner: dict[Socket, Socket] = {}


async def relay(request: web.Request) -> Socket:
    ws = Socket(compress=False, decode_text=False)
    await ws.prepare(request)
    other = _waiting.pop(request.match_info["pair"], None)
    if other is None:
        _waiting[request.match_info["pair"]] = ws
    else:
        _partner[ws], _partner[other] = other, ws
    async for message in ws:
        if message.type is WSMsgType.TEXT:
            await _partner[ws].send_frame(message.data, WSMsgType.TEXT)
    return ws


async def main() -> None:
    app = web.Application()
    app.router.add_get("/relay/{pair}", relay)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1_024)
    await site.start()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)
    host, port = runner.addresses[0][:2]
    print(f"http://{host}:{port}", flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    await runner.cleanup()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
