"""A phone: the state of one call as an app holds it, and what its buttons do.

State comes from events alone; a command's answer only brings the first snapshot. After every
reconnect `welcome` says what the call has become meanwhile.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from uuid import uuid4

from signalling.client.audio import Sink, Source
from signalling.client.envelope import CommandRefused, Event, Json, WireStopped
from signalling.client.peer import MediaChange, Peer
from signalling.client.view import CallView
from signalling.client.wire import Wire

STATS_S = 10.0
RING_LEFT_MIN_MS = 3_000
HELD_SIGNALS_MAX = 64
AUDIO = {"audio": True, "video": False}


class Phone:
    """`async with Wire(...) as wire, Phone(wire) as phone:` answers to events from then on.

    `audio` makes the sound to send, anew for every call; `record` is a WAV for the sound that
    comes. `on_change` is called with every event. `relay_only` is for TURN and nothing else.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        audio: Callable[[], Source] = Source,
        record: Path | None = None,
        on_change: Callable[[Event], None] = lambda _: None,
        stats_s: float = STATS_S,
        relay_only: bool = False,
    ) -> None:
        self.wire = wire
        self.call: CallView | None = None
        self.peer: Peer | None = None
        self.sink = Sink()
        self.balance: int | None = None
        self.earnings: int | None = None
        self.faults: list[str] = []
        self._audio = audio
        self._record = record
        self.on_change = on_change
        self._stats_s = stats_s
        self._relay_only = relay_only
        self._source: Source | None = None
        self._calls: dict[str, CallView] = {}
        self._signals: list[tuple[str, Json]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._drops: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None
        self._runner: asyncio.Task[None] | None = None
        self._stats: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def __aenter__(self) -> "Phone":
        self._runner = asyncio.create_task(self._run(), name="phone")
        return self

    async def __aexit__(self, *_: object) -> None:
        # Half-closed media would leave sockets open: that is waited for, the rest is not.
        await asyncio.gather(*self._drops)
        tasks = [task for task in (self._runner, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._drop_media()

    async def until(self, seen: Callable[[], bool], timeout_s: float | None = None) -> None:
        """Wait until `seen()` after some event.

        Raises:
            TimeoutError: not in time.
            WireStopped: the connection ended for good before.
        """
        if seen():
            return
        if self._fault is not None:
            raise self._fault
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((seen, waiter))
        async with asyncio.timeout(timeout_s):
            await waiter

    # -- buttons

    async def place(
        self,
        user_id: str,
        *,
        max_price_per_minute: int | None = None,
        note: str | None = None,
    ) -> CallView:
        """Ring a user. The call may be over at once (busy, away), or be theirs to us (glare).

        Raises:
            CommandRefused: for one, insufficient_funds with `required` and `available`.
        """
        # An id of our own making: events of the call can come before its answer is looked at.
        wanted = self.call = self._view(str(uuid4()), "caller")
        try:
            answer = await self.wire.command(
                "call_request",
                toUserId=user_id,
                kind="audio",
                callId=wanted.id,
                maxPricePerMinute=max_price_per_minute,
                note=note,
            )
        except Exception:
            self._forget(wanted)
            raise
        snapshot = answer["call"]
        if snapshot["id"] != wanted.id:
            self._forget(wanted)
        call = self.call = self._view(snapshot["id"], snapshot["role"])
        call.apply(snapshot)
        if call.live:
            await self._start_media(call, answer["iceServers"])
        self._tell(Event("call_requested", call=call.id))
        return call

    async def accept(self) -> CallView:
        call = self._current()
        answer = await self.wire.command("call_accept", call=call.id, media=AUDIO)
        call.apply(answer["call"])
        if call.live:
            await self._start_media(call, answer["iceServers"])
        return call

    async def reject(self, reason: str = "declined", note: str | None = None) -> None:
        await self.wire.command("call_reject", call=self._current().id, reason=reason, note=note)

    async def hang_up(self) -> CallView:
        """Out, in any state: cancels while it rings. Returns the call with its `final`."""
        call = self._current()
        answer = await self.wire.command("call_end", call=call.id)
        call.final = answer["final"]
        return call

    async def take(self) -> CallView:
        """Go on with my user's call on this device."""
        call = self._current()
        answer = await self.wire.command("call_take", call=call.id)
        call.apply(answer["call"])
        await self._start_media(call, answer["iceServers"], gen=answer["call"]["gen"])
        return call

    async def mute(self, muted: bool) -> None:
        self._current().muted = muted
        await self._send_media_state()

    async def hold(self, held: bool) -> None:
        self._current().held = held
        await self._send_media_state()

    async def chat(self, text: str) -> None:
        """A line to the other party; the conversation of a call has the call's id."""
        call = self._current()
        answer = await self.wire.command("chat_send", call=call.id, conversation=call.id, text=text)
        call.chat.append(answer["message"])

    # -- events

    async def _run(self) -> None:
        try:
            async for event in self.wire.events():
                self._handle(event)
                self._tell(event)
            self._fault = self.wire.stopped
        except Exception as unforeseen:  # Whoever waits must learn of it.
            self._fault = unforeseen
            raise
        finally:
            for _, waiter in self._waiting:
                if not waiter.done() and self._fault is not None:
                    waiter.set_exception(self._fault)

    def _tell(self, event: Event) -> None:
        self.wire.in_call = self.call is not None and self.call.live
        self.on_change(event)
        for entry in list(self._waiting):
            seen, waiter = entry
            if waiter.done():
                self._waiting.remove(entry)
            elif seen():
                self._waiting.remove(entry)
                waiter.set_result(None)

    def _handle(self, event: Event) -> None:
        data = event.data
        match event.type:
            case "welcome":
                self._resync(data)
            case "call_incoming":
                self._incoming(data["call"], data["expiresAt"])
            case "wallet_updated":
                self.balance = data.get("balance", self.balance)
                self.earnings = data.get("earnings", self.earnings)
            case "ice_servers" if self.peer is not None:
                self.peer.use(data["iceServers"])
            case _:
                about = event.call or data.get("message", {}).get("conversation", "")
                call = self._calls.get(about)
                if call is not None:
                    call.rev = event.rev or call.rev
                    self._handle_call(call, event.type, data)

    def _handle_call(self, call: CallView, kind: str, data: Json) -> None:
        call.update(kind, data)
        match kind:
            case "call_connected":
                self.balance = data["meter"].get("balance", self.balance)
            case "call_tick":
                self.balance = data.get("balance", self.balance)
            case "call_taken":
                self._taken(call, data)
            case "call_rejected" | "call_ended":
                self._ended(call)
            case "signal":
                self._signal(call, data)

    def _incoming(self, snapshot: Json, expires_at: int) -> None:
        call = self._view(snapshot["id"], "callee")
        call.apply(snapshot)
        call.you = "ringing"
        call.expires_at = expires_at
        if self.call is None or not self.call.live:
            self.call = call
        if expires_at - self.wire.now_ms() >= RING_LEFT_MIN_MS:
            self._spawn(self.wire.command("call_ringing", call=call.id))

    def _ended(self, call: CallView) -> None:
        self._calls.pop(call.id, None)
        if call is self.call:
            self._drop_media_soon()

    def _taken(self, call: CallView, data: Json) -> None:
        if data["leg"] != call.role:
            if self.peer is not None:
                self.peer.other_device()
        elif data["device"] != self.wire.device_id:
            call.you = "elsewhere"
            self._drop_media_soon()

    def _signal(self, call: CallView, signal: Json) -> None:
        if call is self.call and self.peer is not None:
            self.peer.receive(signal)
        elif len(self._signals) < HELD_SIGNALS_MAX:
            self._signals.append((call.id, signal))

    def _resync(self, welcome: Json) -> None:
        """What has become of the call while we were away."""
        snapshot = welcome.get("call")
        call = self.call
        known = call is not None and call.rev > 0 and not call.over
        if call is not None and known and (not snapshot or snapshot["id"] != call.id):
            unknown: Json = {"reason": None, "by": None, "final": {}}
            past = [each for each in welcome["recent"] if each["id"] == call.id]
            call.update("call_ended", past[0] if past else unknown)
            self._ended(call)
        if not snapshot:
            return
        call = self.call = self._view(snapshot["id"], snapshot["role"])
        call.rev = 0
        call.apply(snapshot)
        if call.you == "ringing":
            self._incoming(snapshot, snapshot["expiresAt"])
        elif call.you == "active" and call.state in ("accepted", "connected", "reconnecting"):
            self._spawn(self._rejoin(call, snapshot["gen"]))

    async def _rejoin(self, call: CallView, gen: int) -> None:
        """Our leg is live: say whether its media still is, or build it anew."""
        if self.peer is None:
            answer = await self.wire.command("ice_servers", call=call.id)
            await self._start_media(call, answer["iceServers"], gen=gen)
        elif self.peer.flowing:
            await self.wire.command("media_connected", call=call.id, gen=self.peer.gen)
        elif call.state != "accepted":
            await self.wire.command("media_lost", call=call.id, gen=self.peer.gen, why="ice")

    # -- media

    async def _start_media(self, call: CallView, ice_servers: list[Json], gen: int = 0) -> None:
        await self._drop_media()
        self._source = self._audio()
        self.sink = Sink(self._record)

        def send(signal: Json) -> Awaitable[Json]:
            return self.wire.command("signal", call=call.id, **signal)

        def on_media(change: MediaChange) -> None:
            self._media_changed(call, change)

        self.peer = Peer(
            send,
            on_media,
            polite=call.role == "callee",
            source=self._source,
            sink=self.sink,
            ice_servers=ice_servers,
            gen=gen,
            relay_only=self._relay_only,
        )
        if gen or call.role == "caller":
            self.peer.offer()
        waiting, self._signals = self._signals, []
        for call_id, signal in waiting:
            if call_id == call.id:
                self.peer.receive(signal)

    def _media_changed(self, call: CallView, change: MediaChange) -> None:
        if call.over:
            return
        if not change.flowing:
            lost = self.wire.command("media_lost", call=call.id, gen=change.gen, why="ice")
            self._spawn(lost)
            return
        facts = {"gen": change.gen, "relay": change.relay, "ms": change.ms}
        self._spawn(self.wire.command("media_connected", call=call.id, **facts))
        if self._stats is None:
            self._stats = self._spawn(self._report_stats(call))

    async def _report_stats(self, call: CallView) -> None:
        """The evidence that media flows: without it the meter stops."""
        while self.peer is not None:
            stats = await self.peer.stats()
            self.wire.report(
                "media_stats",
                call=call.id,
                rttMs=round(stats.rtt_ms, 1),
                loss=round(stats.loss, 4),
                jitterMs=round(stats.jitter_ms, 1),
                inBytes=stats.in_bytes,
                outBytes=stats.out_bytes,
                relay=stats.relay,
            )
            await asyncio.sleep(self._stats_s)

    async def _send_media_state(self) -> None:
        call = self._current()
        if self.peer is not None:
            self.peer.mute(call.muted)
            self.peer.hold(call.held)
        await self.wire.command(
            "media_state", call=call.id, audio=not call.muted, video=False, hold=call.held
        )

    def _drop_media_soon(self) -> None:
        drop = self._spawn(self._drop_media())
        self._drops.add(drop)
        drop.add_done_callback(self._drops.discard)

    async def _drop_media(self) -> None:
        peer, self.peer = self.peer, None
        source, self._source = self._source, None
        stats, self._stats = self._stats, None
        sink = self.sink
        if stats is not None:
            stats.cancel()
        if peer is not None:
            await peer.close()
        if source is not None:
            source.close()
        sink.close()

    # -- small things

    def _current(self) -> CallView:
        if self.call is None:
            raise CommandRefused("wrong_state", "There is no call.", None, {})
        return self.call

    def _view(self, call_id: str, role: str) -> CallView:
        return self._calls.setdefault(call_id, CallView(call_id, role))

    def _forget(self, call: CallView) -> None:
        self._calls.pop(call.id, None)
        if self.call is call:
            self.call = None

    def _spawn(self, work: Coroutine[object, object, object]) -> "asyncio.Task[None]":
        async def run() -> None:
            try:
                await work
            except (CommandRefused, WireStopped, TimeoutError) as fault:
                self.faults.append(str(fault))

        task = asyncio.create_task(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
