"""One device of a user. It outlives its sockets: answers, buckets and place in a call stay.

Its session outlives a lost socket for a while: events are numbered on and kept, so that the next
socket can go on where the last one broke off.
"""

import secrets
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from signalling import commands, limits
from signalling.codes import Close, Code, Refused
from signalling.events import Shape
from signalling.frames import SIGNAL, Encoded, encode_error, encode_ok, finish
from signalling.limits import SocketLimits
from signalling.sockets.answers import Answers
from signalling.sockets.identity import Identity
from signalling.sockets.resume import Ring, Rings, same
from signalling.sockets.throttle import TokenBucket


def _is_stricter(rate: limits.Rate) -> bool:
    """Than that of all frames: else what fits in the bucket for all fits in this one too."""
    frames = limits.RATES["frames"]
    return rate.burst < frames.burst or rate.every_ms > frames.every_ms


_RATES = {"signal": "signal", "call_request": "call_request"} | {
    name: "chat" for name in commands.DATA if name.startswith("chat_")
}
# Kinds that need a bucket beside that of all frames.
RATE_OF = {kind: rate for kind, rate in _RATES.items() if _is_stricter(limits.RATES[rate])}


class Link(Protocol):
    """The socket of a device, as the device sees it."""

    heard_ms: int

    def send(self, frame: bytes) -> None: ...

    def close(self, code: int, why: str = "") -> None: ...

    def erred(self, code: Code) -> None: ...

    def check(self, now_ms: int) -> None: ...


