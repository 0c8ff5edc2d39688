"""What the protocol promises a device, checked on every frame that comes.

The rules are those that a client can see: numbers without holes, one end and nothing after it, one
live call, no signal for who is no leg, the same answer to the same command, time that was proved.
"""

import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from signalling.client.load.measure import Violation

TRAIL = 10
# Of the many signals of a call fewer are shown beside the rest.
SIGNALS_SHOWN = 4
FRAME_CHARS_MAX = 600
CALLS_MAX = 64
ANSWERS_MAX = 512
# A node that takes a call over goes on far above what the last one may have reached.
REVS_PER_OWNER = 1_000_000
LANDED_MAX = 3
MINUTE_MS = 60_000
TERMINAL = ("call_ended", "call_rejected")
# These answers are not remembered: the same id may be tried again.
NOT_KEPT = ("unavailable", "rate_limited")

Json = dict[str, Any]
_secrets = re.compile(rb'("(?:secret|credential|token)":")[^"]*')
_object = msgspec.json.Decoder(dict[str, Any]).decode


class Heard(msgspec.Struct, gc=False):
    """A frame of the server; `data` is decoded by who needs it."""

    type: str
    seq: int | None = None
    re: str | None = None
    call: str | None = None
    rev: int | None = None
    ts: int = 0
    data: msgspec.Raw = msgspec.Raw(b"{}")

    def read(self) -> Json:
        return _object(self.data)


decode = msgspec.json.Decoder(Heard).decode


class Told:
    """What one device knows of one call. Times are of the monotonic clock, in seconds."""

    def __init__(self) -> None:
        self.rev: int | None = None
        self.accepted = False
        self.end: Json | None = None
        self.unit = 0
        self.total = 0
        # Ticks of one session follow each other; what was missed with a session is in `total`.
        self.fresh = True
        self.media_s: float | None = None
        self.tariff: Json = {}
        self.role = ""
        self.final: Json | None = None
        # A frame of it came from a snapshot: then the device may have missed what was before.
        self.partial = False


