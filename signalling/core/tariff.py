"""Price terms of a call and the pure functions that turn billable time into money.

Everything here is integer arithmetic: amounts are minor units of one currency, times are
milliseconds of billable time since the call was connected, and every function is total (a time
at or before 0 is "nothing billed yet"). `cost` never falls as time grows, so a meter that posts
`cost(now) - charged` charges the same total whatever moments it picks.
"""

from typing import Final, Literal, TypedDict, Unpack

import msgspec

Rounding = Literal["up", "down", "half"]

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
SECOND_MS: Final = 1_000
AMOUNT_MAX: Final = 10**9
BPS: Final = 10_000
NAME_CHARS_MAX: Final = 32
CURRENCY_CHARS_MAX: Final = 12

_RANGES: Final = (
    ("rate_minor", 0, AMOUNT_MAX),
    ("per_ms", 1, DAY_MS),
    ("first_ms", 1, DAY_MS),
    ("next_ms", 1, DAY_MS),
    ("free_ms", 0, DAY_MS),
    ("connect_fee_minor", 0, AMOUNT_MAX),
    ("minimum_minor", 0, AMOUNT_MAX),
    ("cap_minor", 0, 1_000 * AMOUNT_MAX),
    ("share_bps", 0, BPS),
    ("tick_ms", 1, DAY_MS),
    ("quantum_minor", 1, AMOUNT_MAX),
)


