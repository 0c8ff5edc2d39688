"""The sound of a phone: one peer at a time, what the server is told of it, and what it takes for
the sound to outlive a lost socket."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path

from signalling.client.audio import Sink, Source
from signalling.client.envelope import Json
from signalling.client.peer import MediaChange, Peer
from signalling.client.view import CallView
from signalling.client.wire import Wire

HELD_SIGNALS_MAX = 64
BEFORE_ANSWER = frozenset({"requested", "ringing"})
TALKING = frozenset({"connected", "reconnecting"})

Spawn = Callable[[Coroutine[object, object, object]], "asyncio.Task[None]"]


class Media:
    """`spawn` runs something in the background; its owner ends what is left of it.

    `audio` makes the sound to send, anew for every call; `record` is a WAV for the sound that
    comes; `relay_only` is for TURN and nothing else.
    """

    def __init__(
        self,
        wire: Wire,
        spawn: Spawn,
        *,
        audio: Callable[[], Source],
        record: Path | None,
        stats_s: float,
        relay_only: bool,
    ) -> None:
        self.peer: Peer | None = None
        self.sink = Sink()
        self._wire = wire
        self._spawn = spawn
        self._audio = audio
        self._record = record
        self._stats_s = stats_s
        self._relay_only = relay_only
        self._source: Source | None = None
        self._call_id = ""
        self._signals: list[tuple[str, Json]] = []
        self._stats: asyncio.Task[None] | None = None
        self.drops: set[asyncio.Task[None]] = set()
        # Building and dropping wait for aiortc; one at a time.
        self._lock = asyncio.Lock()

    async def start(self, call: CallView, ice_servers: list[Json], gen: int = 0) -> None:
        """Media for this call; `gen` is the newest generation so far. The caller offers, and
        whoever comes into a call that has offers already."""
        async with self._lock:
            if self.peer is None or self._call_id != call.id:
                await self._start(call, ice_servers, gen)

    async def start_anew(self, call: CallView, ice_servers: list[Json], gen: int) -> None:
        """As `start`, whatever media there is."""
        async with self._lock:
            await self._start(call, ice_servers, gen)

    def receive(self, call: CallView, signal: Json) -> None:
        """A signal of the other leg; early ones wait for `start`."""
        if self.peer is not None and self._call_id == call.id:
            self.peer.receive(signal)
        elif len(self._signals) < HELD_SIGNALS_MAX:
            self._signals.append((call.id, signal))

    async def rejoin(self, call: CallView, snapshot: Json, *, resumed: bool) -> None:
        """After a welcome in which this device is the leg: say whether its media still flows,
        and mend or build anew what does not.

        A resumed session has lost no signal, so what is under way goes on by itself.
        """
        async with self._lock:
            gen, state = int(snapshot["gen"]), str(snapshot["state"])
            peer = self.peer if self._call_id == call.id else None
            if call.over:
                return
            if peer is None:
                answer = await self._wire.command("ice_servers", call=call.id)
                await self._start(call, answer["iceServers"], gen)
            elif peer.flowing:
                await self.confirm(call)
            elif state in TALKING:
                seen = max(1, gen, peer.gen)
                await self._wire.command("media_lost", call=call.id, gen=seen, why="ice")
                if resumed:
                    peer.expect_offer()
                else:
                    peer.restart(gen)
            elif resumed:
                return
            elif gen < peer.gen:
                # It may have lost what was offered, and nobody has media from it yet.
                peer.reset(gen, offer=call.role == "caller" or gen > 0)
            elif state not in BEFORE_ANSWER and gen > 0:
                peer.restart(gen)  # An answer or candidates may have been lost on the way.

    async def confirm(self, call: CallView) -> None:
        """Say again that media flows, if it does."""
        if self.peer is not None and self.peer.flowing and self._call_id == call.id:
            await self._wire.command("media_connected", call=call.id, gen=self.peer.gen)

    def drop_soon(self) -> None:
        drop = self._spawn(self.drop())
        self.drops.add(drop)
        drop.add_done_callback(self.drops.discard)

    async def drop(self) -> None:
        async with self._lock:
            await self._drop()

    async def _drop(self) -> None:
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

    async def _start(self, call: CallView, ice_servers: list[Json], gen: int) -> None:
        await self._drop()
        if call.over:
            return
        self._source = self._audio()
        self.sink = Sink(self._record)
        self._call_id = call.id

        def send(signal: Json) -> Awaitable[Json]:
            return self._wire.command("signal", call=call.id, **signal)

        def on_media(change: MediaChange) -> None:
            self._changed(call, change)

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
        self.peer.mute(call.muted)
        self.peer.hold(call.held)
        if gen or call.role == "caller":
            self.peer.offer()
        waiting, self._signals = self._signals, []
        for call_id, signal in waiting:
            if call_id == call.id:
                self.peer.receive(signal)

    def _changed(self, call: CallView, change: MediaChange) -> None:
        if call.over:
            return
        if not change.flowing:
            lost = self._wire.command("media_lost", call=call.id, gen=change.gen, why="ice")
            self._spawn(lost)
            return
        facts = {"gen": change.gen, "relay": change.relay, "ms": change.ms}
        self._spawn(self._wire.command("media_connected", call=call.id, **facts))
        if self._stats is None:
            self._stats = self._spawn(self._report_stats(call))

    async def _report_stats(self, call: CallView) -> None:
        """The evidence that media flows: without it the meter stops."""
        while self.peer is not None:
            stats = await self.peer.stats()
            self._wire.report(
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