class Witness:
    """Of one device, through all of its sockets. `leg` is False for one that never takes part.

    `blame` is given each broken promise. `forget` of a call is by itself: the last `CALLS_MAX` that
    have ended are kept, to see that they stay so.
    """

    def __init__(self, name: str, blame: Callable[[Violation], None], *, leg: bool = True) -> None:
        self.name = name
        self.calls: dict[str, Told] = {}
        self.seq = 0
        self.resumes = 0
        self.lost_sessions = 0
        self.repeated = 0
        self.earned: dict[str, int] = {}
        self._blame = blame
        self._leg = leg
        self._newest = ""
        self._frames = 0
        self._trail: deque[tuple[int, bytes, bytes]] = deque(maxlen=TRAIL)
        self._signals: deque[tuple[int, bytes, bytes]] = deque(maxlen=SIGNALS_SHOWN)
        self._answers: dict[str, tuple[object, ...]] = {}

    def sent(self, frame: bytes) -> None:
        """A frame of ours, to be shown beside what came. Not for `hello`, which has the token."""
        self._remember(b">", frame)

    def heard(self, raw: bytes) -> Heard:
        """Check a frame and return it decoded.

        Raises:
            msgspec.DecodeError: it is no frame; that is a violation too.
        """
        self._remember(b"<", raw)
        try:
            frame = decode(raw)
            self.check(frame)
        except msgspec.DecodeError as fault:
            self.accuse("frames", f"a frame is not as it should be: {fault}")
            raise
        return frame

    def accuse(self, rule: str, text: str) -> None:
        frames = [
            (mark + b" " + _secrets.sub(rb"\1...", raw)).decode(errors="replace")[:FRAME_CHARS_MAX]
            for _, mark, raw in sorted((*self._trail, *self._signals))
        ]
        self._blame(Violation(rule, text, self.name, frames))

    def _remember(self, mark: bytes, raw: bytes) -> None:
        self._frames += 1
        kept = self._signals if raw.startswith(b'{"type":"signal"') else self._trail
        kept.append((self._frames, mark, raw))

    def check(self, frame: Heard) -> None:
        kind = frame.type
        if kind in ("ok", "error"):
            self._answer(frame)
        elif kind == "welcome":
            self._welcome(frame)
        elif kind != "pong":
            self._event(frame)

    def reported_media(self, call: str) -> None:
        """This device has just said that media flows."""
        told = self._told(call)
        if told.media_s is None:
            told.media_s = time.monotonic()

    def finish(self) -> None:
        """The run is over and all is quiet: every call must have been told to be."""
        for call, told in self.calls.items():
            if told.end is None and told.rev is not None:
                self.accuse("one end", f"call {call} has not ended for this device")

    # -- sessions

    def _welcome(self, frame: Heard) -> None:
        data = frame.read()
        if data.get("resumed"):
            self.resumes += 1
            if frame.seq != self.seq:
                self.accuse("seq", f"a resumed welcome has seq {frame.seq}, not {self.seq}")
        else:
            if frame.seq != 1:
                self.accuse("seq", f"welcome has seq {frame.seq}, not 1")
            self.lost_sessions += self.seq > 0
            self.seq = 1
            for told in self.calls.values():
                told.rev, told.fresh, told.partial = None, True, True
        live = data.get("call")
        # Before what is replayed, the snapshot says what is so after that.
        if live is not None and not data.get("resumed"):
            told = self._told(live["id"])
            if told.end is not None:
                self.accuse("one end", f"call {live['id']} lives again after its end")
            told.rev = None
            self._snapshot(live)
        for past in data.get("recent", ()):
            known = self.calls.get(past["id"])
            if known is not None and not data.get("resumed"):
                known.end = known.end or past
            self._final(past["id"], past.get("final"))

    def _snapshot(self, call: Json) -> None:
        told = self._told(call["id"])
        told.tariff, told.role = call["tariff"], call["role"]
        if call["state"] != "ended":
            self._newest = call["id"]
        if told.rev is None:
            told.rev = call["rev"]
            told.accepted = told.accepted or call["acceptedAt"] is not None
        self._final(call["id"], call.get("final"))

    # -- events

    def _event(self, frame: Heard) -> None:
        kind, call = frame.type, frame.call
        if frame.seq is not None:
            if frame.seq != self.seq + 1:
                self.accuse("seq", f"{kind} has seq {frame.seq} after {self.seq}")
            self.seq = frame.seq
        if call is None:
            return
        if kind == "signal":
            self._signal(call)
        elif kind == "wallet_updated":
            data = frame.read()
            if data["reason"] == "earnings" and call in self.earned:
                self.accuse("one end", f"the earnings of call {call} were told twice")
            elif data["reason"] == "earnings":
                self.earned[call] = data["earnings"]
        elif kind == "call_incoming":
            self._numbered(frame)
            self._snapshot(frame.read()["call"])
        elif frame.rev is not None:
            self._numbered(frame)

    def _signal(self, call: str) -> None:
        told = self._told(call)
        if not self._leg:
            self.accuse("legs only", f"a signal of call {call}, and this device is no leg")
        elif not told.accepted:
            self.accuse("legs only", f"a signal of call {call} before it was accepted")
        elif told.end is not None:
            self.accuse("one end", f"a signal of call {call} after its end")

    def _numbered(self, frame: Heard) -> None:
        kind, call, rev = frame.type, str(frame.call), frame.rev
        assert rev is not None
        told = self._told(call)
        if told.end is not None:
            unsure = (told.end.get("final") or {}).get("settled") is False
            if not (unsure and kind in TERMINAL):
                self.accuse("one end", f"{kind} of call {call} after its end")
        if told.rev is not None and rev != told.rev + 1:
            owner = rev // REVS_PER_OWNER
            landed = owner > told.rev // REVS_PER_OWNER and rev % REVS_PER_OWNER <= LANDED_MAX
            if not landed:
                self.accuse("rev", f"{kind} of call {call} has rev {rev} after {told.rev}")
            else:
                told.partial = True
        told.rev = rev
        if kind in TERMINAL:
            told.end = frame.read()
            self._ended(call, told)
            return
        newest = self.calls.get(self._newest)
        if newest is not None and newest is not told and newest.end is None and told.end is None:
            self.accuse("one live call", f"{kind} of call {call} beside live call {self._newest}")
        if kind == "call_accepted":
            told.accepted = True
            if not self._leg and not frame.read()["elsewhere"]:
                self.accuse("legs only", f"call {call} was accepted by another device of ours")
        elif kind == "call_tick":
            self._tick(call, told, frame.read())

    def _tick(self, call: str, told: Told, data: Json) -> None:
        unit, total, charged = data["unit"], data["total"], data["charged"]
        if unit <= told.unit or (unit != told.unit + 1 and not told.partial):
            self.accuse("ticks", f"unit {unit} of call {call} came after {told.unit}")
        elif total != told.total + charged and not (told.partial and told.fresh):
            self.accuse("ticks", f"call {call}: {told.total} and {charged} make {total}")
        told.unit, told.total, told.fresh = unit, total, False

    def _ended(self, call: str, told: Told) -> None:
        assert told.end is not None
        final = told.end["final"]
        self._final(call, final)
        if final.get("settled", True):
            self._bill(call, told, final)
        if len(self.calls) > CALLS_MAX:
            for old in [key for key, each in self.calls.items() if each.end is not None]:
                del self.calls[old]
                if len(self.calls) <= CALLS_MAX:
                    break

    def _bill(self, call: str, told: Told, final: Json) -> None:
        total, billed_ms = final["total"], final["billedSeconds"] * 1_000
        if total < told.total:
            self.accuse("ticks", f"call {call} ends at {total}, below its ticks' {told.total}")
        if not self._leg:
            return
        if told.media_s is None:
            if total and not told.partial:
                self.accuse("billed time", f"call {call} cost {total}, and no media was reported")
            return
        tariff = told.tariff
        if not tariff:
            return
        talked_ms = (time.monotonic() - told.media_s) * 1_000
        unit_ms = max(tariff["firstMs"], tariff["nextMs"])
        if billed_ms > talked_ms + unit_ms:
            self.accuse(
                "billed time", f"call {call}: {billed_ms} ms were billed of {talked_ms:.0f} ms"
            )
        plain = tariff["firstMs"] == tariff["nextMs"] and not tariff["connectFee"]
        if plain and tariff["name"] == "minute":
            due = final["units"] * tariff["pricePerMinute"] * tariff["nextMs"]
            if total * MINUTE_MS != due:
                self.accuse("ticks", f"call {call}: {final['units']} units cost {total}")

    # -- answers

    def _answer(self, frame: Heard) -> None:
        data = frame.read()
        code = data.get("code") if frame.type == "error" else None
        if code == "internal":
            self.accuse("no mistakes", f"internal error, incident {data.get('incident')}")
        if frame.re is None or code in NOT_KEPT:
            return
        call = data.get("call")
        call_id = call["id"] if isinstance(call, dict) else call
        before = self._answers.get(frame.re)
        if before is None and frame.type == "ok" and isinstance(call, dict):
            self._snapshot(call)
        if frame.type == "ok" and isinstance(call_id, str):
            self._final(call_id, data.get("final"))
        essence = (frame.type, code, call_id)
        if before is None:
            if len(self._answers) >= ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._answers[frame.re] = essence
            return
        self.repeated += 1
        if essence != before:
            self.accuse("same answer", f"{frame.re} was answered {before} and then {essence}")

    def _final(self, call: str, final: Json | None) -> None:
        """What a call came to is said once and for all."""
        told = self.calls.get(call)
        if told is None or not final or not final.get("settled", True):
            return
        if told.final is not None and told.final != final:
            self.accuse("same answer", f"call {call} came to {told.final} and then to {final}")
        told.final = final

    def _told(self, call: str) -> Told:
        found = self.calls.get(call)
        if found is None:
            found = self.calls[call] = Told()
        return found