class Tariff(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Price terms, frozen into a call when it is requested.

    `rate_minor` buys `per_ms`; time is billed in increments of `first_ms`, then `next_ms`.
    `rounding` is applied to the time charge ("half" means halves go up). `share_bps` is the
    provider's part. `tick_ms` is the slice of billable time the meter posts at once and
    `quantum_minor` the smallest hold worth making (at least 1, also when the rate is 0).
    A cap below the fee or the minimum is allowed, and the cap wins.

    Raises:
        ValueError: a field is out of range; the message starts with its name.
    """

    name: str
    rate_minor: int
    per_ms: int = MINUTE_MS
    first_ms: int
    next_ms: int
    free_ms: int = 0
    connect_fee_minor: int = 0
    minimum_minor: int = 0
    cap_minor: int | None = None
    rounding: Rounding = "up"
    share_bps: int = 7000
    tick_ms: int = MINUTE_MS
    quantum_minor: int
    currency: str = "PTS"

    def __post_init__(self) -> None:
        for field, low, high in _RANGES:
            value = getattr(self, field)
            if value is None and field == "cap_minor":
                continue
            # Only decoding checks types: a bool or float given from Python must not become money.
            if type(value) is not int or not low <= value <= high:
                raise ValueError(f"{field} must be an integer from {low} to {high}")
        if self.rounding not in ("up", "down", "half"):
            raise ValueError("rounding must be up, down or half")
        if not 1 <= len(self.name) <= NAME_CHARS_MAX:
            raise ValueError(f"name must have 1 to {NAME_CHARS_MAX} characters")
        code = self.currency
        # Account ids may carry the currency, so it must never hold a separator.
        if not (code.isascii() and code.isalnum() and len(code) <= CURRENCY_CHARS_MAX):
            raise ValueError(f"currency must be 1 to {CURRENCY_CHARS_MAX} ASCII letters or digits")


class Extras(TypedDict, total=False):
    """Terms a stock tariff may override; each means what it means in `Tariff`."""

    per_ms: int
    first_ms: int
    next_ms: int
    free_ms: int
    connect_fee_minor: int
    minimum_minor: int
    cap_minor: int | None
    rounding: Rounding
    tick_ms: int
    quantum_minor: int


def minute(
    rate_minor: int, *, share_bps: int = 7000, currency: str = "PTS", **more: Unpack[Extras]
) -> Tariff:
    """`rate_minor` per minute, each minute charged whole at its start."""
    stock = Tariff(
        name="minute",
        rate_minor=rate_minor,
        first_ms=MINUTE_MS,
        next_ms=MINUTE_MS,
        share_bps=share_bps,
        quantum_minor=max(1, rate_minor),
        currency=currency,
    )
    return msgspec.structs.replace(stock, **more) if more else stock


def second(
    rate_minor: int, *, share_bps: int = 7000, currency: str = "PTS", **more: Unpack[Extras]
) -> Tariff:
    """`rate_minor` per minute, billed by started seconds and posted a minute at a time."""
    stock = Tariff(
        name="second",
        rate_minor=rate_minor,
        first_ms=SECOND_MS,
        next_ms=SECOND_MS,
        share_bps=share_bps,
        quantum_minor=1,
        currency=currency,
    )
    return msgspec.structs.replace(stock, **more) if more else stock


def from_terms(
    kind: str,
    rate_minor: int,
    *,
    share_bps: int = 7000,
    currency: str = "PTS",
    **more: Unpack[Extras],
) -> Tariff:
    """The stock tariff called `kind`.

    Raises:
        ValueError: `kind` is neither "minute" nor "second", or a term is out of range.
    """
    match kind:
        case "minute":
            return minute(rate_minor, share_bps=share_bps, currency=currency, **more)
        case "second":
            return second(rate_minor, share_bps=share_bps, currency=currency, **more)
        case _:
            raise ValueError("kind must be minute or second")


def units(tariff: Tariff, billable_ms: int) -> int:
    """How many billing increments have been started; none inside the free time."""
    # Ceiling division is written -(-a // b) throughout: exact for integers of any size.
    charged_ms = max(0, billable_ms) - tariff.free_ms
    if charged_ms <= 0:
        return 0
    if charged_ms <= tariff.first_ms:
        return 1
    return 1 - (tariff.first_ms - charged_ms) // tariff.next_ms


def cost(tariff: Tariff, billable_ms: int) -> int:
    """The cumulative price of `billable_ms`, in minor units; 0 at or before time 0.

    Increments are half-open: exactly two minutes at 60/60 are two units. Rounding happens once,
    on the cumulative time charge. The connect fee and the minimum apply from the first
    millisecond, free time or not: free time frees the talking, not the connection.
    """
    if billable_ms <= 0:
        return 0
    count = units(tariff, billable_ms)
    total = tariff.connect_fee_minor
    if count:
        scaled = tariff.rate_minor * (tariff.first_ms + (count - 1) * tariff.next_ms)
        per_ms = tariff.per_ms
        if tariff.rounding == "up":
            total -= -scaled // per_ms
        elif tariff.rounding == "down":
            total += scaled // per_ms
        else:
            total += (2 * scaled + per_ms) // (2 * per_ms)
    if total < tariff.minimum_minor:
        total = tariff.minimum_minor
    if tariff.cap_minor is not None and total > tariff.cap_minor:
        total = tariff.cap_minor
    return total


def next_step(tariff: Tariff, billable_ms: int) -> int | None:
    """The first time after `billable_ms` that costs more, or None if the cost never rises again."""
    return _first_time_at(tariff, cost(tariff, billable_ms) + 1)


def horizon(tariff: Tariff, amount_minor: int) -> int | None:
    """The longest time that costs at most `amount_minor`, or None if every time does.

    0 means that not even the first millisecond is paid for.
    """
    unpaid_ms = _first_time_at(tariff, amount_minor + 1)
    return None if unpaid_ms is None else unpaid_ms - 1


def _first_time_at(tariff: Tariff, target_minor: int) -> int | None:
    """The first time > 0 whose cost is at least `target_minor`, or None if there is none."""
    if cost(tariff, 1) >= target_minor:
        return 1
    if tariff.rate_minor == 0:
        return None
    if tariff.cap_minor is not None and target_minor > tariff.cap_minor:
        return None
    # The first millisecond already carries fee and minimum, so only the time charge is missing,
    # and at least 1 of it: each rounding is inverted to the least billed time that reaches it.
    missing = target_minor - tariff.connect_fee_minor
    if tariff.rounding == "up":
        billed_ms = (missing - 1) * tariff.per_ms // tariff.rate_minor + 1
    elif tariff.rounding == "down":
        billed_ms = -(-missing * tariff.per_ms // tariff.rate_minor)
    else:
        billed_ms = -(-(2 * missing - 1) * tariff.per_ms // (2 * tariff.rate_minor))
    if billed_ms <= tariff.first_ms:
        return tariff.free_ms + 1
    # The increment that reaches `billed_ms` is billed from its own first millisecond on.
    whole_before = (billed_ms - tariff.first_ms - 1) // tariff.next_ms
    return tariff.free_ms + tariff.first_ms + whole_before * tariff.next_ms + 1


def share(tariff: Tariff, cost_minor: int) -> int:
    """The provider's part of a cumulative cost, rounded down; the platform has the rest.

    Take it of the cumulative cost and post the difference, or the roundings add up.
    """
    return cost_minor * tariff.share_bps // BPS


def price_per_minute(tariff: Tariff) -> int:
    """The rate brought to 60 s and rounded up, in minor units, for display and comparison."""
    return -(-tariff.rate_minor * MINUTE_MS // tariff.per_ms)


def slice_of(tariff: Tariff, billable_ms: int) -> int:
    """The slice a time lies in: slice n covers (n * tick_ms, (n + 1) * tick_ms].

    A time at or before 0 lies in slice 0.
    """
    return (billable_ms - 1) // tariff.tick_ms if billable_ms > 0 else 0


def first_hold(tariff: Tariff) -> int:
    """What must be held before the phone rings: the cost of the whole first slice."""
    return cost(tariff, tariff.tick_ms)


def hold_ahead(tariff: Tariff, billable_ms: int) -> int:
    """The cumulative cost to have covered, posted or held, once `billable_ms` is posted.

    It reaches to the end of the slice after the one `billable_ms` lies in.
    """
    return cost(tariff, (slice_of(tariff, billable_ms) + 2) * tariff.tick_ms)
