"""The WebRTC half of a call: offers, answers and candidates in, sound through, figures out.

A generation (`gen`) is one offer and its answer. Every generation but a plain renegotiation gets a
connection of its own, so an ICE restart, a roll-back and a new device on the other side are all the
same thing here: build again. aiortc does not trickle, its SDP holds every candidate; candidates
that the other side trickles are taken.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from aiortc.mediastreams import MediaStreamTrack

from signalling.client.audio import Sink, Source
from signalling.client.envelope import CommandRefused, Json, WireStopped
from signalling.client.link import Link, PeerStats, ice_servers_of, parse_candidate, ufrag_of

HELD_MAX = 64
OFFER_WAIT_S = 3.0

SendSignal = Callable[[Json], Awaitable[Json]]

log = logging.getLogger(__name__)


class MediaChange(msgspec.Struct, frozen=True):
    """Media of generation `gen` began to flow (`ms` after its offer or answer) or was lost."""

    flowing: bool
    gen: int
    ms: int = 0
    relay: bool = False


class Peer:
    """The media of one leg. Signals are worked off one after the other, in the order they came.

    `send` sends the `data` of a `signal` command and returns its answer. `on_media` is told when
    sound really arrives, and when it is lost; after a loss the peer offers again by itself.
    The caller's peer is impolite: where offers cross, its own wins.
    """

    def __init__(
        self,
        send: SendSignal,
        on_media: Callable[[MediaChange], None],
        *,
        polite: bool,
        source: Source,
        sink: Sink,
        ice_servers: Sequence[Json] = (),
        gen: int = 0,
        relay_only: bool = False,
    ) -> None:
        self.gen = gen
        self.polite = polite
        self.muted = False
        self.held = False
        self.faults: list[str] = []
        self._send = send
        self._on_media = on_media
        self._source = source
        self._sink = sink
        self._ice_servers = ice_servers_of(ice_servers)
        self._relay_only = relay_only
        self._link: Link | None = None
        self._offering = False
        self._answered = False
        self._taken = 0  # the newest offer of ours that the server has taken
        self._ignoring = False
        self._held: list[Json] = []
        self._total = PeerStats()
        self._inbox: asyncio.Queue[Callable[[], Awaitable[None]]] = asyncio.Queue()
        self._worker = asyncio.create_task(self._work(), name="peer")
        self._later: asyncio.TimerHandle | None = None

    @property
    def flowing(self) -> bool:
        """Whether sound of the current generation has arrived and was not lost since."""
        return self._link is not None and self._link.flowing

    def offer(self) -> None:
        """Make a new connection and offer it as the next generation."""
        self._inbox.put_nowait(self._offer)

    def restart(self, above: int) -> None:
        """As `offer`, in a generation beyond `above` too, which the server knows of."""
        self._inbox.put_nowait(lambda: self._offer(above))

    def reset(self, gen: int, *, offer: bool) -> None:
        """The server knows of `gen` only: go back to it, and offer anew. An offer that was under
        way, and that the server takes meanwhile, stands."""
        taken = self._taken
        self._inbox.put_nowait(lambda: self._reset(gen, taken, offer=offer))

    def expect_offer(self, wait_s: float = OFFER_WAIT_S) -> None:
        """The other leg will offer again; when it does not in time, we do."""
        self._cancel_later()
        self._later = asyncio.get_running_loop().call_later(wait_s, self._offer_if_lost, self.gen)

    def other_device(self) -> None:
        """The other leg moved to another device, so this connection leads nowhere any more."""
        if self._link is not None:
            self._link.lost, self._link.flowing = True, False
        self.expect_offer()

    def receive(self, signal: Json) -> None:
        """A `signal` of the other leg: `kind`, `gen` and `sdp` or `candidates`."""
        self._inbox.put_nowait(lambda: self._signal(signal))

    def use(self, ice_servers: Sequence[Json]) -> None:
        """Fresh servers and credentials for the next generation."""
        self._ice_servers = ice_servers_of(ice_servers)

    def mute(self, muted: bool) -> None:
        self.muted = muted
        self._apply()

    def hold(self, held: bool) -> None:
        """Neither send nor play sound, but keep the media flowing."""
        self.held = held
        self._apply()

    async def stats(self) -> PeerStats:
        return self._total + (await self._link.stats()) if self._link else self._total

    async def close(self) -> None:
        self._cancel_later()
        self._worker.cancel()
        await asyncio.gather(self._worker, return_exceptions=True)
        await self._drop_link()

    def _apply(self) -> None:
        self._sink.held = self.held
        if self._link is not None:
            self._link.outgoing.muted = self.muted or self.held

    async def _work(self) -> None:
        while True:
            step = await self._inbox.get()
            try:
                await step()
            except (CommandRefused, WireStopped, TimeoutError) as refused:
                self._fault(refused)
            except Exception as fault:  # aiortc's parsers raise anything on a bad SDP.
                log.debug("signal not usable", exc_info=True)
                self._fault(fault)

    def _fault(self, fault: Exception) -> None:
        self.faults.append(f"{type(fault).__name__}: {fault}")

    async def _reset(self, gen: int, taken: int, *, offer: bool) -> None:
        if self._taken > taken:
            return
        self._cancel_later()
        await self._drop_link()
        self.gen = self._taken = gen
        self._offering = self._answered = self._ignoring = False
        if offer:
            await self._offer()

    async def _offer(self, above: int = 0) -> None:
        self._cancel_later()
        gen = max(self.gen, above) + 1
        link = await self._new_link(gen)
        await link.pc.setLocalDescription()
        self._offering, self._answered = True, False
        answer = await self._send(
            {"kind": "offer", "gen": gen, "sdp": link.pc.localDescription.sdp}
        )
        if answer.get("stale") or answer.get("superseded"):
            self.expect_offer()  # The other leg's offer is on its way to us.
            return
        self._taken = gen
        await self._send({"kind": "end", "gen": gen})

    async def _signal(self, signal: Json) -> None:
        kind, gen = signal["kind"], int(signal["gen"])
        if kind == "offer":
            await self._take_offer(gen, str(signal["sdp"]))
        elif kind == "answer" and gen == self.gen and self._offering and not self._answered:
            await self._take_answer(str(signal["sdp"]))
        elif kind in ("candidates", "end") and gen >= self.gen:
            ready = self._link is not None and self._link.remote_ufrag != ""
            if gen > self.gen or not ready:
                if len(self._held) < HELD_MAX and not (self._ignoring and gen == self.gen):
                    self._held.append(signal)
            else:
                await self._take_candidates(signal)

    async def _take_offer(self, gen: int, sdp: str) -> None:
        crossing = gen == self.gen and self._offering and not self._answered
        if crossing and not self.polite:
            self._ignoring = True  # Ours stands; candidates of theirs mean nothing to us.
            return
        if gen < self.gen or (gen == self.gen and not crossing):
            return
        ufrag = ufrag_of(sdp)
        self._cancel_later()
        link = self._link
        if link is None or crossing or link.remote_ufrag != ufrag or link.lost:
            link = await self._new_link(gen)
        link.gen = self.gen = gen
        self._offering = False
        answer = await link.make_answer(sdp)
        await self._send({"kind": "answer", "gen": gen, "sdp": answer})
        await self._send({"kind": "end", "gen": gen})
        await self._release()

    async def _take_answer(self, sdp: str) -> None:
        assert self._link is not None
        await self._link.take_answer(sdp)
        self._answered = True
        self._ignoring = False
        await self._release()

    async def _release(self) -> None:
        """Take the candidates that waited for this generation; keep those of later ones."""
        waiting, self._held = self._held, []
        for signal in waiting:
            if int(signal["gen"]) == self.gen:
                await self._take_candidates(signal)
            elif int(signal["gen"]) > self.gen:
                self._held.append(signal)

    async def _take_candidates(self, signal: Json) -> None:
        assert self._link is not None
        if signal["kind"] == "end":
            await self._link.pc.addIceCandidate(None)
        for given in signal.get("candidates") or ():
            candidate = parse_candidate(given)
            if candidate is not None:
                await self._link.pc.addIceCandidate(candidate)

    async def _new_link(self, gen: int) -> Link:
        await self._drop_link()
        link = Link(gen, self._ice_servers, self._source, relay_only=self._relay_only)
        self._link, self.gen = link, gen
        self._apply()

        @link.pc.on("track")
        def _(track: MediaStreamTrack) -> None:
            if track.kind == "audio":
                link.tasks.append(asyncio.create_task(self._sink.consume(track, link.first_sound)))

        @link.pc.on("connectionstatechange")
        def _() -> None:
            if link.pc.connectionState == "connected":
                link.tasks.append(asyncio.create_task(self._await_sound(link)))
            elif link.pc.connectionState == "failed":
                self._lost(link)

        return link

    async def _drop_link(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            with contextlib.suppress(Exception):  # The figures of a broken connection may be gone.
                await link.stats()
            self._total = self._total + link.last
            await link.close()

    async def _await_sound(self, link: Link) -> None:
        """Connected means little yet: media flows when the first sound has been decoded."""
        await link.first_sound.wait()
        if link is self._link and not link.flowing:
            link.flowing = True
            ms = int((time.monotonic() - link.began_at) * 1_000)
            self._on_media(MediaChange(True, link.gen, ms, link.relayed()))

    def _lost(self, link: Link) -> None:
        if link is not self._link or link.lost:
            return
        link.lost, link.flowing = True, False
        self._on_media(MediaChange(False, link.gen))
        # Both sides notice; to wait a little on one side spares most crossings.
        self.expect_offer(OFFER_WAIT_S if self.polite else 0)

    def _offer_if_lost(self, gen: int) -> None:
        if gen == self.gen and not self.flowing:
            self.offer()

    def _cancel_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
