"""Refusals: a rule said no, with a public code that both edges pass on as it stands."""

from __future__ import annotations


class Refusal(Exception):
    """An expected "no".

    `code` is public, lower case, and part of the wire contract; `details` holds JSON values that
    help the client (never secrets). A new kind is a subclass with its own `code`, or, where one
    place alone needs it, `Refusal("...", code="...")`.
    """

    code: str = "refused"

    def __init__(self, message: str = "", *, code: str | None = None, **details: object) -> None:
        if code is not None:
            self.code = code
        self.message = message or self.code.replace("_", " ")
        self.details: dict[str, object] = details
        super().__init__(self.message)


class NotFound(Refusal):
    """Nothing there, or nothing the asker may see."""

    code = "not_found"


class Conflict(Refusal):
    """The thing is not in a state that allows this."""

    code = "conflict"


class IdempotencyMismatch(Refusal):
    """The key was used before, with other contents."""

    code = "idempotency_conflict"


class InsufficientFunds(Refusal):
    """Less is free than the operation needs; both amounts in the currency's minor unit."""

    code = "insufficient_funds"

    def __init__(self, *, required_minor: int, available_minor: int) -> None:
        super().__init__(
            f"{required_minor} is needed, {available_minor} is available",
            required=required_minor,
            available=available_minor,
        )
        self.required_minor = required_minor
        self.available_minor = available_minor


class Unavailable(Refusal):
    """The database did not answer in time or the connection to it was lost: try again later."""

    code = "unavailable"


class Fenced(Refusal):
    """This node's epoch is no longer its own: it must stop posting and end its calls."""

    code = "fenced"
