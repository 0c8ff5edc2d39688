"""Calls in the words of history and receipts. Pure: rows and snapshots in, shapes out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from msgspec import UNSET

from rest.calls.bodies import CallView, OtherUser, UnitView
from signalling.codes import By, Party, Reason, State
from signalling.core.tariff import Tariff, units
from signalling.core.views import tariff_view
from signalling.events import Snapshot
from storage.calls import CallRow, UnitRow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_tariff = msgspec.json.Decoder(Tariff).decode
_LIVE = {
    State.REQUESTED: "initiated",
    State.RINGING: "ringing",
    State.ACCEPTED: "answered",
    State.CONNECTED: "answered",
    State.RECONNECTING: "answered",
}
_SHOWN = {
    Reason.DECLINED: "otomo_end",
    Reason.BUSY: "otomo_end",
    Reason.UNAVAILABLE: "otomo_end",
    Reason.CANCELLED: "user_end",
    Reason.NO_ANSWER: "timeout",
    Reason.UNREACHABLE: "timeout",
    Reason.MAX_DURATION: "timeout",
    Reason.CONNECT_FAILED: "network_lost",
    Reason.CONNECTION_LOST: "network_lost",
    Reason.BALANCE_EXHAUSTED: "no_point",
    Reason.ADMIN: "system_error",
    Reason.SERVER_ERROR: "system_error",
}


def status_of(state: State, reason: Reason | None, *, connected: bool) -> str:
    """initiated, ringing, answered; completed, cancelled or failed.

    Whoever has talked has completed a call, however it ended.
    """
    if state is not State.ENDED:
        return _LIVE[state]
    if connected:
        return "completed"
    if reason in (Reason.CANCELLED, Reason.HANGUP):
        return "cancelled"
    return "failed"


def shown_reason(reason: Reason | None, by: By | None) -> str | None:
    """Why a call ended, in the six words that people are shown; None while it lives."""
    if reason is None:
        return None
    if reason is Reason.HANGUP:
        return "otomo_end" if by is By.CALLEE else "user_end"
    return _SHOWN[reason]


def socket_url(base_url: str) -> str:
    """The address of the socket of a server at `base_url`, which is one of http or https."""
    return f"{base_url.rstrip('/')}/ws".replace("http", "ws", 1)


def moment(at_ms: int) -> datetime:
    """Unix ms as a UTC time, exactly."""
    return EPOCH + timedelta(milliseconds=at_ms)


def view_of_snapshot(snapshot: Snapshot, now_ms: int) -> CallView:
    """A call that the engine has in memory."""
    meter = snapshot.meter
    if snapshot.final is not UNSET:
        seconds = snapshot.final.talk_seconds
        billed, charged = snapshot.final.units, snapshot.final.total
    else:
        seconds = _since_s(snapshot.connected_at, snapshot.ended_at or now_ms)
        billed, charged = (meter.units, meter.charged) if meter is not None else (0, 0)
    peer = snapshot.peer
    return CallView(
        id=snapshot.id,
        call_id=snapshot.id,
        role=snapshot.role,
        with_user=OtherUser(id=peer.user_id, name=peer.name, avatar=peer.avatar_url),
        kind=snapshot.kind,
        type=snapshot.kind,
        state=snapshot.state,
        status=status_of(
            snapshot.state, snapshot.reason, connected=snapshot.connected_at is not None
        ),
        reason=snapshot.reason,
        by=snapshot.by,
        shown_reason=shown_reason(snapshot.reason, snapshot.by),
        connect_on=snapshot.connect_on,
        note=snapshot.note,
        created_at=moment(snapshot.created_at),
        ringing_at=_moment(snapshot.ringing_at),
        accepted_at=_moment(snapshot.accepted_at),
        started_at=_moment(snapshot.connected_at),
        ended_at=_moment(snapshot.ended_at),
        duration_seconds=seconds,
        billed_units=billed,
        billed_points=charged,
        cost=charged,
        currency=snapshot.tariff.currency,
        price_per_minute=snapshot.tariff.price_per_minute,
        tariff=snapshot.tariff,
    )


def view_of_row(row: CallRow, user_id: UUID, now_ms: int) -> CallView:
    """A stored call, as `user_id`, one of its two users, sees it."""
    role = Party.CALLER if row.caller.user_id == user_id else Party.CALLEE
    other = row.callee if role is Party.CALLER else row.caller
    state = State(row.state)
    reason = None if row.reason is None else Reason(row.reason)
    by = None if row.ended_by is None else By(row.ended_by)
    tariff = tariff_view(_tariff(row.tariff))
    return CallView(
        id=row.call_id,
        call_id=row.call_id,
        role=role,
        with_user=OtherUser(id=other.user_id, name=other.name, avatar=other.avatar_url),
        kind=row.kind,
        type=row.kind,
        state=state,
        status=status_of(state, reason, connected=row.connected_ms is not None),
        reason=reason,
        by=by,
        shown_reason=shown_reason(reason, by),
        connect_on=row.connect_on,
        note=row.note,
        created_at=moment(row.created_ms),
        ringing_at=_moment(row.ringing_ms),
        accepted_at=_moment(row.accepted_ms),
        started_at=_moment(row.connected_ms),
        ended_at=_moment(row.ended_ms),
        duration_seconds=_talk_s(row, now_ms),
        billed_units=_units(row),
        billed_points=row.charged_minor,
        cost=row.charged_minor,
        currency=tariff.currency,
        price_per_minute=tariff.price_per_minute,
        tariff=tariff,
    )


def unit_views(postings: list[UnitRow]) -> list[UnitView]:
    return [
        UnitView(minute=each.n - 1, charged_points=each.charged_minor, timestamp=moment(each.at_ms))
        for each in postings
    ]


def _units(row: CallRow) -> int:
    """Of a live call the row has no count yet, but its meter has the time."""
    if row.state == State.ENDED:
        return row.units
    return units(_tariff(row.tariff), row.billable_ms)


def _talk_s(row: CallRow, now_ms: int) -> int:
    if row.state == State.ENDED:
        return -(-row.talk_ms // 1000)
    return _since_s(row.connected_ms, now_ms)


def _since_s(start_ms: int | None, end_ms: int) -> int:
    return 0 if start_ms is None else max(0, end_ms - start_ms) // 1000


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else moment(at_ms)
