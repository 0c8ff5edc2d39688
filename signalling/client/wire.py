"""One WebSocket to the server that survives reconnects.

A command is sent again, unchanged and with the same id, until the server has answered it: one
effect and one answer, however often the socket breaks in between. Events come out in order and
once. After every (re)connect the first event is `welcome`. If it is `resumed`, the events that were
missed follow it; else its `call` is the truth about a call that was live meanwhile.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from uuid import UUID, uuid4

import aiohttp
import msgspec

from signalling.client.envelope import (
    Backoff,
    CommandRefused,
    Event,
    Json,
    Pending,
    ServerClock,
    WireStopped,
    close_name,
    envelope,
    hello,
    socket_url,
)
from signalling.codes import Close

SUBPROTOCOL = "talktime.v1"
STOP_FROM = 4400
EVENTS_MAX = 1_024
FRAME_BYTES_MAX = 1 << 20
WELCOME_MS = 10_000
UNAVAILABLE_RETRIES_MAX = 3
ACK_EVERY = 64

_decode = msgspec.json.Decoder(Event).decode


class Wire:
    """`async with Wire(url, token, device_id="laptop") as wire:` connects and says hello.

    `url` is the server's http(s) or ws(s) address, with or without the path `/ws`; of several, the
    next one is tried when one does not welcome us, falls silent or is draining. `refresh` gets
    a new token when the old one has expired (close code 4502); without it the wire stops then.
    Set `in_call` while a call is live: pings come every 5 s and a dead socket is noticed in 15 s.
    """

    def __init__(
        self,
        url: str | Sequence[str],
        token: str,
        *,
        device_id: str,
        device_name: str = "",
        platform: str = "python",
        refresh: Callable[[], Awaitable[str]] | None = None,
        http: aiohttp.ClientSession | None = None,
        backoff: Backoff | None = None,
        events_max: int = EVENTS_MAX,
    ) -> None:
        self._urls = deque(map(socket_url, [url] if isinstance(url, str) else url))
        self.device_id = device_id
        self.in_call = False
        self.connected = asyncio.Event()
        self.connects = 0
        self.welcome: Json = {}
        self.clock = ServerClock()
        self.fault = ""
        self._token = token
        self._device = {"id": device_id, "name": device_name, "platform": platform}
        self._refresh = refresh
        self._own_http = http is None
        self._http = http
        self._backoff = backoff or Backoff()
        self._events: asyncio.Queue[Event | None] = asyncio.Queue()
        self._events_max = events_max
        self._pending: dict[str, Pending] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._outbox: deque[str] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._seq = 0
        self._handled_seq = 0
        self._acked_seq = 0
        self._replay_to = 0
        self._heard_at = 0.0
        self._retry_ms: int | None = None
        self._refreshed = False
        self._overflowed = False
        self._stopped: WireStopped | None = None

    async def __aenter__(self) -> "Wire":
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self, timeout_s: float = 10) -> Json:
        """Connect and wait for the first `welcome`, which is returned.

        Raises:
            WireStopped: the server does not want us (bad token, wrong version).
            ConnectionError: no welcome within `timeout_s`.
        """
        if self._http is None:
            self._http = aiohttp.ClientSession()
        self._task = asyncio.create_task(self._run(), name="wire")
        ready = asyncio.create_task(self.connected.wait())
        await asyncio.wait(
            {ready, self._task}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        if self.connects:
            return self.welcome
        stopped, fault = self._stopped, self.fault
        await self.close()
        raise stopped or ConnectionError(f"No welcome from {self.url}. {fault}".rstrip())

    async def close(self) -> None:
        """Say bye (the server ends the session, without grace) and let go of everything."""
        self._stop(WireStopped(1000, "closed by us"))
        socket = self._socket
        if socket is not None and not socket.closed:
            with contextlib.suppress(ConnectionError, TimeoutError):
                async with asyncio.timeout(1):
                    await socket.send_str('{"type":"bye"}')
                    await socket.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._own_http and self._http is not None:
            await self._http.close()

    @property
    def url(self) -> str:
        """Where we are connected, or try to be next."""
        return self._urls[0]

    @property
    def stopped(self) -> WireStopped | None:
        return self._stopped

    def now_ms(self) -> int:
        """The server's clock, as well as we know it."""
        return int(time.time() * 1_000 + self.clock.offset_ms)

    async def command(
        self,
        type: str,
        *,
        call: str | UUID | None = None,
        timeout_s: float = 30,
        **data: object,
    ) -> Json:
        """Send a command (or a report) and wait for its answer, across reconnects.

        Keyword arguments are the frame's `data` in wire names; those that are None are left out.

        Raises:
            CommandRefused: the server answered with an error.
            WireStopped: the connection ended for good before there was an answer.
            TimeoutError: no answer within `timeout_s`; the command may still have taken effect.
        """
        if self._stopped is not None:
            raise self._stopped
        command_id = uuid4().hex
        frame = envelope(type, data, call=call, command_id=command_id)
        pending = Pending(frame, asyncio.get_running_loop().create_future())
        self._pending[command_id] = pending
        self._send(frame)
        try:
            # Not wait_for: on 3.11 it can swallow a cancellation that comes with the answer.
            async with asyncio.timeout(timeout_s):
                return await pending.reply
        finally:
            self._pending.pop(command_id, None)

    def report(self, type: str, *, call: str | UUID | None = None, **data: object) -> None:
        """Send without an id: nobody answers, and it is lost when there is no connection."""
        self._send(envelope(type, data, call=call))

    async def events(self) -> AsyncIterator[Event]:
        """Events in order, each once; ends when the wire is stopped. For one consumer."""
        while (event := await self._events.get()) is not None:
            if event.seq is not None and event.type != "welcome":
                self._handled_seq = event.seq
            yield event

    def _send(self, frame: str) -> None:
        if self.connected.is_set():
            self._outbox.append(frame)
            self._wake.set()

    def _stop(self, stopped: WireStopped) -> None:
        if self._stopped is not None:
            return
        self._stopped = stopped
        self.connected.clear()
        for pending in self._pending.values():
            if not pending.reply.done():
                pending.reply.set_exception(stopped)
        self._events.put_nowait(None)

    async def _run(self) -> None:
        try:
            await self._stay_connected()
        except Exception as fault:  # A frame nobody could foresee must not hang the app for ever.
            self._stop(WireStopped(Close.BAD_PROTOCOL, f"{type(fault).__name__}: {fault}"))
            raise

    async def _stay_connected(self) -> None:
        attempt = 0
        while self._stopped is None:
            before = self.connects
            code, reason = await self._one_connection()
            welcomed = self.connects > before
            attempt = 0 if welcomed else attempt + 1
            if code == Close.TOKEN_EXPIRED and await self._new_token():
                continue
            if code >= STOP_FROM:
                self._stop(WireStopped(code, reason or close_name(code)))
                return
            if not welcomed or self._retry_ms is not None:
                self._urls.rotate(-1)
            delay_ms = self._backoff.delay_ms(attempt // len(self._urls))
            if self._retry_ms is not None:
                delay_ms, self._retry_ms = self._retry_ms + delay_ms, None
            await asyncio.sleep(delay_ms / 1_000)

    async def _new_token(self) -> bool:
        """Whether to try again with a fresh token; once between two welcomes."""
        if self._refresh is None or self._refreshed:
            return False
        self._refreshed = True
        try:
            self._token = await self._refresh()
        except Exception as fault:  # The callback is the app's; whatever it raises, we stop.
            self.fault = f"{type(fault).__name__}: {fault}"
            return False
        return True

    async def _one_connection(self) -> tuple[int, str]:
        """Connect, say hello, read until the socket closes. Returns the close code and why."""
        assert self._http is not None
        try:
            async with asyncio.timeout(WELCOME_MS / 1_000):
                socket = await self._http.ws_connect(
                    self.url,
                    protocols=(SUBPROTOCOL,),
                    max_msg_size=FRAME_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=2),
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as fault:
            self.fault = f"{type(fault).__name__}: {fault}"
            return 1006, self.fault
        self._socket = socket
        self._heard_at = time.monotonic()
        helpers = [
            asyncio.create_task(self._write(socket)),
            asyncio.create_task(self._beat(socket)),
        ]
        try:
            await socket.send_str(hello(self._token, self._device, self.welcome, self._seq))
            async for message in socket:
                self._heard_at = time.monotonic()
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._receive(message.data)
                if self._overflowed:
                    break
        except (ConnectionError, aiohttp.ClientError) as fault:
            self.fault = f"{type(fault).__name__}: {fault}"
        finally:
            self.connected.clear()
            self._outbox.clear()
            for task in helpers:
                task.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)
            self._overflowed = False
            await socket.close()
            self._socket = None
        return socket.close_code or 1006, self.fault

    async def _write(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._outbox and not socket.closed:
                try:
                    await socket.send_str(self._outbox.popleft())
                except ConnectionError:
                    return  # The reader sees the end; pending commands go again after welcome.

    async def _beat(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Ping, acknowledge, and give up a socket on which nothing has come for too long."""
        pinged_at = time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            ping_ms = int(self.welcome.get("pingMs", 25_000))
            dead_ms = int(self.welcome.get("deadMs", 60_000))
            if self.in_call:
                ping_ms = min(ping_ms, int(self.welcome.get("pingCallMs", 5_000)))
                dead_ms = min(dead_ms, int(self.welcome.get("deadCallMs", 15_000)))
            if not self.connected.is_set():
                dead_ms = min(dead_ms, WELCOME_MS)
            if (now - self._heard_at) * 1_000 > dead_ms:
                self.fault = "The server has gone silent."
                if self.connected.is_set():
                    self._urls.rotate(-1)
                await socket.close(code=Close.NO_HEARTBEAT)
                return
            if self.connected.is_set() and (now - pinged_at) * 1_000 >= ping_ms:
                pinged_at = now
                self._send(envelope("ping", {"t": int(time.time() * 1_000)}, ack=self._new_ack()))
            elif self._handled_seq - self._acked_seq >= ACK_EVERY:
                self._send(envelope("ack", {"seq": self._new_ack()}))

    def _new_ack(self) -> int:
        # Events of an earlier session may still be in the queue: never more than this one sent.
        self._acked_seq = min(self._handled_seq, self._seq)
        return self._acked_seq

    def _receive(self, raw: str) -> None:
        try:
            event = _decode(raw)
        except msgspec.DecodeError as fault:
            self.fault = f"Unreadable frame: {fault}"
            return
        if event.type in ("ok", "error"):
            self._answer(event)
        elif event.type == "pong":
            data = event.data
            self.clock.pong(float(data["t"]), float(data["now"]), time.time() * 1_000)
        elif event.type == "welcome":
            self._welcomed(event)
        elif event.seq is None or event.seq > self._seq:
            self._seq = self._seq if event.seq is None else event.seq
            if event.type == "draining" and self._seq > self._replay_to:
                self._retry_ms = int(event.data.get("retryMs", 0))
            self._deliver(event)

    def _welcomed(self, event: Event) -> None:
        self.welcome = event.data
        self._refreshed = False
        self.fault = ""
        self._replay_to = int(event.data.get("replayTo", 0))
        if not event.data.get("resumed"):
            self._seq = self._handled_seq = self._acked_seq = event.seq or 0
        self.clock.welcome(float(event.data["now"]), time.time() * 1_000)
        self._deliver(event)
        self.connects += 1
        self.connected.set()
        # Everything unanswered goes again, in the order in which it was first sent.
        self._outbox.extend(pending.frame for pending in self._pending.values())
        self._wake.set()

    def _deliver(self, event: Event) -> None:
        """Queue an event; an app that does not keep up starts again from a snapshot."""
        if self._events.qsize() < self._events_max:
            self._events.put_nowait(event)
            return
        while not self._events.empty():
            self._events.get_nowait()
        self.fault = "Events were not consumed in time."
        self.welcome = {}
        self._overflowed = True

    def _answer(self, event: Event) -> None:
        if event.type == "error" and event.re is None:
            self.fault = str(event.data.get("message"))
        pending = self._pending.get(event.re or "")
        if pending is None or pending.reply.done():
            return
        if event.type == "ok":
            pending.reply.set_result(event.data)
            return
        details = dict(event.data)
        code, message = str(details.pop("code", "")), str(details.pop("message", ""))
        if code == "unavailable" and pending.retries < UNAVAILABLE_RETRIES_MAX:
            pending.retries += 1
            wait_ms = int(details.get("retryAfterMs", 500 * pending.retries))
            asyncio.get_running_loop().call_later(wait_ms / 1_000, self._again, pending)
            return
        field = details.pop("field", None)
        pending.reply.set_exception(CommandRefused(code, message, field, details))

    def _again(self, pending: Pending) -> None:
        if not pending.reply.done():
            self._send(pending.frame)
