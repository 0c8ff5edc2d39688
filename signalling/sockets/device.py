"""One device of a user. It outlives its sockets: answers, buckets and place in a call stay."""

import secrets
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from signalling import commands, limits
from signalling.codes import Code, Refused
from signalling.events import Shape
from signalling.frames import Encoded, encode_error, encode_ok, finish
from signalling.limits import SocketLimits
from signalling.sockets.answers import Answers
from signalling.sockets.identity import Identity
from signalling.sockets.throttle import TokenBucket

RATE_OF = {"signal": "signal", "call_request": "call_request"} | {
    name: "chat" for name in commands.DATA if name.startswith("chat_")
}


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
        "acked",
        "features",
        "frames",
        "gone_ms",
        "id",
        "identity",
        "in_call",
        "link",
        "met_ms",
        "name",
        "platform",
        "secret",
        "seq",
        "session",
        "user_id",
        "watches_directory",
        "watching",
    )

    def __init__(
        self, user_id: UUID, device_id: str, socket_limits: SocketLimits, clock: Callable[[], int]
    ) -> None:
        self.user_id = user_id
        self.id = device_id
        self.name = ""
        self.platform = ""
        self.features: tuple[str, ...] = ()
        self.identity: Identity | None = None
        self.session = ""
        self.secret = ""
        self.seq = 0
        self.acked = 0
        self.link: Link | None = None
        self.met_ms = 0  # when the present socket was attached
        self.gone_ms = 0  # when the last socket was lost
        self.in_call = False  # set by the handlers: a shorter silence is taken for death
        self.frames = TokenBucket(limits.RATES["frames"])
        self.watching: frozenset[UUID] = frozenset()
        self.watches_directory = False
        self._clock = clock
        self._limits = socket_limits
        self._answers = Answers(socket_limits, clock)
        self._buckets: dict[str, TokenBucket] | None = None

    @property
    def connected(self) -> bool:
        return self.link is not None

    def begin(self, link: Link, identity: Identity, hello: commands.Hello) -> None:
        """A new socket begins a new session: events are numbered from 1 again."""
        self.link = link
        self.identity = identity
        self.name = hello.device.name
        self.platform = hello.device.platform
        self.features = tuple(hello.features)
        self.session = secrets.token_urlsafe(12)
        self.secret = secrets.token_urlsafe(24)
        self.seq = 0
        self.acked = 0
        self.met_ms = self._clock()

    def send(self, event: Encoded, re: str | None = None) -> bool:
        """Queue an event; false, and nothing kept, while the device has no socket."""
        link = self.link
        if link is None:
            return False
        self.seq += 1
        link.send(finish(event, self.seq, re))
        return True

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