class Device:
    """Made by the hub. Everything is called on the loop's thread; nothing here waits."""

    __slots__ = (
        "_answers",
        "_buckets",
        "_clock",
        "_limits",
        "_replay_from",
        "_ring",
        "_rings",
        "acked",
        "features",
        "frames",
        "gone_ms",
        "gone_seq",
        "id",
        "identity",
        "in_call",
        "link",
        "met_ms",
        "moving",
        "name",
        "platform",
        "secret",
        "seq",
        "session",
        "since_ms",
        "user_id",
        "watches_directory",
        "watching",
    )

    def __init__(
        self,
        user_id: UUID,
        device_id: str,
        socket_limits: SocketLimits,
        clock: Callable[[], int],
        rings: Rings,
    ) -> None:
        self.user_id = user_id
        self.id = device_id
        self.name = ""
        self.platform = ""
        self.features: tuple[str, ...] = ()
        self.identity: Identity | None = None
        self.session = ""  # of the present socket, or of the last one while it may be resumed
        self.secret = ""
        self.seq = 0
        self.acked = 0
        self.link: Link | None = None
        self.met_ms = 0  # when the present socket was attached
        self.since_ms = 0  # when it said hello, by a clock that all nodes share
        self.gone_ms = 0  # when the last socket was lost
        self.moving = False  # we have sent it away, and it is expected back at once
        self.gone_seq = 0  # and the number of the last event that was sent on it
        self.in_call = False  # set by the handlers: a shorter silence is taken for death
        self.frames = TokenBucket(limits.RATES["frames"])
        self.watching: frozenset[UUID] = frozenset()
        self.watches_directory = False
        self._clock = clock
        self._limits = socket_limits
        self._rings = rings
        self._ring: Ring | None = None
        self._replay_from: int | None = None
        self._answers = Answers(socket_limits, clock)
        self._buckets: dict[str, TokenBucket] | None = None

    @property
    def connected(self) -> bool:
        return self.link is not None

    @property
    def resumed(self) -> bool:
        """Whether the socket that is being welcomed goes on with the session of an earlier one."""
        return self._replay_from is not None

    def attach(self, link: Link, identity: Identity, hello: commands.Hello) -> bool:
        """A new socket: it goes on with the session if it may, else a new session begins, in
        which events are numbered from 1 again. `greet` is to follow, before any event.

        False: the wish to resume was refused.
        """
        wish = hello.resume
        self._replay_from = None
        if wish is not None and self._may_resume(identity, wish):
            self._replay_from = wish.last_seq
        else:
            self.end_session()
            self.session = secrets.token_urlsafe(12)
            self.secret = secrets.token_urlsafe(24)
            self.seq = 0
            self.acked = 0
        self.link = link
        self.identity = identity
        self.name = hello.device.name
        self.platform = hello.device.platform
        self.features = tuple(hello.features)
        self.met_ms = self._clock()
        self.moving = False
        return wish is None or self.resumed

    def _may_resume(self, identity: Identity, wish: commands.Resume) -> bool:
        """Whether the wish names this session, of the same log-in, and all after it is here."""
        known = same(self.session, wish.session) & same(self.secret, wish.secret)
        return (
            known
            and self.identity is not None
            and self.identity.session_id == identity.session_id
            and (self.link is not None or self.away(self._clock()))
            and self.seq - self._kept <= wish.last_seq <= self.seq
        )

    def greet(self, welcome: Encoded, re: str | None = None) -> None:
        """The first frame of a socket, and after it what a resumed session has missed.

        The welcome of a new session is number 1 and is not kept: who has not got it cannot resume.
        That of a resumed one has no number of its own; it repeats the last one the client has.
        """
        link = self.link
        assert link is not None
        last_seq, self._replay_from = self._replay_from, None
        if last_seq is None:
            self.seq = 1
            link.send(finish(welcome, 1, re))
            return
        link.send(finish(welcome, last_seq, re))
        if self._ring is not None:
            for frame in self._ring.newest(self.seq - last_seq):
                link.send(frame)

    @property
    def _kept(self) -> int:
        return 0 if self._ring is None else len(self._ring)

    def lose(self) -> None:
        """The socket is gone; the session waits for the next one."""
        self.link = None
        self.gone_ms = self._clock()
        self.gone_seq = self.seq

    def away(self, now_ms: int) -> bool:
        """Whether the session of a lost socket may still be resumed: for `resume_ms`, and for as
        long as the device is in a call. Not if an event is lost that no socket has carried."""
        if not self.session or self.seq - self.gone_seq > self._kept:
            return False
        return self.in_call or now_ms - self.gone_ms < self._limits.resume_ms

    def end_session(self) -> None:
        """Nobody can resume it any more."""
        self.session = ""
        self.secret = ""
        if self._ring is not None:
            self._ring.drop()
            self._ring = None

    def send(self, event: Encoded, re: str | None = None) -> bool:
        """Number an event, keep it, and send it if there is a socket.

        False, and nothing kept: there is neither a socket nor a session that waits for one.
        """
        link = self.link
        if link is None and not self.away(self._clock()):
            return False
        self.seq = seq = self.seq + 1
        frame = finish(event, seq, re)
        self._keep(frame)
        if link is not None:
            link.send(frame)
        return True

    def relay(self, call: bytes, data: bytes, now_ms: int) -> bool:
        """As `send`, for a signal; false, and nothing done, if there is no socket."""
        link = self.link
        if link is None:
            return False
        self.seq = seq = self.seq + 1
        frame = SIGNAL % (seq, call, now_ms, data)
        self._keep(frame)
        link.send(frame)
        return True

    def _keep(self, frame: bytes) -> None:
        """For a socket that may have to go on where this one broke off."""
        ring = self._ring
        if ring is None:
            ring = self._ring = Ring(self._rings)
        ring.put(frame)

    def ack(self, seq: int) -> None:
        """The client has worked off the events up to `seq`: they need not be kept. A number that
        was not sent yet means nothing."""
        if not self.acked < seq <= self.seq:
            return
        self.acked = seq
        ring = self._ring
        if ring is None:
            return
        left = self.seq - seq
        if left:
            ring.forget(max(0, len(ring) - left))
        else:
            ring.drop()
            self._ring = None

    def ok(self, re: str | None, data: Shape) -> None:
        """The answer to the command `re`, sent to the present socket and kept for re-sends."""
        self.answer(re, encode_ok(re, data))

    def fail(self, re: str | None, refused: Refused) -> None:
        """As `ok`, for a refusal. One that asks for a retry of the same id is not kept."""
        self.answer(re, encode_error(re, refused), refused.code)

    def answer(self, re: str | None, answer: bytes, code: Code | None = None) -> None:
        """As `ok` or, with a `code`, as `fail`, for an answer that is a frame already."""
        if re is not None:
            self._answers.keep(re, answer, code)
        link = self.link
        if link is not None:
            link.send(answer)
            if code is not None:
                link.erred(code)

    def refuse(self, re: str | None, refused: Refused) -> None:
        """An error for a frame that never became a command; what is kept of `re` stays."""
        link = self.link
        if link is not None:
            link.send(encode_error(re, refused))
            link.erred(refused.code)

    def close(self, code: int) -> None:
        if self.link is not None:
            self.link.close(code)

    def send_away(self) -> None:
        """Close the socket so that the device asks anew. What it is in goes on meanwhile."""
        self.moving = True
        self.close(Close.SERVICE_RESTART)

    def throttle(self, kind: str, now_ms: int) -> int:
        """0, or the milliseconds to wait before a further command of this type."""
        rate = RATE_OF.get(kind)
        if rate is None:
            return 0
        if self._buckets is None:
            self._buckets = {}
        bucket = self._buckets.get(rate)
        if bucket is None:
            allowed = limits.RATES[rate]
            if rate == "call_request":
                allowed = limits.Rate(self._limits.call_request_burst, allowed.every_ms)
            bucket = self._buckets[rate] = TokenBucket(allowed)
        return bucket.take(now_ms)

    def repeated(self, command_id: str) -> bool:
        """True if this id was received before; its answer is sent again if there is one yet."""
        kept = self._answers.find(command_id)
        if kept is None:
            return False
        if kept[0] is not None and self.link is not None:
            self.link.send(kept[0])
        return True

    def expect(self, command_id: str) -> None:
        """An answer to this id will come; until then a re-sent frame has no effect."""
        self._answers.expect(command_id)

    def drop_answers(self, now_ms: int) -> None:
        """Forget what is too old."""
        self._answers.drop(now_ms)
