"""What the commands of one device were answered, so that a command sent again has no effect."""

from collections.abc import Callable

from signalling.codes import Code
from signalling.limits import SocketLimits

# Refusals after which the same id may be tried again: nothing was applied.
RETRIED = frozenset({Code.UNAVAILABLE, Code.RATE_LIMITED})


class Answers:
    """At most `answers_max`, each for `answers_kept_ms`; memory only where there are some."""

    __slots__ = ("_clock", "_kept", "_limits")

    def __init__(self, limits: SocketLimits, clock: Callable[[], int]) -> None:
        self._limits = limits
        self._clock = clock
        # Command id -> (when it came, its answer once there is one), oldest first.
        self._kept: dict[str, tuple[int, bytes | None]] | None = None

    def find(self, command_id: str) -> tuple[bytes | None] | None:
        """None for an id that was not received before; else its answer, if there is one yet."""
        if self._kept is None:
            return None
        kept = self._kept.get(command_id)
        if kept is None or self._clock() - kept[0] >= self._limits.answers_kept_ms:
            return None
        return (kept[1],)

    def expect(self, command_id: str) -> None:
        """An answer to this id will come; until then a re-sent frame has no effect."""
        now_ms = self._clock()
        self.drop(now_ms, room=1)
        if self._kept is None:
            self._kept = {}
        self._kept.pop(command_id, None)
        self._kept[command_id] = (now_ms, None)

    def keep(self, command_id: str, answer: bytes, code: Code | None = None) -> None:
        """The answer to an expected id. With a `code` that asks for a retry the id is forgotten."""
        if self._kept is None:
            return
        if code in RETRIED:
            self._kept.pop(command_id, None)
            return
        kept = self._kept.get(command_id)
        if kept is not None and kept[1] is None:
            self._kept[command_id] = (kept[0], answer)

    def drop(self, now_ms: int, room: int = 0) -> None:
        """Forget what is too old, and the oldest beyond the number that is kept."""
        kept = self._kept
        if kept is None:
            return
        too_many = len(kept) + room - self._limits.answers_max
        old_ms = now_ms - self._limits.answers_kept_ms
        gone: list[str] = []
        for command_id, (at_ms, _) in kept.items():
            if len(gone) >= too_many and at_ms > old_ms:
                break
            gone.append(command_id)
        for command_id in gone:
            del kept[command_id]
        if not kept:
            self._kept = None
