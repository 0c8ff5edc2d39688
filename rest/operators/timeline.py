"""What happened in a call, in order: its row, journals, postings, transfers and operators. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from rest.operators.call_bodies import ItemView, JournalView, TimelineAnswer, Value
from rest.operators.call_words import moment
from signalling.calls.journal import Entry, unpacked
from signalling.calls.oversight import LiveCall
from signalling.codes import State
from storage.call_journals import Kept
from storage.calls import CallRow, UnitRow
from storage.operator_calls import TRANSFERS_MAX, Audited, Moved, Owned

HOUSE = "house"


def timeline(
    owned: Owned,
    live: LiveCall | None,
    kept: Sequence[Kept],
    postings: Sequence[UnitRow],
    moved: Sequence[Moved],
    audited: Sequence[Audited],
) -> TimelineAnswer:
    """What happened at one moment stays in the order: row, journals by owner, money, operators."""
    row = owned.row
    journals = [_stored(each) for each in kept if live is None or each.claim != live.claim]
    items = [*_states(row), *(item for each in kept for item in _noted(unpacked(each.entries)))]
    if live is not None and live.journal is not None:
        written = {each.claim for each in kept}
        if live.claim not in written:
            items += _noted(live.journal.entries)
        journals.append(
            JournalView(
                claim=live.claim,
                node=owned.node or "",
                live=row.state != State.ENDED,
                left_out=live.journal.left_out,
                reports=live.journal.reports,
            )
        )
    currency = moved[0].currency if moved else ""
    items += [_tick(each, currency) for each in postings]
    items += [_transfer(each, row) for each in moved]
    items += [_audit(each) for each in audited]
    items.sort(key=lambda item: item.at)
    owners = 0 if owned.node is None else owned.claim + 1
    return TimelineAnswer(
        call_id=row.call_id,
        items=items,
        journals=journals,
        missing=max(0, owners - len(journals)),
        truncated=len(moved) == TRANSFERS_MAX,
    )


def _states(row: CallRow) -> Iterator[ItemView]:
    """What the call's own row says, also when nobody has left a journal."""
    for name, at_ms in (
        ("requested", row.created_ms),
        ("ringing", row.ringing_ms),
        ("accepted", row.accepted_ms),
        ("connected", row.connected_ms),
        ("ended", row.ended_ms),
    ):
        if at_ms is not None:
            details: dict[str, Value] = {}
            if name == "ended":
                details = {"reason": row.reason or "", "by": row.ended_by or ""}
            yield ItemView(
                at=moment(at_ms), lane="server", kind="state", name=name, details=details
            )


def _noted(entries: Iterable[Entry]) -> Iterator[ItemView]:
    for each in entries:
        fields = msgspec.to_builtins(each)
        yield msgspec.convert({**fields, "at": moment(each.at)}, ItemView)


def _stored(kept: Kept) -> JournalView:
    return JournalView(
        claim=kept.claim,
        node=kept.node,
        live=False,
        left_out=kept.left_out,
        reports=kept.reports,
    )


def _tick(posting: UnitRow, currency: str) -> ItemView:
    details: dict[str, Value] = {
        "n": posting.n,
        "amount": posting.charged_minor,
        "total": posting.total_minor,
        "currency": currency,
    }
    return _item(moment(posting.at_ms), "money", "tick", "charged", details)


def _transfer(moved: Moved, row: CallRow) -> ItemView:
    details: dict[str, Value] = {
        "operation": moved.operation,
        "amount": moved.amount_minor,
        "currency": moved.currency,
        "from": moved.from_kind,
        "fromOwner": _owner(moved.from_owner, row),
        "to": moved.to_kind,
        "toOwner": _owner(moved.to_owner, row),
    }
    return _item(moment(moved.at_ms), "money", "transfer", moved.code, details)


def _owner(user_id: UUID | None, row: CallRow) -> str:
    """caller, callee or house; the id of anybody else."""
    if user_id is None:
        return HOUSE
    names = {row.caller.user_id: "caller", row.callee.user_id: "callee"}
    return names.get(user_id, str(user_id))


def _audit(audited: Audited) -> ItemView:
    details: dict[str, Value] = {
        "by": str(audited.actor),
        "byName": audited.actor_name,
        "reason": audited.reason,
    }
    at = audited.at.replace(microsecond=audited.at.microsecond // 1_000 * 1_000)
    return _item(at, "operator", "audit", audited.action, details)


def _item(
    at: datetime,
    lane: Literal["money", "operator"],
    kind: Literal["tick", "transfer", "audit"],
    name: str,
    details: dict[str, Value],
) -> ItemView:
    return ItemView(at=at, lane=lane, kind=kind, name=name, details=details)
