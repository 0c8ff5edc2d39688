"""Words of the wire: error codes, close codes, end reasons. Public and stable."""

from enum import IntEnum, StrEnum


class Code(StrEnum):
    """Error codes of replies. `unavailable` asks for the same command again, with the same id."""

    BAD_FRAME = "bad_frame"
    TOO_LARGE = "too_large"
    UNKNOWN_TYPE = "unknown_type"
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token_expired"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    NOT_YOUR_CALL = "not_your_call"
    NOT_YOUR_LEG = "not_your_leg"
    WRONG_STATE = "wrong_state"
    CALL_OVER = "call_over"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    SELF_CALL = "self_call"
    SELF_BUSY = "self_busy"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    PRICE_CHANGED = "price_changed"
    BLOCKED = "blocked"
    COOLDOWN = "cooldown"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"


class Close(IntEnum):
    """Close codes. Below 4400 the client reconnects, from 4400 on it stops."""

    GOING_AWAY = 1001
    SERVICE_RESTART = 1012
    NO_HEARTBEAT = 4001
    SLOW_CONSUMER = 4002
    HELLO_TIMEOUT = 4003
    TOO_MANY_ERRORS = 4010
    UNAUTHORIZED = 4401
    BAD_PROTOCOL = 4500
    TOKEN_EXPIRED = 4502
    REPLACED = 4503
    REVOKED = 4504
    VERSION_UNSUPPORTED = 4505


class State(StrEnum):
    REQUESTED = "requested"
    RINGING = "ringing"
    ACCEPTED = "accepted"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    ENDED = "ended"


class Reason(StrEnum):
    """Why a call ended. The first three are the callee's refusals before an answer."""

    DECLINED = "declined"
    BUSY = "busy"
    UNAVAILABLE = "unavailable"
    CANCELLED = "cancelled"
    NO_ANSWER = "no_answer"
    UNREACHABLE = "unreachable"
    CONNECT_FAILED = "connect_failed"
    HANGUP = "hangup"
    CONNECTION_LOST = "connection_lost"
    BALANCE_EXHAUSTED = "balance_exhausted"
    MAX_DURATION = "max_duration"
    ADMIN = "admin"
    SERVER_ERROR = "server_error"


REJECTIONS = frozenset({Reason.DECLINED, Reason.BUSY, Reason.UNAVAILABLE})


class Party(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"

    @property
    def other(self) -> "Party":
        return Party.CALLEE if self is Party.CALLER else Party.CALLER


class By(StrEnum):
    """Who ended a call."""

    CALLER = "caller"
    CALLEE = "callee"
    SERVER = "server"
    ADMIN = "admin"


class Refused(Exception):
    """A rule said no, with a public code. For expected outcomes, never for our own mistakes.

    `field` is the path of the value that was wrong, in wire names (`data.toUserId`); `details` are
    further public keys of the error, in wire names and JSON values.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        field: str | None = None,
        retry_after_ms: int | None = None,
        details: dict[str, object] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms
        self.details = details or {}
