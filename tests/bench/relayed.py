"""The messages of a call through a server that only relays: no state, no record, no bill.

They are those of `pairs.py`, 25 between two sockets, of the same sizes and in the same two manners:
request, accept, offer, answer, ten candidates each way, end. What only a server that knows of calls
has (ringing, media, ticks) is left out, to the relay's advantage.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence

import msgspec

from tests.bench.calls import CONCURRENCY, run_calls
from tests.bench.children import Child
from tests.bench.lab import Lab, own_cpu_s
from tests.bench.line import Line, framed
from tests.bench.pairs import (
    ACCEPT,
    ANSWER,
    CANDIDATE,
    CANDIDATES,
    END,
    ID_EXAMPLE,
    OFFER,
    REQUEST,
    Tally,
)
from tests.bench.ratios import BARE, MANNERS
from tests.bench.relay import Arrived

MESSAGES_A_CALL = 5 + 2 * CANDIDATES
PAYLOAD = b'{"type":"signal","data":"' + b"x" * 273 + b'"}'
_DATA = b'"data":'


class Words(msgspec.Struct, frozen=True):
    """What one side sends, as frames ready to be written."""

    request: bytes
    accept: bytes
    offer: bytes
    answer: bytes
    candidate: bytes
    end: bytes


def words(wrap: Callable[[bytes], bytes] = bytes) -> Words:
    """The frames of a call, each as `wrap` brings it into the relay's own form."""

    def ready(frame: bytes) -> bytes:
        return framed(wrap(frame))

    return Words(
        request=ready(REQUEST % (1, ID_EXAMPLE)),
        accept=ready(ACCEPT % (1, ID_EXAMPLE)),
        offer=ready(OFFER % ID_EXAMPLE),
        answer=ready(ANSWER % ID_EXAMPLE),
        candidate=ready(CANDIDATE % ID_EXAMPLE),
        end=ready(END % (1, ID_EXAMPLE)),
    )


def data_of(frame: bytes) -> bytes:
    """The `data` of one of these frames, for relays that have an envelope of their own."""
    at = frame.find(_DATA)
    return b"{}" if at < 0 else frame[at + len(_DATA) : -1]


def _any(_frame: bytes) -> bool:
    return True


class RelayPair:
    """One call after another between two sockets. What has arrived is known by its number.

    `is_message` tells what came from the other side from what the relay itself has to say.
    """

    def __init__(
        self,
        caller: Line,
        callee: Line,
        *,
        to_callee: Words,
        to_caller: Words,
        is_message: Callable[[bytes], bool],
    ) -> None:
        self.burst = False
        self._caller = caller
        self._callee = callee
        self._to_callee = to_callee
        self._to_caller = to_caller
        self._is_message = is_message
        self._tally = Tally()
        self._done: Callable[[RelayPair], None] = lambda _: None
        self._at_caller = 0
        self._at_callee = 0
        self._at_s = 0.0
        caller.on_frame = self._caller_got
        callee.on_frame = self._callee_got

    def may_begin(self, _now_s: float) -> bool:
        return True

    def begin(self, tally: Tally, done: Callable[["RelayPair"], None]) -> None:
        self._tally, self._done = tally, done
        self._at_caller = self._at_callee = 0
        self._at_s = time.perf_counter()
        self._caller.write(self._to_callee.request)

    def close(self) -> None:
        self._caller.close()
        self._callee.close()

    def _caller_got(self, frame: bytes) -> None:
        """The acceptance, the answer, then candidates."""
        if not self._is_message(frame):
            return
        self._at_caller += 1
        if self._at_caller == 1:
            self._caller.write(self._to_callee.offer)
            if self.burst:
                self._send_all(self._caller, self._to_callee)
        elif self._at_caller == 2 + CANDIDATES:
            self._caller.write(self._to_callee.end)
        elif not self.burst:
            self._caller.write(self._to_callee.candidate)

    def _callee_got(self, frame: bytes) -> None:
        """The request, the offer, candidates, then the end."""
        if not self._is_message(frame):
            return
        self._at_callee += 1
        if self._at_callee == 1:
            self._tally.note("ring", self._at_s)
            self._callee.write(self._to_caller.accept)
        elif self._at_callee == 2:
            self._callee.write(self._to_caller.answer)
            if self.burst:
                self._send_all(self._callee, self._to_caller)
        elif self._at_callee == 3 + CANDIDATES:
            self._tally.done += 1
            self._done(self)
        elif not self.burst:
            self._callee.write(self._to_caller.candidate)

    def _send_all(self, line: Line, sent: Words) -> None:
        for _ in range(CANDIDATES):
            line.write(sent.candidate)


