"""Stored calls as the wire shows them: history for the welcome and for repeated requests."""

import msgspec

from signalling.codes import By, Party, Reason, State
from signalling.core.meter import billed_ms
from signalling.core.tariff import Tariff
from signalling.core.views import tariff_view
from signalling.events import Final, Legs, LegView, MediaView, Profile, RecentCall, Snapshot
from storage.calls import CallRow, Person

_tariff = msgspec.json.Decoder(Tariff)
_NO_MEDIA = MediaView(audio=False, video=False, hold=False)


def profile(person: Person) -> Profile:
    return Profile(user_id=person.user_id, name=person.name, avatar_url=person.avatar_url)


def read_tariff(raw: bytes) -> Tariff:
    return _tariff.decode(raw)


def final_of(row: CallRow) -> Final:
    """What a stored, ended call came to; `settled` is true, for the row is the books."""
    answered_ms = row.accepted_ms if row.accepted_ms is not None else row.ended_ms
    ring_ms = 0
    if row.ringing_ms is not None and answered_ms is not None:
        ring_ms = max(0, answered_ms - row.ringing_ms)
    return Final(
        ring_seconds=ring_ms // 1000,
        talk_seconds=-(-row.talk_ms // 1000),
        billed_seconds=billed_ms(read_tariff(row.tariff), row.billable_ms) // 1000,
        units=row.units,
        total=row.charged_minor,
    )


def recent_of(row: CallRow, party: Party) -> RecentCall:
    assert row.reason is not None
    assert row.ended_by is not None
    assert row.ended_ms is not None
    peer = row.callee if party is Party.CALLER else row.caller
    return RecentCall(
        id=row.call_id,
        role=party,
        peer=profile(peer),
        reason=Reason(row.reason),
        by=By(row.ended_by),
        ended_at=row.ended_ms,
        final=final_of(row),
    )


def snapshot_of(row: CallRow, party: Party, device: str) -> Snapshot:
    """An ended call as a snapshot: the answer to a request that is sent again after its end."""
    peer = row.callee if party is Party.CALLER else row.caller
    return Snapshot(
        id=row.call_id,
        state=State(row.state),
        rev=0,
        kind=row.kind,
        connect_on=row.connect_on,
        role=party,
        peer=profile(peer),
        legs=Legs(
            caller=LegView(device=row.caller_device, connected=False, media=_NO_MEDIA),
            callee=LegView(device=row.callee_device, connected=False, media=_NO_MEDIA),
        ),
        you="active" if device == row.caller_device else "elsewhere",
        tariff=tariff_view(read_tariff(row.tariff)),
        created_at=row.created_ms,
        ringing_at=row.ringing_ms,
        accepted_at=row.accepted_ms,
        connected_at=row.connected_ms,
        ended_at=row.ended_ms,
        expires_at=None,
        gen=0,
        note=row.note,
        meter=None,
        reason=None if row.reason is None else Reason(row.reason),
        by=None if row.ended_by is None else By(row.ended_by),
        final=final_of(row),
    )
