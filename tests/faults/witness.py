"""What a device is told, checked frame by frame against what the protocol promises."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

Json = dict[str, Any]
TERMINAL = ("call_ended", "call_rejected")
ANSWERS_MAX = 4_000
# A node that takes a call over goes on far above what the last one may have reached.
REVS_PER_OWNER = 1_000_000
# An event or two at the beginning may have been for the other side only.
LANDED_MAX = 3
TRAIL = 8


class Jump(NamedTuple):
    """A call that was told to go on under an owner who did not get it from the last one.

    `since_s` is when the call was first heard of; both times are of the monotonic clock.
    """

    call: str
    since_s: float
    at_s: float


def _owner(rev: int) -> int:
    return rev // REVS_PER_OWNER


class Told:
    """What one device knows of one call. `total` and `unit` are those of its last tick."""

    def __init__(self) -> None:
        self.rev: int | None = None
        # Of the highest `rev`, through all sockets; None until there was one.
        self.owner: int | None = None
        self.since_s = time.monotonic()
        self.end: Json | None = None
        self.total = 0
        self.unit = 0
        # Ticks of this socket follow each other; one that was missed with a socket is in `total`.
        self.fresh = True


class Witness:
    """Of one device, through all of its sockets. `leg` is False for one that never takes part.

    `fault` is given a sentence for each broken promise; `jumps` are for somebody to judge who knows
    which nodes have died. Error codes in `forgiven` are part of the fault that is being tried.
    """

    def __init__(self, name: str, fault: Callable[[str], None], *, leg: bool = True) -> None:
        self.name = name
        self.calls: dict[str, Told] = {}
        self.finals: dict[str, list[Json]] = {}
        self.frames = 0
        self.repeated = 0
        self.jumps: list[Jump] = []
        self.forgiven: set[str] = set()
        self.resumed = 0
        # Where parcels between nodes are lost, a hole is no fault if a new session mends it, or if
        # it is the call's end that was told.
        self.lossy = False
        self.holes: list[str] = []
        self._fault = fault
        self._leg = leg
        self._seq = 0
        self._sockets = 0
        self._trail: deque[str] = deque(maxlen=TRAIL)
        self._answers: dict[str, tuple[int, tuple[object, ...]]] = {}

    def heard(self, frame: Json) -> None:
        self.frames += 1
        kind = frame["type"]
        if kind != "pong":
            self._trail.append(f"{kind} {frame.get('seq', '')}/{frame.get('rev', '')}")
        if kind in ("ok", "error"):
            self._answer(frame)
        elif kind == "welcome":
            self._welcome(frame)
        elif kind != "pong":
            self._event(frame)

    def _blame(self, text: str) -> None:
        self._fault(f"{self.name}: {text} [{', '.join(self._trail)}]")

    def _told(self, call: str) -> Told:
        return self.calls.setdefault(call, Told())

    def _welcome(self, frame: Json) -> None:
        self._sockets += 1
        data = frame["data"]
        if data.get("resumed"):
            # It repeats the last number we have; what was missed follows.
            self.resumed += 1
            if frame.get("seq") != self._seq:
                self._blame(f"a resumed welcome has seq {frame.get('seq')}, not {self._seq}")
        else:
            if frame.get("seq") != 1:
                self._blame(f"welcome has seq {frame.get('seq')}")
            self._seq = 1
            self.holes.clear()
            for told in self.calls.values():
                told.rev, told.fresh = None, True
        live = data.get("call")
        if live is not None:
            # Before what is replayed, it says what is so after that.
            self._snapshot(live, force=not data.get("resumed"), ahead=bool(data.get("resumed")))
        for past in data.get("recent", ()):
            if past.get("final"):
                self._final(past["id"], past["final"])

    def _snapshot(self, call: Json, *, force: bool = False, ahead: bool = False) -> None:
        told = self._told(call["id"])
        if told.end is not None and call["state"] != "ended" and force:
            self._blame(f"call {call['id']} lives again after its end")
        if force or (told.rev is None and not ahead):
            told.rev = call["rev"]
            self._owned(call["id"], told, call["rev"])
        if call.get("final"):
            self._final(call["id"], call["final"])

    def _owned(self, call: str, told: Told, rev: int) -> None:
        owner = _owner(rev)
        if told.owner is not None and owner > told.owner:
            self.jumps.append(Jump(call, told.since_s, time.monotonic()))
        told.owner = max(told.owner or 0, owner)

    def _final(self, call: str, final: Json) -> None:
        if final.get("settled", True):
            kept = self.finals.setdefault(call, [])
            if final not in kept:
                kept.append(final)

    def _event(self, frame: Json) -> None:
        kind, seq = frame["type"], frame.get("seq")
        if seq is not None:
            if seq != self._seq + 1:
                self._blame(f"{kind} has seq {seq} after {self._seq}")
            self._seq = seq
        call = frame.get("call")
        if call is None:
            return
        if kind == "signal" and not self._leg:
            self._blame(f"a signal of call {call}, and this device is no leg")
        rev = frame.get("rev")
        if rev is None:
            return
        told = self._told(call)
        data = frame["data"]
        if told.end is not None:
            unsure = told.end.get("final") and told.end["final"].get("settled") is False
            if not (unsure and kind in TERMINAL):
                self._blame(f"{kind} of call {call} after its end")
        if told.rev is not None and rev != told.rev + 1:
            jumped = _owner(rev) > _owner(told.rev) and rev % REVS_PER_OWNER <= LANDED_MAX
            if self.lossy and not jumped and rev > told.rev:
                told.fresh = True
                if kind not in TERMINAL:
                    self.holes.append(f"{kind} of call {call} has rev {rev} after {told.rev}")
            elif not jumped:
                self._blame(f"{kind} of call {call} has rev {rev} after {told.rev}")
        told.rev = rev
        self._owned(call, told, rev)
        if kind == "call_tick":
            self._tick(call, told, data)
        elif kind in TERMINAL:
            told.end = data
            if data.get("final"):
                self._final(call, data["final"])
                if data["final"].get("settled", True) and data["final"]["total"] < told.total:
                    self._blame(f"call {call} ends at {data['final']['total']} < {told.total}")

    def _tick(self, call: str, told: Told, data: Json) -> None:
        total, unit, charged = data["total"], data["unit"], data["charged"]
        if unit <= told.unit or total < told.total:
            self._blame(f"call {call}: tick {unit}/{total} after {told.unit}/{told.total}")
        elif not told.fresh and total != told.total + charged:
            self._blame(f"call {call}: {told.total} and {charged} make {total}")
        told.total, told.unit, told.fresh = total, unit, False

    def _answer(self, frame: Json) -> None:
        name = frame.get("re")
        if name is None:
            return
        data = frame["data"]
        internal = frame["type"] == "error" and data.get("code") == "internal"
        if internal and "internal" not in self.forgiven:
            self._blame(f"internal error, incident {data.get('incident')}")
        if frame["type"] == "error" and data.get("code") in ("unavailable", "rate_limited"):
            return  # Not remembered: the same id may be tried again.
        call = data.get("call")
        call_id = call["id"] if isinstance(call, dict) else call
        if frame["type"] == "ok" and isinstance(call, dict):
            self._snapshot(call)
        if frame["type"] == "ok" and data.get("final"):
            self._final(str(call_id), data["final"])
        essence = (frame["type"], data.get("code"), call_id, str(data.get("final")))
        before = self._answers.get(name)
        if before is None:
            if len(self._answers) >= ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._answers[name] = (self._sockets, essence)
            return
        self.repeated += 1
        # Another life of the server, or another node, need not remember: only calls are the same.
        same_socket = before[0] == self._sockets
        both_ok = before[1][0] == essence[0] == "ok"
        if essence[:3] != before[1][:3] and (same_socket or both_ok):
            self._blame(f"{name} was answered {before[1]} and then {essence}")
