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
from signalling.sockets.identity import Identity
from signalling.sockets.throttle import TokenBucket

RATE_OF = {"signal": "signal", "call_request": "call_request"} | {
    name: "chat" for name in commands.DATA if name.startswith("chat_")
}
# Refusals after which the same id may be tried again: nothing was applied.
RETRIED = frozenset({Code.UNAVAILABLE, Code.RATE_LIMITED})
# Command id -> (when it came, its answer once there is one), oldest first.
Answers = dict[str, tuple[int, bytes | None]]


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
        self._answers: Answers | None = None
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
        answer = encode_ok(re, data)
        self._keep(re, answer)
        if self.link is not None:
            self.link.send(answer)

    def fail(self, re: str | None, refused: Refused) -> None:
        """As `ok`, for a refusal. One that asks for a retry of the same id is not kept."""
        if re is not None and refused.code in RETRIED:
            if self._answers is not None:
                self._answers.pop(re, None)
        else:
            self._keep(re, encode_error(re, refused))
        self.refuse(re, refused)

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
        if self._answers is None:
            return False
        kept = self._answers.get(command_id)
        if kept is None or self._clock() - kept[0] >= self._limits.answers_kept_ms:
            return False
        if kept[1] is not None and self.link is not None:
            self.link.send(kept[1])
        return True

    def expect(self, command_id: str) -> None:
        """An answer to this id will come; until then a re-sent frame has no effect."""
        now_ms = self._clock()
        self.drop_answers(now_ms, room=1)
        answers = self._answers
        if answers is None:
            answers = self._answers = {}
        answers.pop(command_id, None)
        answers[command_id] = (now_ms, None)

    def drop_answers(self, now_ms: int, room: int = 0) -> None:
        """Forget what is too old, and the oldest beyond the number that is kept."""
        answers = self._answers
        if answers is None:
            return
        too_many = len(answers) + room - self._limits.answers_max
        old_ms = now_ms - self._limits.answers_kept_ms
        gone: list[str] = []
        for command_id, (at_ms, _) in answers.items():
            if len(gone) >= too_many and at_ms > old_ms:
                break
            gone.append(command_id)
        for command_id in gone:
            del answers[command_id]
        if not answers:
            self._answers = None

    def _keep(self, re: str | None, answer: bytes) -> None:
        if re is None or self._answers is None:
            return
        kept = self._answers.get(re)
        if kept is not None and kept[1] is None:
            self._answers[re] = (kept[0], answer)
