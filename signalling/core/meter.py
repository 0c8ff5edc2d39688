"""The meter of one call: how long it has been talked, what is due now, when to look again.

Billable time runs while both legs talk. Cover is charged + held: money that is safely ours; the
funded end is the last millisecond it pays for. The meter proposes cumulative targets; the ledger
disposes, and only its answers move `charged_minor` and `cover_minor`.
"""

import msgspec
from msgspec.structs import replace

from signalling.core.tariff import Tariff, cost, hold_ahead, horizon, slice_of, units


class Meter(msgspec.Struct, frozen=True, kw_only=True):
    """`billable_ms` had been talked at `since_ms`; it runs on from there unless that is None.

    `posted_ms` is the billable time of the newest posting asked for: time before it has been sold
    and is never given back. `asked_minor` is the most cover ever asked for: a later posting that
    asked for less could undo a hold whose answer is still on its way. `told_slice` is the newest
    slice whose tick was told, -1 for none. `warned_end_ms` is the absolute end last warned of.
    """

    tariff: Tariff
    cover_minor: int
    available_minor: int
    charged_minor: int = 0
    billable_ms: int = 0
    since_ms: int | None = None
    posted_ms: int = 0
    asked_minor: int = 0
    told_slice: int = -1
    told_minor: int = 0
    waiting: bool = False
    renewed_for_ms: int | None = None
    warned_ms: int | None = None
    warned_end_ms: int | None = None


class Due(msgspec.Struct, frozen=True):
    """What the meter wants now. `warn_end_ms` is an absolute end, `withdrawn` undoes a warning."""

    post: bool = False
    cut: bool = False
    warn_end_ms: int | None = None
    withdrawn: bool = False


def funded_ms(meter: Meter) -> int | None:
    """The last billable millisecond that is covered; None when the call costs nothing more."""
    return horizon(meter.tariff, meter.cover_minor)


def end_ms(meter: Meter) -> int | None:
    """The billable end if no more money comes: what is covered and what the wallet still holds."""
    return horizon(meter.tariff, meter.cover_minor + meter.available_minor)


def talked_ms(meter: Meter, now_ms: int) -> int:
    """Billable time so far; never beyond the funded end and never before what was posted."""
    talked = meter.billable_ms
    if meter.since_ms is not None:
        talked += max(0, now_ms - meter.since_ms)
    end = funded_ms(meter)
    if end is not None:
        talked = min(talked, end)
    return max(talked, meter.posted_ms)


def at_ms(meter: Meter, billable_ms: int) -> int:
    """The moment at which a running meter reaches this billable time."""
    assert meter.since_ms is not None
    return meter.since_ms + billable_ms - meter.billable_ms


def run(meter: Meter, now_ms: int) -> Meter:
    """Time costs money from now on."""
    return replace(meter, billable_ms=talked_ms(meter, now_ms), since_ms=now_ms)


def pause(meter: Meter, at_ms: int) -> Meter:
    """Time stopped costing money at `at_ms`, which may have passed already."""
    return replace(meter, billable_ms=talked_ms(meter, at_ms), since_ms=None)


def add(meter: Meter, gap_ms: int, now_ms: int, *, renew_ms: int) -> Meter:
    """Bill a gap across which media is proved to have flowed, as far as it is funded.

    The call goes on: enough cover is left to ask for more of it.
    """
    end = funded_ms(meter)
    if end is not None:
        gap_ms = min(gap_ms, end - renew_ms - talked_ms(meter, now_ms))
    return replace(meter, billable_ms=meter.billable_ms + max(0, gap_ms))


def next_slice_ms(meter: Meter) -> int:
    """Billable time at which the next posting is due: the first millisecond of the next slice."""
    if meter.posted_ms == 0:
        return 1
    return (slice_of(meter.tariff, meter.posted_ms) + 1) * meter.tariff.tick_ms + 1


def look(meter: Meter, now_ms: int, *, renew_ms: int, warn_ms: tuple[int, ...]) -> Due:
    """What is due at `now_ms`. A meter that stands still wants nothing."""
    if meter.since_ms is None:
        return Due()
    raw = meter.billable_ms + now_ms - meter.since_ms
    end = funded_ms(meter)
    if end is not None and raw >= end:
        # A boundary that is covered belongs to the next unit only one millisecond later.
        return Due(cut=True)
    warn_end, withdrawn = _warning(meter, now_ms, warn_ms)
    post = raw >= next_slice_ms(meter)
    if end is not None and not meter.waiting and meter.renewed_for_ms != end:
        post = post or raw >= end - renew_ms
    return Due(post=post, warn_end_ms=warn_end, withdrawn=withdrawn)


