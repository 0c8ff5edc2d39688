"""A server under attack, which must be afterwards what it was before."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

from tests.end_to_end.driver import Device, Json
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.server.running import Running, development, running

MIA, KAI, NOAH, LEA = (f"{name}@demo.talktime" for name in ("mia", "kai", "noah", "lea"))
SECRET_OF_OURS = "a secret that only the server should have, and does not"
HELLO_MS = 300


@contextlib.asynccontextmanager
async def guarded(dsn: str, data_dir: Path) -> AsyncIterator[Running]:
    """In the end nothing is broken, held or lost, and no mistake of ours has come to light."""
    config = development(
        data_dir,
        hello_ms=HELLO_MS,
        send_queue_bytes_max=65_536,
        call_request_burst=1_000,
        calls_per_hour_max=1_000,
        cooldown_calls=1_000,
    )
    async with running(dsn, config) as there:
        yield there
        async with there.site.http.get(f"{there.site.url}/metrics") as answer:
            assert 'status="500"' not in await answer.text()
        for device in there.site._devices:
            assert [each for each in device.replies.values() if code_of(each) == "internal"] == []
            await device.close()
        await there.server.drain()
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


def code_of(reply: Json) -> str | None:
    code: str | None = reply["data"].get("code")
    return code


def frame(kind: str, data: object, call: str | None = None) -> bytes:
    body: Json = {"type": kind, "data": data}
    if call is not None:
        body["call"] = call
    return json.dumps(body).encode()


async def said(device: Device, raw: bytes) -> Json:
    """What is answered to this frame: its code and field."""
    before = len(device.all("error"))
    await device._ws.send_str(raw.decode())
    await device.until(lambda: len(device.all("error")) > before)
    found: Json = device.all("error")[-1]["data"]
    return found


async def lives(device: Device) -> None:
    """The socket still answers."""
    assert await device.ok("presence_watch", users=[]) == {}


def hello(token: str, **more: object) -> str:
    data = {"token": token, "device": {"id": "phone"}, "protocol": 1, **more}
    return json.dumps({"type": "hello", "data": data})
