"""What went into a live call and what came out of it, for operators to read later.

Noting is on the path of every input: it keeps references to frozen values and spells nothing.
`entries` spells them, when somebody wants to read, `packed` when they are to be stored. What users
say (signalling, notes, chat) is not among it. Candidates come by the dozen: those of one side that
nothing but signals came between are one entry.
"""

import re
from collections import deque
from collections.abc import Sequence
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET

from signalling import events
from signalling.codes import By, Party
from signalling.core import effects as made
from signalling.core import inputs
from signalling.events import Event, Shape

# Of a long call the beginning and the end are kept.
FIRST_MAX = 128
LAST_MAX = 128

SERVER, MONEY, OPERATOR = "server", "money", "operator"
CANDIDATES = "candidates"
# What else than an input begins the journal of an owner.
REQUESTED, TAKEN_OVER = "call_request", "taken_over"

Value = str | int | float | bool


class Entry(Shape, frozen=True):
    """One thing that happened `at` Unix ms by the node's clock.

    `kind`: input, event, effect, or gap where `count` entries are left out; `lane`: whose it is:
    caller, callee, server, money or operator.
    """

    at: int
    lane: str
    kind: str
    name: str
    details: dict[str, Value]


class _Signal(msgspec.Struct, gc=False):
    """A signal without what it says, or `count` of them with `size` bytes in all."""

    party: Party
    kind: str
    gen: int
    size: int
    count: int = 1


