"""Who hears of what becomes of calls, for figures and logs."""

from typing import Protocol

from signalling.core.model import Call
from storage.calls import CallRow


class Watcher(Protocol):
    """Called in the middle of a call's work: it must neither wait nor raise."""

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        """The call's state, meter or end has changed; it has begun if `before` is None."""

    def flows(self, relay: bool | None, ms: int) -> None:
        """A leg has media, through a TURN server or not (None: it does not say), `ms` after its
        offer or answer (0: it does not say)."""

    def refused(self, row: CallRow) -> None:
        """A call was recorded that ended before it rang."""


class Unwatched:
    """For calls that nobody counts."""

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None: ...

    def flows(self, relay: bool | None, ms: int) -> None: ...

    def refused(self, row: CallRow) -> None: ...
