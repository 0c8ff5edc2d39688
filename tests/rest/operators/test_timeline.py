"""The order of a timeline, and what of it comes from where."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
from msgspec.structs import replace

from rest.operators.call_words import moment
from rest.operators.timeline import timeline
from signalling.calls.journal import Entry
from signalling.calls.oversight import LiveJournal
from storage.call_journals import Kept
from storage.calls import UnitRow
from storage.operator_calls import TRANSFERS_MAX, Audited, Moved, Owned
from tests.rest.operators.test_call_words import AT_MS, LIVE, ROW

AT = datetime(2027, 1, 15, 8, 0, 2, 345_678, tzinfo=UTC)
MOVED = Moved(
    AT_MS + 2_345, "call_charge", "call_earning", 70, "PTS", "call_credits", ROW.caller.user_id,
    "earnings_pending", ROW.callee.user_id,
)  # fmt: skip
OWNED = Owned(ROW, "main", 4, 1)


def entry(ms: int, name: str) -> Entry:
    return Entry(at=AT_MS + ms, lane="caller", kind="input", name=name, details={"gen": 1})


def kept(claim: int, *entries: Entry) -> Kept:
    return Kept(claim, f"node{claim}", msgspec.json.encode(list(entries)), 3, 4, AT)


def test_all_that_happened_is_in_order_and_journals_before_money() -> None:
    found = timeline(
        OWNED,
        None,
        [kept(0, entry(0, "first"), entry(2_000, "second")), kept(1, entry(3_000, "third"))],
        [UnitRow(1, 100, 100, AT_MS + 2_000)],
        [MOVED],
        [Audited(AT.replace(second=9), UUID(int=9), "Root", "call.end", "Why not.")],
    )
    assert [each.name for each in found.items] == [
        "requested", "first", "ringing", "accepted", "second", "charged", "call_earning", "third",
        "call.end",
    ]  # fmt: skip
    assert [(each.claim, each.node, each.live) for each in found.journals] == [
        (0, "node0", False),
        (1, "node1", False),
    ]
    assert (found.missing, found.truncated) == (0, False)


def test_moments_are_of_milliseconds() -> None:
    audited = Audited(AT, UUID(int=9), "Root", "call.end", "Why not.")
    [transfer, audit] = timeline(OWNED, None, [], [], [MOVED], [audited]).items[-2:]
    assert transfer.at == audit.at == AT.replace(microsecond=345_000)
    assert transfer.details["fromOwner"] == "caller"


def test_accounts_of_others_are_told_by_their_id() -> None:
    other = UUID(int=77)
    moved = [replace(MOVED, to_owner=other), replace(MOVED, to_owner=None)]
    items = timeline(OWNED, None, [], [], moved, []).items
    owners = [each.details["toOwner"] for each in items if each.kind == "transfer"]
    assert owners == [str(other), "house"]


def test_a_live_journal_is_not_told_twice() -> None:
    """It may have been written between the two questions."""
    journal = LiveJournal(entries=[entry(3_000, "live")], left_out=1, reports=2)
    live = replace(LIVE, claim=1, journal=journal)
    found = timeline(OWNED, live, [kept(0), kept(1, entry(3_000, "stored"))], [], [], [])
    names = [each.name for each in found.items]
    assert "stored" in names
    assert "live" not in names
    assert [each.claim for each in found.journals] == [0, 1]
    found = timeline(OWNED, live, [kept(0)], [], [], [])
    assert "live" in [each.name for each in found.items]
    assert (found.journals[1].left_out, found.journals[1].reports) == (1, 2)
    assert (found.journals[1].live, found.missing) == (True, 0)


def test_owners_without_a_journal_are_missing() -> None:
    assert timeline(OWNED, None, [kept(1)], [], [], []).missing == 1
    assert timeline(OWNED, None, [], [], [], []).missing == 2
    assert timeline(Owned(ROW), None, [], [], [], []).missing == 0


def test_too_many_transfers_are_said_to_be() -> None:
    assert timeline(OWNED, None, [], [], [MOVED] * TRANSFERS_MAX, []).truncated is True


def test_the_end_says_why() -> None:
    ended = replace(ROW, state="ended", reason="busy", ended_by="server", ended_ms=AT_MS + 9)
    item = timeline(Owned(ended), None, [], [], [], []).items[1]
    assert (item.name, item.at) == ("ended", moment(AT_MS + 9))
    assert item.details == {"reason": "busy", "by": "server"}
