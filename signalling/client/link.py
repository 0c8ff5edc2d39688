"""One WebRTC connection of a leg: its sound, its figures, and strict reading of what peers send."""

import asyncio
import time
from collections.abc import Coroutine, Sequence

import msgspec
from aiortc import (
    RTCConfiguration,
    RTCIceCandidate,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.sdp import SessionDescription, candidate_from_sdp

from signalling.client.audio import Outgoing, Source
from signalling.client.envelope import Json

CANDIDATE_CHARS_MAX = 1_024
CLOSE_WAIT_S = 5.0


class PeerStats(msgspec.Struct, frozen=True):
    """Cumulative over all generations of this peer; `in_bytes` grows only while RTP arrives."""

    in_bytes: int = 0
    out_bytes: int = 0
    in_packets: int = 0
    out_packets: int = 0
    loss: float = 0
    jitter_ms: float = 0
    rtt_ms: float = 0
    relay: bool = False

    def __add__(self, other: "PeerStats") -> "PeerStats":
        return msgspec.structs.replace(
            other,
            in_bytes=self.in_bytes + other.in_bytes,
            out_bytes=self.out_bytes + other.out_bytes,
            in_packets=self.in_packets + other.in_packets,
            out_packets=self.out_packets + other.out_packets,
        )


class Link:
    """One peer connection: one generation, or several that keep its ICE credentials.

    With `relay_only` it has no candidates but those of the TURN server, so it names no address of
    this host, and sends nothing to the other side but through the relay.
    """

    def __init__(
        self,
        gen: int,
        ice_servers: Sequence[RTCIceServer],
        source: Source,
        *,
        relay_only: bool = False,
    ) -> None:
        policy = RTCIceTransportPolicy.RELAY if relay_only else RTCIceTransportPolicy.ALL
        # A list, or aiortc would ask a public STUN server of somebody else.
        self.pc = RTCPeerConnection(
            RTCConfiguration(iceServers=list(ice_servers), iceTransportPolicy=policy)
        )
        self.gen = gen
        self.outgoing = Outgoing(source)
        self.pc.addTrack(self.outgoing)
        self.began_at = time.monotonic()
        self.first_sound = asyncio.Event()
        self.flowing = False
        self.lost = False
        self.remote_ufrag = ""
        self.tasks: list[asyncio.Task[None]] = []
        self._step: asyncio.Task[None] | None = None
        self.last = PeerStats()
        self._raw_in_bytes = 0

    async def stats(self) -> PeerStats:
        raw_in = raw_out = 0
        values: dict[str, float] = {}
        for entry in (await self.pc.getStats()).values():
            if entry.type == "transport":
                raw_in, raw_out = entry.bytesReceived, entry.bytesSent
            elif entry.type == "inbound-rtp":
                values.update(
                    in_packets=entry.packetsReceived,
                    jitter_ms=entry.jitter / 48,
                    loss=max(0, entry.packetsLost)
                    / max(1, entry.packetsReceived + entry.packetsLost),
                )
            elif entry.type == "outbound-rtp":
                values["out_packets"] = entry.packetsSent
            elif entry.type == "remote-inbound-rtp":
                values["rtt_ms"] = (entry.roundTripTime or 0) * 1_000
        # RTCP alone is no evidence of sound: its bytes count only together with RTP's.
        grew = values.get("in_packets", 0) > self.last.in_packets
        in_bytes = self.last.in_bytes + (raw_in - self._raw_in_bytes if grew else 0)
        self._raw_in_bytes = raw_in
        self.last = PeerStats(
            in_bytes=in_bytes,
            out_bytes=raw_out,
            in_packets=int(values.get("in_packets", 0)),
            out_packets=int(values.get("out_packets", 0)),
            loss=min(1.0, values.get("loss", 0)),
            jitter_ms=values.get("jitter_ms", 0),
            rtt_ms=values.get("rtt_ms", 0),
            relay=self.relayed(),
        )
        return self.last

    def pair_types(self) -> tuple[str, str] | None:
        """What the chosen pair of candidates is, ours and theirs: `host`, `relay`…"""
        for transceiver in self.pc.getTransceivers():
            # aiortc has no public name for the selected pair.
            pairs = getattr(transceiver.receiver.transport.transport._connection, "_nominated", {})
            for pair in pairs.values():
                return pair.local_candidate.type, pair.remote_candidate.type
        return None

    def relayed(self) -> bool:
        """Whether the chosen pair of candidates goes through a TURN server."""
        return "relay" in (self.pair_types() or ())

    async def make_offer(self) -> str:
        await self._whole(self.pc.setLocalDescription())
        return str(self.pc.localDescription.sdp)

    async def make_answer(self, offer: str) -> str:
        given = RTCSessionDescription(sdp=offer, type="offer")
        await self._whole(self.pc.setRemoteDescription(given))
        self.remote_ufrag = ufrag_of(offer)
        return await self.make_offer()

    async def take_answer(self, answer: str) -> None:
        given = RTCSessionDescription(sdp=answer, type="answer")
        await self._whole(self.pc.setRemoteDescription(given))
        self.remote_ufrag = ufrag_of(answer)

    async def _whole(self, step: Coroutine[object, object, None]) -> None:
        """Run a step of aiortc to its end even when we are cancelled: half-done, it would leave
        sockets open behind it."""
        self._step = asyncio.create_task(step)
        await asyncio.shield(self._step)

    async def close(self) -> None:
        if self._step is not None:
            await asyncio.wait({self._step}, timeout=CLOSE_WAIT_S)
        await self.pc.close()
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


def ice_servers_of(servers: Sequence[Json]) -> list[RTCIceServer]:
    return [
        RTCIceServer(
            urls=list(server["urls"]),
            username=server.get("username"),
            credential=server.get("credential"),
        )
        for server in servers
    ]


def ufrag_of(sdp: str) -> str:
    """The ICE user fragment of an SDP's first section: the same one means the same transport."""
    ice = SessionDescription.parse(sdp).media[0].ice
    return (ice.usernameFragment or "") if ice else ""


def parse_candidate(given: object) -> RTCIceCandidate | None:
    """An `RTCIceCandidateInit` object; None for anything that is not a usable one."""
    if not isinstance(given, dict):
        return None
    line = given.get("candidate")
    if not isinstance(line, str) or not 0 < len(line) <= CANDIDATE_CHARS_MAX:
        return None
    try:
        candidate = candidate_from_sdp(line.removeprefix("candidate:"))
    except (AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError):
        return None
    if not 0 < candidate.port < 65_536:
        return None
    mid, index = given.get("sdpMid"), given.get("sdpMLineIndex")
    candidate.sdpMid = mid if isinstance(mid, str) else None
    candidate.sdpMLineIndex = index if isinstance(index, int) else None
    if candidate.sdpMid is None and candidate.sdpMLineIndex is None:
        return None
    return candidate
