"""Calls of everybody in the words of the operators' routes. Pure: rows and views in, shapes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from rest.operators.call_bodies import (
    CallDetail,
    CallView,
    LegsView,
    LegView,
    MeterView,
    PartyView,
    QualityView,
    UnitView,
)
from signalling.calls.oversight import LiveCall, LiveLeg
from signalling.codes import By, Reason, State
from signalling.core.tariff import Tariff, units
from signalling.core.views import tariff_view
from storage.calls import CallRow, UnitRow
from storage.operator_calls import Owned

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_tariff = msgspec.json.Decoder(Tariff).decode


def moment(at_ms: int) -> datetime:
    """Unix ms as a UTC time, exactly."""
    return EPOCH + timedelta(milliseconds=at_ms)


def call_view(owned: Owned, live: LiveCall | None, now_ms: int) -> CallView:
    """`live` is what the call's node says, if it does; its row is written behind."""
    return CallView(**_fields(owned, live, now_ms))


def call_detail(
    owned: Owned, live: LiveCall | None, postings: list[UnitRow], now_ms: int
) -> CallDetail:
    row = owned.row
    return CallDetail(
        **_fields(owned, live, now_ms),
        connect_on=row.connect_on,
        tariff=tariff_view(_tariff(row.tariff)),
        legs=LegsView(
            caller=_leg(row.caller_device, None if live is None else live.caller),
            callee=_leg(row.callee_device, None if live is None else live.callee),
        ),
        meter=None if row.state == State.ENDED else _meter(row, live),
        billing_units=[
            UnitView(
                n=each.n,
                amount=each.charged_minor,
                total=each.total_minor,
                at=moment(each.at_ms),
            )
            for each in postings
        ],
        refunded_at=_moment(row.refunded_ms),
        owners=0 if owned.node is None else owned.claim + 1,
    )


def _fields(owned: Owned, live: LiveCall | None, now_ms: int) -> dict[str, Any]:
    row, tariff = owned.row, _tariff(owned.row.tariff)
    is_over = row.state == State.ENDED
    if is_over:
        live = None
    connected_ms = live.connected_at if live else row.connected_ms
    billable_ms = live.meter.billable_ms if live else row.billable_ms
    since_ms = row.created_ms if connected_ms is None else connected_ms
    return {
        "id": row.call_id,
        "state": live.state if live else State(row.state),
        "kind": row.kind,
        "caller": PartyView(id=row.caller.user_id, name=row.caller.name),
        "callee": PartyView(id=row.callee.user_id, name=row.callee.name),
        "node": owned.node,
        "created_at": moment(row.created_ms),
        "ringing_at": _moment(live.ringing_at if live else row.ringing_ms),
        "accepted_at": _moment(live.accepted_at if live else row.accepted_ms),
        "connected_at": _moment(connected_ms),
        "ended_at": _moment(live.ended_at if live else row.ended_ms),
        "reason": None if row.reason is None else Reason(row.reason),
        "ended_by": None if row.ended_by is None else By(row.ended_by),
        "talk_seconds": -(-(row.talk_ms if is_over else billable_ms) // 1_000),
        "elapsed_seconds": None if is_over else max(0, now_ms - since_ms) // 1_000,
        "units": row.units if is_over else units(tariff, billable_ms),
        "charged": live.meter.charged if live else row.charged_minor,
        "earned": row.earned_minor,
        "refunded": row.refunded_minor,
        "currency": tariff.currency,
        "quality": QualityView(caller=live.caller.quality, callee=live.callee.quality)
        if live
        else None,
    }


def _leg(device: str | None, live: LiveLeg | None) -> LegView:
    return LegView(
        device=live.device if live else device,
        here=live.here if live else None,
        media=live.media if live else None,
        quality=live.quality if live else None,
        relay=live.relay if live else None,
        audio=live.audio if live else None,
        video=live.video if live else None,
        hold=live.hold if live else None,
    )


def _meter(row: CallRow, live: LiveCall | None) -> MeterView:
    if live is None:
        return MeterView(
            running=row.state == State.CONNECTED,
            billable_ms=row.billable_ms,
            held=row.hold_minor,
            balance=None,
            funded_until=None,
        )
    return MeterView(
        running=live.meter.running,
        billable_ms=live.meter.billable_ms,
        held=live.meter.held,
        balance=live.meter.balance,
        funded_until=_moment(live.meter.funded_until),
    )


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else moment(at_ms)
