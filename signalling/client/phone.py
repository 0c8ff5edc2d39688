"""A phone: the state of one call as an app holds it, and what its buttons do.

State comes from events alone; a command's answer only brings the first snapshot. After a lost
socket the events that were missed come again, or `welcome` says what the call has become meanwhile;
its sound goes on all the time.
"""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from uuid import uuid4

from signalling.client.audio import Sink, Source
from signalling.client.envelope import CommandRefused, Event, Json, WireStopped
from signalling.client.media import BEFORE_ANSWER, Media
from signalling.client.peer import Peer
from signalling.client.view import CallView
from signalling.client.wire import Wire

STATS_S = 10.0
RING_LEFT_MIN_MS = 3_000
# What a snapshot may have told already; the other events are not in it.
STATES = frozenset({"call_ringing", "call_accepted", "call_connected", "call_reconnecting"})
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
        self.balance: int | None = None
        self.earnings: int | None = None
        self.faults: list[str] = []
        self.on_change = on_change
        self._media = Media(
            wire, self._spawn, audio=audio, record=record, stats_s=stats_s, relay_only=relay_only
        )
        self._calls: dict[str, CallView] = {}
        self._starting = 0  # commands under way whose answer starts the media
        self._replay_to = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None
        self._runner: asyncio.Task[None] | None = None
        self._waiting: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []

    async def __aenter__(self) -> "Phone":
        self._runner = asyncio.create_task(self._run(), name="phone")
        return self

    async def __aexit__(self, *_: object) -> None:
        # Half-closed media would leave sockets open: that is waited for, the rest is not.
        drops = self._media.drops
        tasks = [task for task in (self._runner, *(self._tasks - drops)) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*drops)
        await self._media.drop()

    @property
    def peer(self) -> Peer | None:
        """The media of the call, while there is any."""
        return self._media.peer

    @property
    def sink(self) -> Sink:
        """The sound that comes."""
        return self._media.sink

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
            answer = await self._begin(
                self.wire.command(
                    "call_request",
                    toUserId=user_id,
                    kind="audio",
                    callId=wanted.id,
                    maxPricePerMinute=max_price_per_minute,
                    note=note,
                )
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
            await self._media.start(call, answer["iceServers"])
        self._tell(Event("call_requested", call=call.id))
        return call

    async def accept(self) -> CallView:
        call = self._current()
        answer = await self._begin(self.wire.command("call_accept", call=call.id, media=AUDIO))
        call.apply(answer["call"])
        if call.live:
            await self._media.start(call, answer["iceServers"])
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
        """Go on with my user's call on this device, when `call.you` is canTake.

        Raises:
            CommandRefused: wrong_state, while the device that has the call is there.
        """
        call = self._current()
        answer = await self._begin(self.wire.command("call_take", call=call.id))
        call.apply(answer["call"])
        if call.live:
            snapshot = answer["call"]
            await self._media.start_anew(call, answer["iceServers"], snapshot["gen"])
        return call

    async def _begin(self, command: Coroutine[object, object, Json]) -> Json:
        """Wait for an answer that starts the media."""
        self._starting += 1
        try:
            return await command
        finally:
            self._starting -= 1

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
                self._incoming(data["call"], ring=not self._replayed(event))
            case "wallet_updated":
                self.balance = data.get("balance", self.balance)
                self.earnings = data.get("earnings", self.earnings)
            case "ice_servers" if self.peer is not None:
                self.peer.use(data["iceServers"])
            case _:
                call = self._about(event)
                if call is not None and not (event.type in STATES and known(call, event)):
                    call.rev = max(event.rev or 0, call.rev)
                    self._handle_call(call, event.type, data, replayed=self._replayed(event))

    def _about(self, event: Event) -> CallView | None:
        """The call of an event. One that is not known is held by another device of the user's."""
        about = event.call or ""
        if event.type == "chat_message":
            about = event.data["message"]["conversation"]
        call = self._calls.get(about)
        if call is None and event.type in STATES:
            call = self._view(about, "caller")
            call.you = "elsewhere"
            if self.call is None or not self.call.live:
                self.call = call
        return call

    def _replayed(self, event: Event) -> bool:
        """Whether the event is one of the past, which came after a resumed session's welcome."""
        return event.seq is not None and event.seq <= self._replay_to

    def _handle_call(self, call: CallView, kind: str, data: Json, *, replayed: bool) -> None:
        call.update(kind, data)
        match kind:
            case "call_reconnecting" if data["leg"] == call.role and not replayed:
                self._spawn(self._media.confirm(call))  # It may not have heard us.
            case "call_connected":
                self.balance = data["meter"].get("balance", self.balance)
            case "call_tick":
                self.balance = data.get("balance", self.balance)
            case "call_taken":
                self._taken(call, data)
            case "call_rejected" | "call_ended":
                self._ended(call)
            case "signal":
                self._media.receive(call, data)

    def _incoming(self, snapshot: Json, *, ring: bool) -> None:
        """Ring, unless this is old news or too late."""
        call = self._view(snapshot["id"], "callee")
        if call.rev > snapshot["rev"]:
            return
        call.apply(snapshot)
        call.you = "ringing"
        if self.call is None or not self.call.live:
            self.call = call
        if ring and snapshot["expiresAt"] - self.wire.now_ms() >= RING_LEFT_MIN_MS:
            self._spawn(self.wire.command("call_ringing", call=call.id))

    def _ended(self, call: CallView) -> None:
        self._calls.pop(call.id, None)
        if call is self.call:
            self._media.drop_soon()

    def _taken(self, call: CallView, data: Json) -> None:
        if data["leg"] != call.role:
            if self.peer is not None:
                self.peer.other_device()
        elif data["device"] != self.wire.device_id:
            call.you = "elsewhere"
            self._media.drop_soon()

    def _resync(self, welcome: Json) -> None:
        """What has become of the call while we were away: told by the events that are to come
        again, or else by the snapshot."""
        snapshot, resumed = welcome.get("call"), bool(welcome.get("resumed"))
        self._replay_to = int(welcome.get("replayTo", 0)) if resumed else 0
        if not resumed:
            self._miss(welcome)
        if not snapshot:
            return
        call = self._calls.get(snapshot["id"])
        if not resumed or call is None:
            call = self.call = self._view(snapshot["id"], snapshot["role"])
            call.rev = 0
            call.apply(snapshot)
            if call.you == "ringing":
                self._incoming(snapshot, ring=True)
        waits = self._starting and (resumed or snapshot["state"] in BEFORE_ANSWER)
        if call is self.call and snapshot["you"] == "active" and not waits:
            self._spawn(self._media.rejoin(call, snapshot, resumed=resumed))

    def _miss(self, welcome: Json) -> None:
        """A new session: our call may have ended without our hearing of it."""
        snapshot, call = welcome.get("call"), self.call
        if call is None or call.rev == 0 or call.over:
            return
        if not snapshot or snapshot["id"] != call.id:
            unknown: Json = {"reason": None, "by": None, "final": {}}
            past = [each for each in welcome["recent"] if each["id"] == call.id]
            call.update("call_ended", past[0] if past else unknown)
            self._ended(call)

    async def _send_media_state(self) -> None:
        call = self._current()
        if self.peer is not None:
            self.peer.mute(call.muted)
            self.peer.hold(call.held)
        await self.wire.command(
            "media_state", call=call.id, audio=not call.muted, video=False, hold=call.held
        )

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


def known(call: CallView, event: Event) -> bool:
    """Whether a snapshot has told of it already."""
    return event.rev is not None and event.rev <= call.rev
