"""A device: it hears events, checks their order, and reacts as an app would, late or not at all."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from signalling.calls.host import Cause, Host
from signalling.codes import Refused, State
from signalling.core import inputs
from signalling.core.model import leg_of
from signalling.frames import Encoded, finish

if TYPE_CHECKING:
    from tests.simulation.world import World

TERMINAL = ("call_ended", "call_rejected")
STATS_MS = 10_000
BYTES_PER_MS = 10


class Phone:
    """`revs` has the last revision of each call that this socket knows the order of."""

    def __init__(self, world: "World", user_id: UUID, name: str) -> None:
        self.user_id = user_id
        self.id = name
        self.connected = True
        self.in_call = False
        self.revs: dict[UUID, int] = {}
        self.ends: dict[UUID, int] = {}
        self.since_ms = world.loop.clock()
        self._world = world
        self._seq = 0

    # -- what the server sends

    def send(self, event: Encoded, re: str | None = None) -> None:
        if not self.connected:
            return
        self._seq += 1
        raw = finish(event, self._seq, re)
        self._world.trace(f"{self.user_id.int} {self.id} {raw.decode()}")
        frame = msgspec.json.decode(raw)
        if "call" not in frame:
            return
        call_id = UUID(frame["call"])
        if frame["type"] == "signal":
            self._check_leg(call_id)
        if "rev" in frame:
            self._check_rev(call_id, frame["rev"], frame["type"])
        if frame["type"] in TERMINAL:
            self.ends[call_id] = self.ends.get(call_id, 0) + 1
            assert self.ends[call_id] == 1, "told the end twice"
        self._react(frame["type"], call_id, frame["data"])

    def _check_leg(self, call_id: UUID) -> None:
        host = self._world.registry.find(call_id)
        assert host is not None
        assert leg_of(host.call, host.party(self.user_id)).device == self.id

    def _check_rev(self, call_id: UUID, rev: int, kind: str) -> None:
        assert call_id not in self.ends, "something after the end"
        if call_id in self.revs:
            assert rev == self.revs[call_id] + 1, (kind, rev, self.revs[call_id])
        self.revs[call_id] = rev

    # -- sockets

    def lose_socket(self) -> None:
        """The server notices after a while."""
        if not self.connected:
            return
        self.connected = False
        self.revs.clear()
        self._world.soon(0, 15_000, self._noticed)
        self._world.soon(100, 60_000, self.reconnect)

    def _noticed(self) -> None:
        if not self.connected:
            self._world.actions.socket_lost(self._world.device(self), bye=False)

    def reconnect(self) -> None:
        if self.connected:
            return
        self.connected = True
        self.since_ms = self._world.loop.clock()
        world = self._world
        live = world.actions.live_call(self.user_id, self.id)
        if live is not None:
            self.revs[live.id] = live.rev
        world.actions.socket_back(world.device(self))
        if live is None:
            return
        if live.you == "active" and live.accepted_at is not None:
            world.soon(100, 3_000, self.report_media, live.id)
        elif live.you == "ringing":
            world.soon(100, 3_000, self._rang, live.id)
        elif live.you == "canTake" and world.dice.random() < 0.5:
            world.soon(100, 3_000, self.take, live.id)

    # -- what the app does

    def _react(self, kind: str, call_id: UUID, data: dict[str, Any]) -> None:
        world = self._world
        match kind:
            case "call_incoming":
                world.soon(50, 3_000, self._rang, call_id)
                world.soon(3_000, 28_000, self._decide, call_id)
            case "call_accepted" if not data["elsewhere"] and self._is_leg(call_id):
                world.soon(100, 4_000, self.report_media, call_id)
                world.soon(STATS_MS, STATS_MS, self.report_stats, call_id)
            case "call_reconnecting" if self._is_leg(call_id):
                world.soon(500, 40_000, self.report_media, call_id)
            case "call_taken" if data["device"] == self.id:
                world.soon(100, 2_000, self.report_media, call_id)
                world.soon(STATS_MS, STATS_MS, self.report_stats, call_id)
            case "signal" if data["kind"] == "offer":
                world.soon(20, 500, self.signal, call_id, "answer")
            case _:
                pass

    def feed(self, call_id: UUID, make: Any) -> None:
        """Send one frame: it may be lost, or come twice."""
        world = self._world
        if not self.connected or (world.faults and world.dice.random() < 0.05):
            return
        times = 2 if world.faults and world.dice.random() < 0.1 else 1
        for _ in range(times):
            host = world.registry.find(call_id)
            if host is None or host.call.state is State.ENDED:
                refusal = world.actions.over(self.user_id, call_id)
                assert refusal.code.value in ("call_over", "not_found")
                return
            self._give(host, make(host.party(self.user_id)))

    def _give(self, host: Host, given: inputs.Input) -> None:
        try:
            host.feed(given, Cause(self.user_id, self.id, "1"))
        except Refused:
            self._world.refusals += 1

    def _rang(self, call_id: UUID) -> None:
        self.feed(call_id, lambda _: inputs.Rang(self.id))

    def _decide(self, call_id: UUID) -> None:
        roll = self._world.dice.random()
        if roll < 0.7:
            self.feed(call_id, lambda _: inputs.Accepted(self.id))
        elif roll < 0.8:
            self.feed(call_id, lambda _: inputs.Rejected("busy", "not now"))

    def report_media(self, call_id: UUID) -> None:
        if self._is_leg(call_id) and self._world.dice.random() < 0.95:
            self._world.network(call_id).turn(True)
            self.feed(call_id, lambda party: inputs.MediaConnected(party, self.id))

    def report_stats(self, call_id: UUID) -> None:
        if not self._is_leg(call_id):
            return
        carried = BYTES_PER_MS * self._world.network(call_id).carried_ms()
        loss = self._world.dice.choice((0.0, 0.0, 0.2))
        self.feed(
            call_id,
            lambda party: inputs.MediaStats(party, self.id, carried, 30.0, loss, 2.0),
        )
        self._world.soon(STATS_MS, STATS_MS, self.report_stats, call_id)

    def lose_media(self, call_id: UUID) -> None:
        self.feed(call_id, lambda party: inputs.MediaLost(party, self.id, "ice"))

    def take(self, call_id: UUID) -> None:
        self.feed(call_id, lambda party: inputs.Took(party, self.id))

    def signal(self, call_id: UUID, kind: Any) -> None:
        host = self._world.registry.find(call_id)
        if host is None:
            return
        gen = max(1, host.call.talk.gen + (kind == "offer"))
        data = b'{"kind":"%b","gen":%d}' % (kind.encode(), gen)
        self.feed(call_id, lambda party: inputs.Signalled(party, self.id, kind, gen, data))

    def _is_leg(self, call_id: UUID) -> bool:
        host = self._world.registry.find(call_id)
        if host is None or host.call.state is State.ENDED:
            return False
        leg = leg_of(host.call, host.party(self.user_id))
        return leg.device == self.id and (
            host.call.accepted_ms is not None or leg is host.call.caller
        )


class Network:
    """What media really flows between the legs of one call."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._since_ms: int | None = None
        self._total_ms = 0

    def turn(self, on: bool) -> None:
        self._total_ms = self.carried_ms()
        self._since_ms = self._world.loop.clock() if on else None

    def carried_ms(self) -> int:
        if self._since_ms is None:
            return self._total_ms
        return self._total_ms + self._world.loop.clock() - self._since_ms
