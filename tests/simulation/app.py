"""What a person's app does with calls: rings, answers, talks, reports; and what it checks.

It knows only what it is told. `PROTOCOL.md` section 18 is what it follows.
"""

from typing import TYPE_CHECKING
from uuid import UUID

import msgspec

from signalling.core.revival import REVS_PER_OWNER
from tests.simulation.media import BYTES_PER_MS, Media
from tests.simulation.told import (
    Happened,
    Snap,
    View,
    read_call_ok,
    read_happened,
    read_incoming,
    read_welcome,
)

if TYPE_CHECKING:
    from tests.simulation.phone import Command, Frame, Phone

TERMINAL = ("call_ended", "call_rejected")
STATS_MS = 10_000
RING_MARGIN_MS = 3_000


class App:
    """`views` has every call that this device has heard of, `live` the one its user is in."""

    def __init__(self, phone: "Phone") -> None:
        self.phone = phone
        self.world = phone.world
        self.views: dict[UUID, View] = {}
        self.live: View | None = None
        self.sent: dict[str, bytes] = {}
        self._counting = 0
        self._joined: Media | None = None
        self._from_ms = 0  # what had flowed when this device joined

    @property
    def is_leg(self) -> bool:
        return self.live is not None and self.live.you == "active"

    # -- what is so after a welcome

    def on_welcome(self, data: msgspec.Raw) -> None:
        welcome = read_welcome(data)
        recent = {one.id for one in welcome.recent}
        for call_id in recent:
            view = self.views.get(call_id)
            if view is not None and not view.ended:
                self._let_go(view)
                view.gone = True  # The event of its end may still be on its way.
        known = self.live
        for view in self.views.values():
            if view is not known and (welcome.call is None or view.id != welcome.call.id):
                view.gone = view.gone or not view.ended
        if welcome.call is None:
            if known is not None:
                self._miss(known)
            return
        snap = welcome.call
        if snap.id in recent:
            self.world.checks.stale(self.phone)
            return
        if known is not None and known.id != snap.id:
            self._miss(known)
        view = self._take_over(snap, fresh=True)
        view.reported = False
        soon = self.phone.soon
        if view.you == "ringing":
            left_ms = 0 if snap.expires_at is None else snap.expires_at - welcome.now
            if left_ms > RING_MARGIN_MS:
                soon(100, 2_000, lambda: self._ring(view))
        elif view.you == "active":
            self._set_up(view, accepted=snap.accepted_at is not None)
        elif view.you == "canTake" and self.phone.dice.random() < 0.5:
            soon(100, 3_000, lambda: self.take(view))

    def _take_over(self, snap: Snap, *, fresh: bool = False) -> View:
        """A snapshot replaces what is known unless its `rev` is lower."""
        view = self.views.get(snap.id)
        if view is None:
            view = self.views[snap.id] = View(snap.id, snap.rev)
        if view.ended or view.gone:
            self.world.checks.revived(self.phone, view)
            view.ended = view.gone = False
        if snap.rev >= view.rev:
            view.rev, view.you, view.state = snap.rev, snap.you, snap.state
            view.gen = max(view.gen, snap.gen)
        elif fresh:  # An answer may be that of the first time.
            self.world.checks.older(self.phone, view, snap.rev)
        view.role = snap.role
        if snap.state == "ended":
            # Its terminal event follows; or has been told long ago, when it is read from the books.
            view.gone = snap.rev == 0
            return view
        if self.live is not view:
            self.live = view
            self.phone.hurry()
        return view

    # -- events

    def on_event(self, frame: "Frame") -> None:
        if frame.call is None:
            return
        if frame.type == "signal":
            self._signalled(frame)
            return
        if frame.rev is None:
            return
        if frame.type == "call_incoming":
            snap = read_incoming(frame.data).call
            known = self.views.get(snap.id)
            if known is None:
                self.views[snap.id] = View(snap.id, snap.rev)
            elif not self._follows(known, frame.rev):
                return
            view = self._take_over(snap)
            self.phone.soon(50, 2_000, lambda: self._ring(view))
            return
        found = self.views.get(frame.call)
        if found is None:
            # A call of another device of this user.
            found = self.views[frame.call] = View(frame.call, frame.rev)
            if self.live is None and frame.type not in TERMINAL:
                self.live = found
        elif not self._follows(found, frame.rev):
            return
        happened = read_happened(frame.data)
        if found.gone and frame.type not in TERMINAL:
            return  # On its way since before the welcome; the end follows.
        if frame.type in TERMINAL:
            final = happened.final
            assert final is not None
            found.settled = final["settled"]
            found.ended_ms = self.phone.now_ms
            self.world.checks.terminal(self.phone, found)
            self._over(found)
        else:
            self._react(found, frame.type, happened)

    def _follows(self, view: View, rev: int) -> bool:
        """Whether the event is new. Revisions have no gap, but where an owner begins."""
        if view.ended:
            if rev <= view.rev and view.ended_ms < self.phone.session_ms:
                return False  # Sent to the other node as well, before the device came there.
            self.world.checks.after_end(self.phone, view, rev)
            return False
        if rev <= view.rev:
            return False
        # The first revision of an owner need not be told to everybody.
        first = rev // REVS_PER_OWNER > view.rev // REVS_PER_OWNER and rev % REVS_PER_OWNER <= 2
        if rev != view.rev + 1 and not first and not view.gone:
            self.world.checks.gap(self.phone, view, rev)
        view.rev = rev
        return True

    def _react(self, view: View, kind: str, happened: Happened) -> None:
        me = happened.device == self.phone.id
        soon = self.phone.soon
        match kind:
            case "call_ringing":
                view.state = "ringing"
            case "call_accepted":
                view.state = "accepted"
                if me and not view.role:
                    view.role = "callee"  # It was asked for the other way round.
                if view.role == "callee":
                    view.you = "active" if me else "elsewhere"
                if view.you == "active":
                    self._set_up(view, accepted=True)
                self.phone.hurry()
            case "call_connected":
                view.state = "connected"
                self._plan_hang_up(view)
            case "call_reconnecting":
                view.state = "reconnecting"
                if view.you == "active" and happened.leg == view.role:
                    view.reported = False
                    soon(300, 3_000, lambda: self._report_media(view))
                elif view.role == happened.leg and self.phone.dice.random() < 0.1:
                    soon(300, 5_000, lambda: self.take(view))
            case "call_taken":
                if happened.leg != view.role:
                    return
                view.you = "active" if me else "elsewhere"
                view.reported = False
                if me:
                    self._set_up(view, accepted=True)
                else:
                    self._leave_media(view)
                self.phone.hurry()
            case _:
                pass

    def _miss(self, view: View) -> None:
        self.world.checks.missing(self.phone, view)
        self._let_go(view)
        view.gone, view.settled = True, False  # Only the event of its end says that it is.

    def _over(self, view: View) -> None:
        self._let_go(view)
        view.ended = True

    def _let_go(self, view: View) -> None:
        self._leave_media(view)
        if self.live is view:
            self.live = None
            self.phone.hurry()

    def on_answer(self, command: "Command", frame: "Frame") -> None:
        if frame.type == "error":
            if command.kind == "call_request":
                self.world.count(f"refused {msgspec.json.decode(frame.data)['code']}")
            return
        if command.kind in ("call_request", "call_accept", "call_take"):
            answer = read_call_ok(frame.data)
            snap = answer.call
            if command.kind == "call_request":
                self.world.checks.opened(self.phone, command.data, snap, answer.merged)
            view = self.views.get(snap.id)
            if view is not None and (view.ended or view.gone):
                return
            view = self._take_over(snap)
            if snap.state != "ended" and view.you == "active":
                self._set_up(view, accepted=snap.accepted_at is not None)
                self.phone.hurry()
                if command.kind == "call_request":
                    self.offer(view)
        elif command.kind == "call_end":
            assert command.call is not None
            self.world.checks.final(command.call, frame.data)

    # -- what the app does by itself

    def _ring(self, view: View) -> None:
        if (
            view.ended
            or view.gone
            or view.you != "ringing"
            or view.state not in ("requested", "ringing")
        ):
            return
        dice = self.phone.dice
        if not self.phone.pending("call_ringing", view.id):
            self.phone.ask("call_ringing", view.id)
        self.phone.soon(500, 12_000, lambda: self._decide(view, dice.random()))

    def _decide(self, view: View, roll: float) -> None:
        if (
            view.ended
            or view.gone
            or view.you != "ringing"
            or self.phone.pending("call_accept", view.id)
        ):
            return
        if roll < 0.75:
            self.phone.ask("call_accept", view.id)
        elif roll < 0.85:
            why = self.phone.dice.choice(("declined", "busy", "away"))
            self.phone.ask("call_reject", view.id, reason=why)

    def _plan_hang_up(self, view: View) -> None:
        """People talk for a while; half of them are hung up on."""
        if view.you == "active" and self.phone.dice.random() < 0.5:
            after_ms = int(self.phone.dice.expovariate(1 / 25_000)) + 500
            self.world.time.later(after_ms, lambda: self.hang_up(view))

    def hang_up(self, view: View) -> None:
        if not (view.ended or view.gone) and not self.phone.pending("call_end", view.id):
            self.phone.ask("call_end", view.id)

    def take(self, view: View) -> None:
        if not (view.ended or view.gone) and view.you != "active":
            self.phone.ask("call_take", view.id)

    # -- signalling

    def offer(self, view: View) -> None:
        if view.ended or view.gone or view.you != "active":
            return
        view.gen += 1
        sdp = f"v=0 {self.phone.id} {view.gen}"
        self.phone.ask("signal", view.id, kind="offer", gen=view.gen, sdp=sdp)
        candidates = [{"candidate": "candidate:1 1 udp 1 192.0.2.7 5 typ host"}]
        self.phone.ask("signal", view.id, kind="candidates", gen=view.gen, candidates=candidates)

    def _signalled(self, frame: "Frame") -> None:
        assert frame.call is not None
        view = self.views.get(frame.call)
        assert view is not None, "a signal of a call that is not known"
        assert view.you == "active", "a signal for who is not the leg"
        happened = read_happened(frame.data)
        view.gen = max(view.gen, happened.gen)
        if happened.kind == "offer" and self.phone.dice.random() < 0.9:
            self.phone.ask("signal", view.id, kind="answer", gen=happened.gen, sdp="v=0 answer")

    # -- media

    def _set_up(self, view: View, *, accepted: bool) -> None:
        """The device is the leg: its media is set up, once the call is answered."""
        if not accepted or view.ended:
            return
        media = self.world.media(view.id)
        if self._joined is not media:
            self._leave_media(view)
            if self.phone.dice.random() < 0.03 and self.world.faults:
                return  # This one never gets it to work.
            self._joined = media
            self._from_ms = media.flowed_ms(self.phone.now_ms)
            media.join(view.role, self.phone, self.phone.now_ms)
        self.phone.soon(100, 1_500, lambda: self._report_media(view))
        self._counting += 1
        self._count(view, self._counting)

    def _leave_media(self, view: View) -> None:
        if self._joined is not None:
            joined, self._joined = self._joined, None
            joined.leave(view.role, self.phone, self.phone.now_ms)

    def media_changed(self, flows: bool) -> None:
        view = self.live
        if view is None or self._joined is None:
            return
        if flows:
            self.phone.soon(50, 800, lambda: self._report_media(view))
        else:
            view.reported = False
            if self.phone.dice.random() < 0.5:
                self.phone.soon(500, 5_000, lambda: self._report_loss(view))

    def network_changed(self) -> None:
        if self._joined is not None:
            self._joined.look(self.phone.now_ms)

    def _report_media(self, view: View) -> None:
        if view.ended or view.gone or view.reported or view.you != "active" or not self.phone.ready:
            return
        media = self._joined
        if media is not None and media.flowing:
            if not self.phone.pending("media_connected", view.id):
                self.phone.ask("media_connected", view.id)
            view.reported = True

    def _report_loss(self, view: View) -> None:
        media = self._joined
        if view.ended or view.gone or view.you != "active" or media is None or media.flowing:
            return
        self.phone.ask("media_lost", view.id)

    def _count(self, view: View, counting: int) -> None:
        def report() -> None:
            media = self._joined
            if view.ended or view.gone or counting != self._counting or media is None:
                return
            got = BYTES_PER_MS * (media.flowed_ms(self.phone.now_ms) - self._from_ms)
            loss = self.phone.dice.choice((0.0, 0.0, 0.0, 0.2))
            self.phone.report("media_stats", view.id, inBytes=got, loss=loss)
            self._count(view, counting)

        self.world.time.later(STATS_MS, report)
