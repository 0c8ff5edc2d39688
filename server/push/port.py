"""What the queue asks of an adapter. An adapter sends one push to one device, once."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from signalling.push import Wake
from storage.devices import Registered


class Outcome(StrEnum):
    """`BUSY` is worth another try, `GONE` means that the registration is good for nothing."""

    SENT = "sent"
    BUSY = "busy"
    GONE = "gone"
    REFUSED = "refused"


class Said(msgspec.Struct, frozen=True):
    """What became of a push. `why` is for logs: it names neither token nor person.

    `retry_after_s` is when a busy service wants to be asked again, if it said so.
    """

    outcome: Outcome
    why: str = ""
    retry_after_s: float | None = None


SENT = Said(Outcome.SENT)


class Adapter(Protocol):
    @property
    def name(self) -> str:
        """As registrations name their provider."""
        ...

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        """`ttl_s`, at least 1, is how long the push is of use. Cancelled when it takes too long."""
        ...

    async def close(self) -> None: ...


def payload(wake: Wake) -> dict[str, str | int]:
    """All that the phone is told."""
    return {
        "callId": str(wake.call_id),
        "callerName": wake.caller_name,
        "kind": wake.kind,
        "expiresAt": wake.expires_at,
    }
