"""The receipt and the timeline of a call. Pure: rows in, shapes out."""

from __future__ import annotations

from msgspec import UNSET

from rest.calls.bodies import CallView, OtherUser
from rest.calls.history_bodies import BillingView, EventView, Receipt, RefundLine
from rest.calls.words import moment, unit_views
from signalling.calls.records import read_tariff
from signalling.codes import Party, State
from signalling.core.meter import billed_ms
from signalling.core.tariff import MINUTE_MS, SECOND_MS, Tariff
from signalling.core.views import tariff_view
from storage.calls import CallRow, Person, UnitRow


def billing_of(row: CallRow, view: CallView, postings: list[UnitRow]) -> BillingView:
    """What the ledger says, to the user whose `view` of the same row it is."""
    return BillingView(
        call_id=row.call_id,
        billing_units=unit_views(postings),
        units=view.billed_units,
        total_charged=row.charged_minor,
        refunded=row.refunded_minor,
        billed_seconds=billed_ms(read_tariff(row.tariff), row.billable_ms) // 1000,
        talk_seconds=view.duration_seconds,
        currency=view.currency,
        settled=row.state == State.ENDED,
        earned=row.earned_minor if view.role is Party.CALLEE else UNSET,
    )


def receipt_of(row: CallRow, view: CallView, *, exponent: int) -> Receipt:
    """The receipt for the user whose `view` of the same row it is; the currency has `exponent`
    decimals."""
    tariff = read_tariff(row.tariff)
    is_callee = view.role is Party.CALLEE
    return Receipt(
        call_id=row.call_id,
        role=view.role,
        caller=_person(row.caller),
        callee=_person(row.callee),
        kind=row.kind,
        status=view.status,
        created_at=view.created_at,
        started_at=view.started_at,
        ended_at=view.ended_at,
        talk_seconds=view.duration_seconds,
        billed_seconds=billed_ms(tariff, row.billable_ms) // 1000,
        billed_units=view.billed_units,
        tariff=tariff_view(tariff),
        tariff_text=tariff_text(tariff, exponent),
        currency=tariff.currency,
        total=row.charged_minor,
        refunds=_refunds(row),
        paid=row.charged_minor - row.refunded_minor,
        settled=row.state == State.ENDED,
        earned=row.earned_minor if is_callee else UNSET,
        platform_share=row.charged_minor - row.earned_minor if is_callee else UNSET,
    )


def events_of(view: CallView, row: CallRow, postings: list[UnitRow]) -> list[EventView]:
    """What happened, in the order of causes.

    The node stamps the states and the database the postings: sorted by their times a posting could
    come before what it follows from.
    """
    steps = (
        ("created", view.created_at),
        ("ringing", view.ringing_at),
        ("accepted", view.accepted_at),
        ("connected", view.started_at),
    )
    events = [EventView(type=name, at=at) for name, at in steps if at is not None]
    events += [
        EventView(
            type="charged", at=moment(unit.at_ms), amount=unit.charged_minor, total=unit.total_minor
        )
        for unit in postings
    ]
    if view.ended_at is not None:
        reason = UNSET if view.reason is None else view.reason
        by = UNSET if view.by is None else view.by
        events.append(EventView(type="ended", at=view.ended_at, reason=reason, by=by))
    events += [EventView(type="refunded", at=each.at, amount=each.amount) for each in _refunds(row)]
    return events


def tariff_text(tariff: Tariff, exponent: int) -> str:
    """The price in a sentence: "120 PTS per minute, each started minute counts"."""
    currency = tariff.currency
    words = [f"{money(tariff.rate_minor, exponent)} {currency} per {_span(tariff.per_ms)}"]
    if tariff.first_ms == tariff.next_ms:
        words.append(f"each started {_span(tariff.next_ms)} counts")
    else:
        words.append(
            f"the first {_span(tariff.first_ms)} whole, then each started {_span(tariff.next_ms)}"
        )
    if tariff.free_ms:
        words.append(f"the first {_span(tariff.free_ms)} free")
    if tariff.connect_fee_minor:
        words.append(f"{money(tariff.connect_fee_minor, exponent)} {currency} for connecting")
    if tariff.minimum_minor:
        words.append(f"at least {money(tariff.minimum_minor, exponent)} {currency}")
    if tariff.cap_minor is not None:
        words.append(f"at most {money(tariff.cap_minor, exponent)} {currency}")
    return ", ".join(words)


def money(amount_minor: int, exponent: int) -> str:
    """An amount as people write it: 1000 with two decimals is "10.00"."""
    whole, part = divmod(amount_minor, 10**exponent)
    return f"{whole:,}.{part:0{exponent}d}" if exponent else f"{whole:,}"


def _span(ms: int) -> str:
    """A length of time in its largest whole unit."""
    for unit_ms, name in ((MINUTE_MS, "minute"), (SECOND_MS, "second"), (1, "millisecond")):
        count, rest = divmod(ms, unit_ms)
        if count and not rest:
            return name if count == 1 else f"{count} {name}s"
    return "moment"


def _person(person: Person) -> OtherUser:
    return OtherUser(id=person.user_id, name=person.name, avatar=person.avatar_url)


def _refunds(row: CallRow) -> list[RefundLine]:
    if row.refunded_ms is None:
        return []
    return [RefundLine(amount=row.refunded_minor, at=moment(row.refunded_ms))]
