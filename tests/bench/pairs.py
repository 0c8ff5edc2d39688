"""A caller and a callee on two sockets who make whole calls, driven by what arrives.

The offer follows the answer of the callee, and each candidate the one before it from the other
side, so that every signal is a packet of its own; with `burst` each side sends its ten at once.
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable

from signalling.limits import RATES
from tests.bench.lab import Login
from tests.bench.line import Line, framed

CANDIDATES = 10
# Frames of each side: the caller's request, offer, candidates, media, end; the callee's alike.
FRAMES_A_CALL = 4 + CANDIDATES
_SPAN_S = RATES["frames"].burst * RATES["frames"].every_ms / 1_000
_COST_S = FRAMES_A_CALL * RATES["frames"].every_ms / 1_000

SDP = "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n" + "a=rtpmap:111 opus\\r\\n" * 50
_SDP = '{"type":"signal","call":"%%b","data":{"kind":"%s","gen":1,"sdp":"' + SDP + '"}}'
OFFER, ANSWER = (_SDP % "offer").encode(), (_SDP % "answer").encode()
# Relayed, it is a frame of about 300 bytes.
CANDIDATE = (
    b'{"type":"signal","call":"%b","data":{"kind":"candidates","gen":1,"candidates":[{"candidate":'
    b'"candidate:1 1 udp 2130706431 192.0.2.10 50000 typ host generation 0","sdpMid":"0",'
    b'"sdpMLineIndex":0}]}}'
)
# Where only the length of an id matters.
ID_EXAMPLE = b"0192f1a0-5b7c-7d3e-8f90-a1b2c3d4e5f6"
REQUEST = b'{"type":"call_request","id":"r%d","data":{"toUserId":"%b"}}'
_RINGING = b'{"type":"call_ringing","id":"g%d","call":"%b"}'
ACCEPT = b'{"type":"call_accept","id":"a%d","call":"%b"}'
MEDIA = b'{"type":"media_connected","id":"m%d","call":"%b"}'
END = b'{"type":"call_end","id":"e%d","call":"%b"}'


class Tally:
    """What all pairs of one phase write down. Times in milliseconds."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.done = 0

    def note(self, what: str, since_s: float) -> None:
        self.times[what].append((time.perf_counter() - since_s) * 1_000)


class Pair:
    """One call at a time. `stay` leaves it connected; `relay` counts what then goes through it."""

    def __init__(self, caller: Line, callee: Line, callee_login: Login) -> None:
        self.caller = caller
        self.callee = callee
        self.tally = Tally()
        self.burst = False
        self.stay = False
        self.call = b""
        self.arrived: dict[bool, Callable[[float], None]] = {}  # By whether the caller has sent it.
        self.sent_s: tuple[deque[float], deque[float]] = (deque(), deque())
        self._callee_id = str(callee_login.user_id).encode()
        self._number = 0
        self._done: Callable[[Pair], None] = lambda _: None
        self._full_s = 0.0
        self._left = 0
        self._got = [0, 0]
        self._at_s = 0.0
        self._hop_s = 0.0
        self._media_s = 0.0
        self._candidate = b""
        caller.on_frame = self._to_caller
        callee.on_frame = self._to_callee

    def may_begin(self, now_s: float) -> bool:
        """Whether the server's bucket of frames has room for a whole call of each device."""
        return max(self._full_s, now_s) + _COST_S - now_s <= _SPAN_S

    def begin(self, tally: Tally, done: Callable[["Pair"], None]) -> None:
        now_s = time.perf_counter()
        self._full_s = max(self._full_s, now_s) + _COST_S
        self.tally, self._done = tally, done
        self._number += 1
        self._got = [0, 0]
        self._left = 3  # The end as each side hears of it, and the answer to the command.
        self._at_s = now_s
        self.caller.send(REQUEST % (self._number, self._callee_id))

    def relay(self, from_caller: bool) -> None:
        """Send one candidate through the live call."""
        self.sent_s[from_caller].append(time.perf_counter())
        (self.caller if from_caller else self.callee).write(self._candidate)

    def _to_caller(self, frame: bytes) -> None:
        kind = frame[9 : frame.index(b'"', 9)]
        if kind == b"signal":
            if self.arrived:
                self._arrived(from_caller=False)
            else:
                self._signal(frame, callee=False)
        elif kind == b"call_accepted":
            self.tally.note("accept", self._at_s)
            self._hop_s = time.perf_counter()
            self.caller.send(OFFER % self.call)
            if self.burst:
                self._send_all(self.caller)
        elif kind == b"call_tick":
            self.tally.note("tick", self._media_s)
            if self.stay:
                self._finish()
            else:
                self._at_s = time.perf_counter()
                self.caller.send(END % (self._number, self.call))
        elif kind == b"call_ended":
            self._step()
        elif kind == b"ok":
            if frame.startswith(b'{"type":"ok","re":"e'):
                self._step()
        elif kind in (b"error", b"call_rejected"):
            self._fail(frame)

    def _to_callee(self, frame: bytes) -> None:
        kind = frame[9 : frame.index(b'"', 9)]
        if kind == b"signal":
            if self.arrived:
                self._arrived(from_caller=True)
            else:
                self._signal(frame, callee=True)
        elif kind == b"call_incoming":
            self.tally.note("ring", self._at_s)
            at = frame.index(b'"call":"') + 8
            self.call = frame[at : at + 36]
            self._candidate = framed(CANDIDATE % self.call)
            self.callee.send(_RINGING % (self._number, self.call))
        elif kind == b"call_ringing":
            self._at_s = time.perf_counter()
            self.callee.send(ACCEPT % (self._number, self.call))
        elif kind == b"call_ended":
            self.tally.note("end", self._at_s)
            self._step()
        elif kind in (b"error", b"call_rejected"):
            self._fail(frame)

    def _signal(self, frame: bytes, *, callee: bool) -> None:
        """Offer, answer, then candidates to and fro until both sides have had ten."""
        line = self.callee if callee else self.caller
        if not self.burst:
            self.tally.note("relay", self._hop_s)
        if b'"sdp"' in frame:
            if callee:
                self._hop_s = time.perf_counter()
                line.send(ANSWER % self.call)
                if self.burst:
                    self._send_all(line)
            elif not self.burst:
                self._hop(line)
            return
        self._got[callee] += 1
        last = self._got[callee] == CANDIDATES
        if not self.burst and (callee or not last):
            self._hop(line)
        if last:
            self._media_s = time.perf_counter()
            line.send(MEDIA % (self._number, self.call))

    def _hop(self, line: Line) -> None:
        self._hop_s = time.perf_counter()
        line.write(self._candidate)

    def _send_all(self, line: Line) -> None:
        for _ in range(CANDIDATES):
            line.write(self._candidate)

    def _arrived(self, *, from_caller: bool) -> None:
        sent_s = self.sent_s[from_caller].popleft()
        self.arrived[from_caller]((time.perf_counter() - sent_s) * 1_000)

    def _step(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._finish()

    def _finish(self) -> None:
        self.tally.done += 1
        self._done(self)

    def _fail(self, frame: bytes) -> None:
        at = frame.find(b'"code":"') + 8
        code = frame[at : frame.index(b'"', at)] if at > 8 else frame[:40]
        self.tally.errors[code.decode()] += 1
        self._done(self)