def _warning(meter: Meter, now_ms: int, warn_ms: tuple[int, ...]) -> tuple[int | None, bool]:
    """The absolute end to warn of now, or that an earlier warning no longer holds."""
    if meter.waiting:
        return None, False  # The answer on its way may bring money.
    ends_at = ends_at_ms(meter)
    if ends_at is None or ends_at - now_ms > warn_ms[0]:
        return None, meter.warned_ms is not None
    reached = min(level for level in warn_ms if ends_at - now_ms <= level)
    if meter.warned_ms is not None and meter.warned_ms <= reached and not _moved(meter):
        return None, False
    return ends_at, False


def covered_until_ms(meter: Meter) -> int | None:
    """The moment of `funded_ms`; None also while the meter stands still."""
    end = funded_ms(meter)
    return None if end is None or meter.since_ms is None else at_ms(meter, end)


def ends_at_ms(meter: Meter) -> int | None:
    """The moment of `end_ms`; None also while the meter stands still."""
    end = end_ms(meter)
    return None if end is None or meter.since_ms is None else at_ms(meter, end)


def _moved(meter: Meter) -> bool:
    """Whether the end last warned of is not the end any more."""
    return meter.warned_ms is not None and ends_at_ms(meter) != meter.warned_end_ms


def warned(meter: Meter, now_ms: int, warn_ms: tuple[int, ...]) -> Meter:
    """The meter after its warning, or the withdrawal of one, was told."""
    ends_at = ends_at_ms(meter)
    if ends_at is None or ends_at - now_ms > warn_ms[0]:
        return replace(meter, warned_ms=None, warned_end_ms=None)
    reached = min(level for level in warn_ms if ends_at - now_ms <= level)
    return replace(meter, warned_ms=reached, warned_end_ms=ends_at)


def wake_ms(meter: Meter, *, renew_ms: int, warn_ms: tuple[int, ...]) -> int | None:
    """When to look again; None while the meter stands still."""
    if meter.since_ms is None:
        return None
    times = [at_ms(meter, next_slice_ms(meter))]
    end = funded_ms(meter)
    if end is not None:
        times.append(at_ms(meter, end))
        if not meter.waiting and meter.renewed_for_ms != end:
            times.append(at_ms(meter, max(0, end - renew_ms)))
    if meter.waiting:
        return min(times)
    last = ends_at_ms(meter)
    if last is not None:
        times += [
            last - level for level in warn_ms if meter.warned_ms is None or level < meter.warned_ms
        ]
    if _moved(meter):
        times.append(meter.since_ms)  # At once: what was told is not true any more.
    return min(times)


def post(meter: Meter, now_ms: int, *, renew_ms: int) -> tuple[Meter, int]:
    """Ask for the cumulative cost of now. Returns the meter and the billable time posted."""
    talked = max(1, talked_ms(meter, now_ms))
    end = funded_ms(meter)
    renewed = end if end is not None and talked >= end - renew_ms else meter.renewed_for_ms
    # A running meter covers this slice and the one after it; a meter that stands asks for no more.
    ahead = 0 if meter.since_ms is None else hold_ahead(meter.tariff, talked)
    meter = replace(
        meter,
        posted_ms=talked,
        asked_minor=max(meter.asked_minor, meter.cover_minor, ahead),
        waiting=True,
        renewed_for_ms=renewed,
    )
    return meter, talked


def posted(meter: Meter, *, charged_minor: int, hold_minor: int, available_minor: int) -> Meter:
    """The ledger's answer. A late answer never takes back what a newer one gave."""
    return replace(
        meter,
        charged_minor=max(meter.charged_minor, charged_minor),
        cover_minor=max(meter.cover_minor, charged_minor + hold_minor),
        available_minor=available_minor,
        waiting=False,
    )


def told(meter: Meter) -> Meter:
    """The tick of the newest posted slice was told."""
    return replace(
        meter, told_slice=slice_of(meter.tariff, meter.posted_ms), told_minor=meter.charged_minor
    )


def status(meter: Meter) -> str:
    """`last`: the money ends in this slice; `low_balance`: in the next one; else `ok`."""
    end = end_ms(meter)
    if end is None:
        return "ok"
    here = slice_of(meter.tariff, meter.posted_ms)
    if end <= (here + 1) * meter.tariff.tick_ms:
        return "last"
    return "low_balance" if end <= (here + 2) * meter.tariff.tick_ms else "ok"


def balance(meter: Meter) -> int:
    """What the payer's wallet holds, the part set aside for this call included."""
    return meter.available_minor + meter.cover_minor - meter.charged_minor


def billed_ms(tariff: Tariff, billable_ms: int) -> int:
    """Billable time rounded up to whole increments, as charged."""
    count = units(tariff, billable_ms)
    return tariff.first_ms + (count - 1) * tariff.next_ms if count else 0


def total(meter: Meter, billable_ms: int) -> int:
    """What the call costs in the end; never less than what was posted."""
    return max(meter.charged_minor, cost(meter.tariff, billable_ms))
