"""A device on a real socket that speaks plain frames, and a server run as a real process."""

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp

from server.parent import die_with_parent

Json = dict[str, Any]

PASSWORD = "talktime-demo"
WAIT_S = 20.0
ROOT = Path(__file__).parents[2]


class Device:
    """One socket of one user. Everything received is kept, in order."""

    def __init__(
        self, ws: aiohttp.ClientWebSocketResponse, name: str, user: Json, *, after: int = 0
    ) -> None:
        """`after` is how many commands the device has given already: ids are used once."""
        self.name = name
        self.user_id: str = user["id"]
        self.events: list[Json] = []
        self.replies: dict[str, Json] = {}
        self._ws = ws
        self._count = after
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())
        self._talking: asyncio.Task[None] | None = None

    @property
    def close_code(self) -> int | None:
        return self._ws.close_code

    @property
    def commands(self) -> int:
        """How many it has given."""
        return self._count

    async def send(self, **frame: object) -> None:
        await self._ws.send_str(json.dumps(frame))

    async def command(self, name: str, call: str | None = None, /, **data: object) -> Json:
        """The whole reply, `ok` or `error`."""
        self._count += 1
        command_id = f"{self.name}-{self._count}"
        frame: Json = {"type": name, "id": command_id, "data": data}
        if call is not None:
            frame["call"] = call
        await self.send(**frame)
        await self.until(lambda: command_id in self.replies)
        return self.replies[command_id]

    async def ok(self, name: str, call: str | None = None, /, **data: object) -> Json:
        reply = await self.command(name, call, **data)
        assert reply["type"] == "ok", reply
        answer: Json = reply["data"]
        return answer

    async def event(self, kind: str, number: int = 1) -> Json:
        """The data of the `number`th event of this kind."""
        await self.until(lambda: len(self.all(kind)) >= number)
        data: Json = self.all(kind)[number - 1]["data"]
        return data

    def all(self, kind: str) -> list[Json]:
        return [event for event in self.events if event["type"] == kind]

    async def until(self, met: Callable[[], bool]) -> None:
        async with self._news:
            try:
                async with asyncio.timeout(WAIT_S):
                    await self._news.wait_for(met)
            except TimeoutError:
                kinds = [event["type"] for event in self.events]
                raise AssertionError(f"{self.name} waited in vain; it has {kinds}") from None

    def talk(self, call: str, every_s: float = 0.1) -> None:
        """Report growing counters, as a leg whose media flows does, until the socket is closed."""
        self._talking = asyncio.create_task(self._talk(call, every_s))

    async def _talk(self, call: str, every_s: float) -> None:
        received = 0
        while not self._ws.closed and not self.all("call_ended"):
            received += 10_000
            await self.send(type="media_stats", call=call, data={"inBytes": received})
            await asyncio.sleep(every_s)

    async def closed(self) -> None:
        async with asyncio.timeout(WAIT_S):
            await asyncio.wait([self._reader])

    async def close(self) -> None:
        if self._talking is not None:
            self._talking.cancel()
            await asyncio.wait([self._talking])
        await self._ws.close()
        await self.closed()

    async def _read(self) -> None:
        async for message in self._ws:
            frame = json.loads(message.data)
            async with self._news:
                if frame["type"] in ("ok", "error") and frame["re"] is not None:
                    self.replies[frame["re"]] = frame
                else:
                    self.events.append(frame)
                self._news.notify_all()


class Site:
    """A running server as its users see it."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = session
        self._devices: list[Device] = []

    async def login(self, email: str) -> Json:
        body = {"email": email, "password": PASSWORD}
        async with self.http.post(f"{self.url}/auth/login", json=body) as answer:
            assert answer.status == 200, await answer.text()
            session: Json = await answer.json()
        return session

    async def get(self, session: Json, path: str) -> Json:
        headers = {"Authorization": f"Bearer {session['accessToken']}"}
        async with self.http.get(self.url + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            found: Json = await answer.json()
        return found

    async def ask(
        self, session: Json, method: str, path: str, body: Json | None = None
    ) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {session['accessToken']}"}
        async with self.http.request(method, self.url + path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def device(self, session: Json, name: str) -> Device:
        ws = await self.http.ws_connect(f"{self.url}/ws", protocols=["talktime.v1"])
        device = Device(ws, name, session["user"])
        hello = {"token": session["accessToken"], "device": {"id": name}, "protocol": 1}
        await device.send(type="hello", data=hello)
        await device.event("welcome")
        self._devices.append(device)
        return device

    async def close(self) -> None:
        for device in self._devices:
            await device.close()


async def connect_call(caller: Device, callee: Device, **wish: object) -> str:
    """A call that both have answered and reported media for; its id."""
    answer = await caller.ok("call_request", toUserId=callee.user_id, **wish)
    call: str = answer["call"]["id"]
    await callee.event("call_incoming")
    await callee.ok("call_ringing", call)
    await callee.ok("call_accept", call)
    await caller.ok("media_connected", call)
    await callee.ok("media_connected", call)
    await caller.event("call_tick")
    caller.talk(call)
    callee.talk(call)
    return call


class Process:
    """`talktime serve --dev` as a process of its own, on a free port."""

    def __init__(
        self, process: asyncio.subprocess.Process, url: str, log: Path, said: bytes
    ) -> None:
        """`said` is what it has printed up to its address, and the lines after it."""
        self.url = url
        self.said = said
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        await self._process.wait()

    async def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        self.signal(signal.SIGINT)
        return await self.ended()

    def signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait until it has ended by itself; the exit code."""
        async with asyncio.timeout(WAIT_S):
            return await self._process.wait()


async def start_process(data_dir: Path, port: int = 0, /, **settings: str) -> Process:
    """Start a server and wait until it has printed where it listens."""
    log = data_dir / "server.log"
    environment = {
        **os.environ,
        "TALKTIME_DATA_DIR": str(data_dir),
        "TALKTIME_ARGON2_PROFILE": "test",
        **settings,
    }
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "server", "serve", "--dev", "--port", str(port)),
            cwd=ROOT,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C in our terminal is for us.
            preexec_fn=die_with_parent(signal.SIGKILL),
        )
    try:
        url, seen = await _address(process, log)
    except BaseException:  # Whoever gives up waiting leaves no process behind.
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    return Process(process, url, log, seen)


async def _address(process: asyncio.subprocess.Process, log: Path) -> tuple[str, bytes]:
    """Its URL, and all that it has printed at its start."""
    assert process.stdout is not None
    seen, url = b"", ""
    async with asyncio.timeout(60):
        while line := await process.stdout.readline():
            seen += line
            found = re.search(rb"REST +(http://\S+)", line)
            if found:
                url = found.group(1).decode()
            if "╯".encode() in line:
                return url, seen
    raise AssertionError((seen + await asyncio.to_thread(log.read_bytes)).decode())


@contextlib.asynccontextmanager
async def site(url: str) -> AsyncIterator[Site]:
    async with aiohttp.ClientSession() as session:
        opened = Site(url, session)
        try:
            yield opened
        finally:
            await opened.close()