async def measure_relayed(lab: Lab, server: Child, pairs: Sequence[RelayPair], name: str) -> None:
    """Both manners at full load, as `calls` has them; a failure is a figure too."""
    report = lab.report
    await run_calls(pairs, lab.pick(1_000, 40), concurrency=CONCURRENCY)
    for manner, burst in MANNERS.items():
        for pair in pairs:
            pair.burst = burst
        began_s, own_s = time.perf_counter(), own_cpu_s()
        cpu_s, user_s = server.cpu_s, server.user_s
        tally = await run_calls(pairs, lab.pick(4_000, 100), concurrency=CONCURRENCY)
        spent_s, count = time.perf_counter() - began_s, max(1, tally.done)
        cpu_s, user_s = max(server.cpu_s - cpu_s, 0.01), server.user_s - user_s
        label = f"{name}, {manner}"
        report.add(f"{label}: calls", tally.done / spent_s, "calls/s")
        report.add(f"{label}: calls per CPU-second", tally.done / cpu_s, "calls/CPU-s")
        report.add(f"{label}: server CPU", cpu_s / count * 1e6, "µs/call")
        report.add(f"{label}: of it outside the kernel", user_s / count * 1e6, "µs/call")
        report.add(f"{label}: client CPU", (own_cpu_s() - own_s) / count * 1e6, "µs/call")
        report.times(f"{label}: ring", tally.times["ring"])
        for code, number in tally.errors.items():
            report.add(f"{label}: failed ({code})", number, "calls", "0")


class RelayWay:
    """From one socket through a relay to its partner, the same frame again and again."""

    def __init__(
        self,
        sender: Line,
        receiver: Line,
        *,
        message: bytes = PAYLOAD,
        is_message: Callable[[bytes], bool] = _any,
    ) -> None:
        self._sender = sender
        self._frame = framed(message)
        self._is_message = is_message
        self._sent_s: deque[float] = deque()
        self._arrived: Arrived | None = None
        receiver.on_frame = self._take

    def send(self) -> None:
        self._sent_s.append(time.perf_counter())
        self._sender.write(self._frame)

    def start(self, arrived: Arrived) -> None:
        self._arrived = arrived

    def _take(self, frame: bytes) -> None:
        if self._is_message(frame):
            assert self._arrived is not None
            self._arrived(self, (time.perf_counter() - self._sent_s.popleft()) * 1_000)


async def path_lines(host: str, port: int, number: int) -> tuple[Line, Line]:
    """Two sockets of a relay that makes partners of those who ask for the same path."""
    path = f"/relay/{number}"
    return await Line.open(host, port, path), await Line.open(host, port, path)


async def path_pair(host: str, port: int, number: int) -> RelayPair:
    lines, said = await path_lines(host, port, number), words()
    return RelayPair(*lines, to_callee=said, to_caller=said, is_message=_any)


async def path_ways(host: str, port: int, number: int) -> tuple[RelayWay, RelayWay]:
    one, other = await path_lines(host, port, number)
    return RelayWay(one, other), RelayWay(other, one)


async def measure_bare(lab: Lab, server: Child) -> None:
    """The bare aiohttp relay."""
    pairs = [
        await path_pair(server.host, server.port, number) for number in range(lab.pick(1_000, 40))
    ]
    await measure_relayed(lab, server, pairs, BARE)
    for pair in pairs:
        pair.close()