class _Packed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An entry as it is stored, without the names of its fields."""

    at: int
    lane: str
    kind: str
    name: str
    details: dict[str, Value] = {}


_Noted = inputs.Input | _Signal | made.Effect | Event | str
# The fields of an entry.
_Words = tuple[int, str, str, str, dict[str, Value]]

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[_Packed]).decode
_decode_entries = msgspec.json.Decoder(list[Entry]).decode


class Journal:
    """The notes of one owner of a call. `reports` counts media reports that changed nothing."""

    __slots__ = ("_bursts", "_first", "_last", "_more", "reports")

    def __init__(self) -> None:
        self._first: list[tuple[int, Party | None, _Noted]] = []
        # An empty deque takes 600 bytes, and most calls need none.
        self._last: deque[tuple[int, Party | None, _Noted]] | None = None
        self._more = 0
        # The candidates of each side that the next ones may join.
        self._bursts: tuple[_Signal, ...] = ()
        self.reports = 0

    def __len__(self) -> int:
        """How many notes are kept."""
        return len(self._first) + min(self._more, LAST_MAX)

    @property
    def left_out(self) -> int:
        return max(0, self._more - LAST_MAX)

    def note(self, at_ms: int, given: inputs.Input | str, effects: Sequence[made.Effect]) -> None:
        """An input that the call took, and what it made of it."""
        kind = type(given)
        if kind is inputs.Signalled:
            assert isinstance(given, inputs.Signalled)
            self.note_signal(at_ms, given.party, given.kind, given.gen, len(given.data))
            return
        if not effects:
            if kind is inputs.MediaStats:
                self.reports += 1
                return
            if kind is inputs.TimerFired:
                return
        self._bursts = ()
        self._put(at_ms, None, given)
        for effect in effects:
            if type(effect) is made.Tell:
                # Other devices are told the same, and the callee what the caller is.
                if effect.but is None and (
                    effect.party is Party.CALLER or type(effect.event) is not events.CallTick
                ):
                    self._put(at_ms, effect.party, effect.event)
            elif type(effect) in _EFFECTS:
                self._put(at_ms, None, effect)

    def note_signal(self, at_ms: int, party: Party, kind: str, gen: int, size: int) -> None:
        """A signal that was relayed, or waits: not what it says, which may be 64 KiB."""
        for burst in self._bursts:
            if burst.party is party and burst.gen == gen and kind == CANDIDATES:
                burst.count += 1
                burst.size += size
                return
        signal = _Signal(party, kind, gen, size)
        self._put(at_ms, None, signal)
        if kind == CANDIDATES:
            others = [each for each in self._bursts if each.party is not party]
            self._bursts = (*others, signal)

    def _put(self, at_ms: int, party: Party | None, noted: _Noted) -> None:
        if len(self._first) < FIRST_MAX:
            self._first.append((at_ms, party, noted))
            return
        if self._last is None:
            self._last = deque(maxlen=LAST_MAX)
        self._more += 1
        self._last.append((at_ms, party, noted))

    def entries(self) -> list[Entry]:
        """What is kept, in order, with a gap where something is left out."""
        return [
            Entry(at=at_ms, lane=lane, kind=kind, name=name, details=details)
            for at_ms, lane, kind, name, details in self._spelled()
        ]

    def packed(self) -> bytes:
        """The entries as they are stored; see `unpacked`."""
        # Their details are most of it, and many have none.
        return _encode([each if each[4] else each[:4] for each in self._spelled()])

    def _spelled(self) -> list[_Words]:
        spelled = [_spell(*each) for each in self._first]
        if self._last is None:
            return spelled
        if self.left_out:
            spelled.append((self._last[0][0], SERVER, "gap", "left_out", {"count": self.left_out}))
        return spelled + [_spell(*each) for each in self._last]


def unpacked(stored: bytes) -> list[Entry]:
    """The entries of a journal that was stored, also of one from before they were packed.

    Raises:
        msgspec.ValidationError, msgspec.DecodeError: it is none.
    """
    if stored.startswith(b"[{"):
        return _decode_entries(stored)
    return [
        Entry(at=each.at, lane=each.lane, kind=each.kind, name=each.name, details=each.details)
        for each in _decode(stored)
    ]


# Attributes, each with its name on the wire.
Fields = tuple[tuple[str, str], ...]


def _wired(*names: str) -> Fields:
    return tuple((name, _wire(name)) for name in names)


def _wire(name: str) -> str:
    first, *rest = name.removesuffix("_minor").split("_")
    return first + "".join(word.capitalize() for word in rest)


# What of an event or effect is told; of inputs all but texts.
_EVENTS: dict[type[Event], Fields] = {
    events.CallIncoming: _wired(),
    events.CallRinging: _wired("device"),
    events.CallAccepted: _wired("device"),
    events.CallConnected: _wired("resumed"),
    events.CallReconnecting: _wired("leg", "why"),
    events.CallTaken: _wired("leg", "device"),
    events.CallTick: _wired("unit", "charged", "total", "status"),
    events.BalanceLow: _wired("seconds_left", "withdrawn"),
    events.CallRejected: _wired("reason", "by"),
    events.CallEnded: _wired("reason", "by"),
    events.PeerMediaState: _wired("leg", "audio", "video", "hold"),
    events.PeerQuality: _wired("leg", "quality"),
    events.WalletUpdated: _wired("reason", "earnings"),
}
_EFFECTS: dict[type[made.Effect], Fields] = {
    made.Charge: _wired("target_minor", "cover_minor", "billable_ms", "units"),
    made.Settle: _wired("target_minor", "earned_minor", "billable_ms", "units", "reason", "by"),
    made.WakeCallee: _wired(),
}
_TEXTS = frozenset({"party", "note", "data"})
_LANES: dict[type[inputs.Input], str] = {
    inputs.Rang: Party.CALLEE.value,
    inputs.Accepted: Party.CALLEE.value,
    inputs.Rejected: Party.CALLEE.value,
    inputs.Funded: MONEY,
    inputs.ChargePosted: MONEY,
    inputs.ChargeRefused: MONEY,
    inputs.Settled: MONEY,
    inputs.SettleFailed: MONEY,
}


def _spell(at_ms: int, party: Party | None, noted: _Noted) -> _Words:
    if isinstance(noted, str):
        lane = Party.CALLER.value if noted == REQUESTED else SERVER
        return at_ms, lane, "input", noted, {}
    if isinstance(noted, _Signal):
        details: dict[str, Value] = {"signal": noted.kind, "gen": noted.gen, "bytes": noted.size}
        if noted.count > 1:
            details["count"] = noted.count
        return at_ms, noted.party.value, "input", "signal", details
    if party is not None:
        assert isinstance(noted, Event)
        details = _details(noted, _EVENTS.get(type(noted), ()))
        return at_ms, party.value, "event", noted.TYPE, details
    if isinstance(noted, made.Effect):
        lane = SERVER if isinstance(noted, made.WakeCallee) else MONEY
        return at_ms, lane, "effect", _name_of(type(noted)), _details(noted, _EFFECTS[type(noted)])
    assert isinstance(noted, inputs.Input)
    details = _details(noted, _fields_of(type(noted)))
    return at_ms, _lane(noted), "input", _name_of(type(noted)), details


def _lane(given: inputs.Input) -> str:
    if isinstance(given, inputs.Stopped):
        return OPERATOR if given.by is By.ADMIN else SERVER
    party: Party | None = getattr(given, "party", None)
    return _LANES.get(type(given), SERVER) if party is None else party.value


def _details(noted: msgspec.Struct, fields: Fields) -> dict[str, Value]:
    return {
        wire: value
        for name, wire in fields
        if (value := getattr(noted, name)) is not None and value is not UNSET
    }


@cache
def _fields_of(kind: type[inputs.Input]) -> Fields:
    return _wired(*[name for name in kind.__struct_fields__ if name not in _TEXTS])


@cache
def _name_of(kind: type[Any]) -> str:
    """A class's name in wire words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()
