"""The rules that hold at every moment, and what must be so when all is quiet."""

import gc
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from signalling.codes import State
from tests.simulation.node import LIMITS

if TYPE_CHECKING:
    from signalling.node import LiveNode
    from tests.simulation.ledger import Meter
    from tests.simulation.phone import Phone
    from tests.simulation.told import Snap, View
    from tests.simulation.world import World

LONGEST_MS = (
    LIMITS.reach_ms
    + LIMITS.ring_ms
    + LIMITS.connect_ms
    + LIMITS.duration_max_ms
    + LIMITS.grace_ms
    + LIMITS.settle_wait_ms
)
# The slack of a loss that was not yet made up for when a session began.
HEAL_MS = 8_000
OVERTAKEN_MS = 3_000


def held_by(live: "LiveNode") -> list[object]:
    def found() -> list[object]:
        return [one for refs in live.fanout._held.values() for ref in refs if (one := ref())]

    if found():
        gc.collect()  # It does not run by itself here.
    return found()


class Checks:
    """The phones tell it what they see; a broken rule raises AssertionError."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._told: dict[tuple[int, str, UUID], int] = {}
        self._finals: dict[UUID, Any] = {}
        self._requested: dict[tuple[int, str, str], UUID] = {}
        self.opened_calls: dict[UUID, int] = {}

    # -- what phones see

    def missing(self, phone: "Phone", view: "View") -> None:
        """A welcome knows nothing of a call that the phone was in: then it is over."""
        meter = self._world.ledger.opened.get(view.id)
        if meter is None:
            return
        for node in self._world.nodes:
            host = None if node.live is None else node.live.registry.find(view.id)
            if host is not None and node.epoch == meter.epoch:
                assert host.call.state is State.ENDED, ("the welcome misses the call", view.id)

    def revived(self, phone: "Phone", view: "View") -> None:
        assert not view.settled, ("a call that was over goes on", view.id)
        self._world.count("revived after an unsettled end")
        self._told.pop((phone.user_id.int, phone.id, view.id), None)

    def stale(self, phone: "Phone") -> None:
        """A welcome has a call that has ended: only who does not know yet that it was fenced."""
        assert self._is_stale(phone), "live and ended"

    def _is_stale(self, phone: "Phone") -> bool:
        """Whether its node may have lost its calls without knowing it."""
        if phone.line is None:
            return False
        node = phone.line.node
        return node.zombie or self._world.ledger.lives[node.epoch].fenced

    def older(self, phone: "Phone", view: "View", rev: int) -> None:
        assert phone.line is None or self._is_stale(phone), (view.id, view.rev, rev)

    def after_end(self, phone: "Phone", view: "View", rev: int) -> None:
        assert not view.settled, ("something after the end", view.id, rev)

    def gap(self, phone: "Phone", view: "View", rev: int) -> None:
        lost = self._world.space.lost_ms >= phone.session_ms - HEAL_MS
        zombie = self._is_stale(phone)
        world = self._world
        world.count("gaps of rev")
        if lost or zombie:
            return
        # A new owner has overtaken the last one; the device is made to ask anew.
        session_ms, known = phone.session_ms, view.rev

        def look() -> None:
            healed = phone.session_ms != session_ms or not phone.ready or view.ended or view.gone
            if not healed:
                world.failed({"exception": AssertionError(("rev", view.id, known, rev))})

        world.time.later(OVERTAKEN_MS, look)

    def terminal(self, phone: "Phone", view: "View") -> None:
        key = (phone.user_id.int, phone.id, view.id)
        self._told[key] = self._told.get(key, 0) + 1
        assert self._told[key] == 1, ("told the end twice", view.id)

    def opened(self, phone: "Phone", data: dict[str, Any], snap: "Snap", merged: bool) -> None:
        if not merged and "callId" in data:
            assert str(snap.id) == str(data["callId"])
        if snap.state != "ended":
            self.opened_calls.setdefault(snap.id, self._world.time.now_ms)

    def final(self, call_id: UUID, data: msgspec.Raw) -> None:
        final = msgspec.json.decode(data)["final"]
        if final["settled"]:
            assert self._finals.setdefault(call_id, final) == final

    # -- at every moment

    def always(self) -> None:
        seen: dict[UUID, UUID] = {}
        world = self._world
        for node in world.nodes:
            if node.live is None or node.paused or world.ledger.lives[node.epoch].fenced:
                continue
            for host in node.live.registry.hosts():
                if host.call.state is State.ENDED:
                    continue
                for user_id in host.users():
                    assert user_id not in seen, "in two live calls"
                    seen[user_id] = host.id

    # -- when all is quiet

    def rest(self) -> None:
        world, ledger = self._world, self._world.ledger
        ledger.check()
        assert not ledger.opened, ("calls left open", self.left_open())
        assert not ledger.slots
        assert not ledger.left, "handover rows are left"
        assert all(account.held == 0 for account in ledger.accounts.values())
        assert all(meter.settlements == 1 for meter in ledger.meters.values())
        for node in world.nodes:
            live = node.live
            assert live is not None, f"{node.name} is not there"
            leftovers = {
                "hosts": len(live.registry),
                "guests": [str(guest) for guest in live.guests.all()],
                "followed": list(live.fanout._followed),
                "places": list(live.circle._places),
                "asked": list(live.exchange._asked),
                "forwarded": list(live.visits._forwarder._waiting),
                "held": held_by(live),
                "tasks": len(live.desk._tasks) + len(live.visits._tasks),
            }
            left = {name: found for name, found in leftovers.items() if found}
            assert not left, (node.name, left)
        for phone in world.all_phones():
            assert phone.ready, "a phone cannot connect"
            assert phone.app.live is None, ("believes in a call", phone.user_id, phone.id)
            assert not phone.outbox, ("unanswered", [one.raw for one in phone.outbox.values()])
        for call_id, meter in ledger.meters.items():
            self._check_call(call_id, meter)

    def left_open(self) -> list[tuple[Any, ...]]:
        world = self._world
        found = []
        for call_id, meter in world.ledger.opened.items():
            hosts = [
                (node.name, host.call.state.value)
                for node in world.nodes
                if node.live is not None and (host := node.live.registry.find(call_id)) is not None
            ]
            life = world.ledger.lives[meter.epoch]
            found.append((str(call_id), meter.state, life.name, meter.epoch, life.fenced, hosts))
        return found

    def _check_call(self, call_id: UUID, meter: "Meter") -> None:
        world, settled = self._world, meter.settled
        assert settled is not None
        skew_ms = 2 * max(abs(skew) for skew in world.skews_ms)
        asked = meter.asked
        assert settled.ended_ms - asked.created_ms <= LONGEST_MS + skew_ms + 20_000
        phones = [*world.phones[asked.caller_id], *world.phones[asked.callee_id]]
        views = [phone.app.views.get(call_id) for phone in phones]
        for phone, view in zip(phones, views, strict=True):
            if view is None:
                continue
            assert view.ended or view.gone, ("knows no end", call_id, phone.user_id, phone.id)
            if phone.session_ms + 1_000 < asked.created_ms - world.start_ms - skew_ms:
                # Connected all the time: it was told the end.
                told = self._told.get((phone.user_id.int, phone.id, call_id), 0)
                assert told == 1, ("not told the end", call_id, phone.user_id, phone.id)
        if meter.connected_ms is None:
            assert meter.charged == 0
            return
        if asked.connect_on != "media":
            return
        media = world.media(call_id)
        flowed_ms = media.flowed_ms(world.time.now_ms)
        stops = media.stops + len(meter.owners)
        # What a report may say too late, and the time after the last one that is believed.
        slack_ms = stops * (LIMITS.stats_ms + LIMITS.evidence_ms) + 60_000
        assert meter.billable_ms <= flowed_ms + slack_ms, (
            "billed more than what flowed",
            call_id,
            meter.billable_ms,
            flowed_ms,
            stops,
        )
