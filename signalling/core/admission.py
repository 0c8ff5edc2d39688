"""May this call start? Terms in, a tariff or a refusal out."""

from uuid import UUID

import msgspec

from signalling.codes import Code, Reason, Refused
from signalling.core.tariff import Tariff, first_hold, from_terms, price_per_minute
from signalling.limits import CallLimits


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a callee charges. The deployment's default has `share_bps` 0: nobody is paid."""

    tariff: str
    rate_minor: int
    share_bps: int
    currency: str


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a call is asked for. `availability` is None if the callee is no provider.

    `failed_recently` counts this caller's unanswered or failed calls to this callee in the last
    10 minutes, the oldest at `failed_since_ms`; `calls_last_hour` all of the caller's calls.
    """

    caller_id: UUID
    callee_id: UUID
    named_by: str  # the field that named the callee
    callee_active: bool
    blocked: bool
    availability: str | None
    reachable: bool
    price: Price
    price_max_minor: int | None
    available_minor: int
    failed_recently: int
    failed_since_ms: int | None
    calls_last_hour: int
    limits: CallLimits
    now_ms: int


class Admitted(msgspec.Struct, frozen=True):
    """`refusal` is set when the call is recorded, but ends before it rings."""

    tariff: Tariff
    hold_minor: int
    refusal: Reason | None


def check_caller(status: str) -> None:
    """Before anything else, for even to join a call that is ringing is to ask for one.

    Raises:
        Refused: forbidden.
    """
    if status != "active":
        raise Refused(Code.FORBIDDEN, "Your account is not active.")


def admit(asked: Asked) -> Admitted:
    """The terms of the call.

    Raises:
        Refused: self_call, not_found, blocked, rate_limited, cooldown, price_changed,
            insufficient_funds. No call exists then.
    """
    if asked.caller_id == asked.callee_id:
        raise Refused(Code.SELF_CALL, "You cannot call yourself.", field=asked.named_by)
    if not asked.callee_active:
        raise Refused(Code.NOT_FOUND, "There is no such user.", field=asked.named_by)
    if asked.blocked:
        raise Refused(Code.BLOCKED, "A call between the two of you is blocked.")
    limits = asked.limits
    if asked.calls_last_hour >= limits.calls_per_hour_max:
        raise Refused(
            Code.RATE_LIMITED,
            f"At most {limits.calls_per_hour_max} calls an hour.",
            retry_after_ms=3_600_000 // limits.calls_per_hour_max,
        )
    if asked.failed_recently >= limits.cooldown_calls:
        since_ms = asked.now_ms if asked.failed_since_ms is None else asked.failed_since_ms
        raise Refused(
            Code.COOLDOWN,
            "Several calls to this user were not answered; try again later.",
            retry_after_ms=max(1_000, since_ms + limits.cooldown_ms - asked.now_ms),
        )
    price = asked.price
    tariff = from_terms(
        price.tariff, price.rate_minor, share_bps=price.share_bps, currency=price.currency
    )
    if asked.price_max_minor is not None and price_per_minute(tariff) > asked.price_max_minor:
        raise Refused(
            Code.PRICE_CHANGED,
            f"The price is {price_per_minute(tariff)} a minute now.",
            field="data.maxPricePerMinute",
            details={"pricePerMinute": price_per_minute(tariff)},
        )
    hold_minor = first_hold(tariff)
    if asked.available_minor < hold_minor:
        raise insufficient(hold_minor, asked.available_minor)
    refusal = None
    if asked.availability in ("offline", "break") or not asked.reachable:
        refusal = Reason.UNAVAILABLE
    return Admitted(tariff, hold_minor, refusal)


def insufficient(required_minor: int, available_minor: int) -> Refused:
    return Refused(
        Code.INSUFFICIENT_FUNDS,
        f"The first unit costs {required_minor}; {available_minor} can be spent.",
        details={"required": required_minor, "available": available_minor},
    )
