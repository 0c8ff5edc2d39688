"""The journal of a call: what happened in order, in words, bounded, and nothing that users say."""

from __future__ import annotations

import msgspec
import pytest

from signalling import events
from signalling.calls.journal import (
    FIRST_MAX,
    LAST_MAX,
    REQUESTED,
    TAKEN_OVER,
    Entry,
    Journal,
    Value,
    unpacked,
)
from signalling.codes import By, Party, Reason, State
from signalling.core import effects as made
from signalling.core import inputs
from signalling.events import Event, Final
from tests.signalling.harness import Node
from tests.signalling.pairs import OFFER, make_pair

CALLER, CALLEE = Party.CALLER, Party.CALLEE
SECRET = "a secret that nobody may read"
SPOKEN = "and another one"
TICK = events.CallTick(
    unit=1, charged=100, total=100, billed_seconds=60, funded_until=None, status="ok"
)


def short(journal: Journal) -> list[tuple[str, str, str]]:
    return [(each.lane, each.kind, each.name) for each in journal.entries()]


def one(given: inputs.Input | str, *effects: made.Effect) -> list[Entry]:
    journal = Journal()
    journal.note(7, given, effects)
    return journal.entries()


async def test_a_whole_call_can_be_read_in_order(node: Node) -> None:
    pair = await make_pair(node)
    await pair.connect()
    await pair.phone.ok("signal", call=pair.call, kind="offer", gen=1, sdp=OFFER)
    await pair.talk(60_000)
    journal = pair.host.journal
    await pair.phone.ok("call_end", call=pair.call)
    told = short(journal)
    wanted = [
        ("caller", "input", "call_request"),
        ("callee", "event", "call_incoming"),
        ("callee", "input", "rang"),
        ("callee", "input", "accepted"),
        ("callee", "input", "media_connected"),
        ("caller", "event", "call_connected"),
        ("money", "input", "charge_posted"),
        ("caller", "event", "call_tick"),
        ("caller", "input", "signal"),
        ("caller", "input", "hung_up"),
        ("money", "effect", "settle"),
        ("money", "input", "settled"),
        ("caller", "event", "call_ended"),
    ]
    places = [told.index(each) for each in wanted]
    assert places == sorted(places)
    at = [each.at for each in journal.entries()]
    assert at == sorted(at)
    assert journal.reports > 0, "media reports that change nothing are only counted"
    assert not any(name == "media_stats" for _, _, name in told)


async def test_nothing_that_is_said_in_a_call_is_in_it(node: Node) -> None:
    pair = await make_pair(node)
    await pair.connect(note=SECRET)
    sdp = OFFER + SPOKEN
    await pair.phone.ok("signal", call=pair.call, kind="offer", gen=1, sdp=sdp)
    await pair.phone.ok("chat_send", conversation=pair.call, text=SPOKEN)
    [signal] = [each for each in pair.host.journal.entries() if each.name == "signal"]
    assert signal.details == {"signal": "offer", "gen": 1, "bytes": signal.details["bytes"]}
    assert int(signal.details["bytes"]) > len(sdp)
    told = str(pair.host.journal.entries())
    assert SECRET not in told
    assert SPOKEN not in told
    assert SPOKEN not in repr(pair.host.journal._first), "nor is it kept alive"


def test_what_a_callee_says_to_a_rejection_is_left_out() -> None:
    final = Final(ring_seconds=1, talk_seconds=0, billed_seconds=0, units=0, total=0)
    event = events.CallRejected(
        reason=Reason.DECLINED, by=By.CALLEE, elsewhere=False, final=final, note=SECRET
    )
    rejected, told = one(inputs.Rejected("declined", SECRET), made.Tell(CALLER, event, 2))
    assert (rejected.lane, rejected.details) == ("callee", {"reason": "declined"})
    assert told.details == {"reason": "declined", "by": "callee"}


@pytest.mark.parametrize(
    ("given", "lane", "name", "details"),
    [
        (REQUESTED, "caller", "call_request", {}),
        (TAKEN_OVER, "server", "taken_over", {}),
        (inputs.Rang("tab"), "callee", "rang", {"device": "tab"}),
        (inputs.HungUp(CALLER), "caller", "hung_up", {}),
        (inputs.Stopped(By.ADMIN), "operator", "stopped", {"by": "admin"}),
        (inputs.Stopped(By.SERVER), "server", "stopped", {"by": "server"}),
        (inputs.MediaHook("rtp"), "server", "media_hook", {"kind": "rtp"}),
        (inputs.Funded(), "money", "funded", {}),
        (
            inputs.ChargePosted(100, 50, 7),
            "money",
            "charge_posted",
            {"charged": 100, "hold": 50, "available": 7},
        ),
        (
            inputs.SocketLost(CALLEE, "tab"),
            "callee",
            "socket_lost",
            {"device": "tab"},
        ),
    ],
)
def test_inputs_are_told_in_wire_words(
    given: inputs.Input | str, lane: str, name: str, details: dict[str, Value]
) -> None:
    assert one(given) == [Entry(at=7, lane=lane, kind="input", name=name, details=details)]


def test_what_changes_nothing_is_not_noted() -> None:
    journal = Journal()
    journal.note(1, inputs.TimerFired(), [])
    journal.note(2, inputs.MediaStats(CALLER, "phone", 1, 1.0, 0.0, 1.0), [])
    assert (len(journal), journal.reports) == (0, 1)
    poor = events.PeerQuality(leg=CALLER, quality="poor")
    stats = inputs.MediaStats(CALLER, "phone", 1, 1.0, 0.0, 1.0)
    journal.note(3, stats, [made.Tell(CALLEE, poor, only="tab")])
    assert [each.name for each in journal.entries()] == ["media_stats", "peer_quality"]


def test_one_event_is_noted_once_for_each_side_and_a_tick_once() -> None:
    ended = events.CallRinging(device="tab", expires_at=None)
    told = one(
        inputs.Rang("tab"),
        made.Tell(CALLER, ended, 1, only="phone"),
        made.Tell(CALLER, ended, 1, but="phone"),
        made.Tell(CALLER, TICK, 1),
        made.Tell(CALLEE, TICK, 1),
        made.PushIce(CALLER, "phone"),
        made.Note(State.RINGING, None, None, None),
        made.WakeCallee(),
    )
    names = [(each.lane, each.name) for each in told[1:]]
    assert names == [("caller", "call_ringing"), ("caller", "call_tick"), ("server", "wake_callee")]


def test_of_a_long_call_the_beginning_and_the_end_are_kept() -> None:
    journal = Journal()
    count = FIRST_MAX + LAST_MAX + 40
    for at_ms in range(count):
        journal.note(at_ms, inputs.ChargePosted(at_ms, 0, 0), [])
    entries = journal.entries()
    assert (len(journal), journal.left_out) == (FIRST_MAX + LAST_MAX, 40)
    assert [each.at for each in entries[:FIRST_MAX]] == list(range(FIRST_MAX))
    gap = entries[FIRST_MAX]
    assert (gap.kind, gap.name, gap.details) == ("gap", "left_out", {"count": 40})
    assert [each.at for each in entries[FIRST_MAX + 1 :]] == list(range(count - LAST_MAX, count))


def test_as_many_as_there_is_room_for_leave_no_gap() -> None:
    journal = Journal()
    for at_ms in range(FIRST_MAX + LAST_MAX):
        journal.note(at_ms, inputs.Funded(), [])
    assert journal.left_out == 0
    assert {each.kind for each in journal.entries()} == {"input"}


@pytest.mark.parametrize("kind", inputs.Input.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_input_has_small_details_without_texts(kind: type[inputs.Input]) -> None:
    allowed = {
        "device", "audio", "video", "hold", "reason", "why", "kind", "gen", "relay", "ms", "by",
        "inBytes", "rttMs", "loss", "jitterMs", "charged", "earned", "available", "billableMs",
        "bytes", "signal",
    }  # fmt: skip
    types = {field.name: field.type for field in msgspec.structs.fields(kind)}
    values = {name: b"{}" if name == "data" else 1 for name in types}
    if "party" in values:
        values["party"] = CALLER  # type: ignore[assignment]
    for entry in one(kind(**values)):
        assert set(entry.details) <= allowed


def test_every_event_of_a_call_is_known() -> None:
    """An event that is added says here what of it may be read."""
    from signalling.calls.journal import _EVENTS

    outside = {
        "welcome", "ice_servers", "notification", "notifications_read", "presence_updated",
        "chat_message", "chat_read", "chat_typing", "draining",
    }  # fmt: skip
    known: set[type[Event]] = set(_EVENTS)
    assert {kind.TYPE for kind in events.EVENTS if kind not in known} == outside


def candidates(party: Party, gen: int = 1, size: int = 10) -> inputs.Signalled:
    return inputs.Signalled(party, "phone", "candidates", gen, b"x" * size)


def test_candidates_that_only_signals_came_between_are_one_entry_of_each_side() -> None:
    journal = Journal()
    for at_ms in range(3):
        journal.note(at_ms, candidates(CALLER), [])
        journal.note(at_ms, candidates(CALLEE, size=7), [])
    journal.note(3, inputs.Signalled(CALLEE, "tab", "answer", 1, b"x"), [])
    journal.note(4, candidates(CALLER), [])
    assert [(each.at, each.lane, each.details) for each in journal.entries()] == [
        (0, "caller", {"signal": "candidates", "gen": 1, "bytes": 40, "count": 4}),
        (0, "callee", {"signal": "candidates", "gen": 1, "bytes": 21, "count": 3}),
        (3, "callee", {"signal": "answer", "gen": 1, "bytes": 1}),
    ]


def test_candidates_after_something_else_or_of_another_generation_are_another_entry() -> None:
    journal = Journal()
    for gen in (1, 2, 1):
        journal.note(gen, candidates(CALLER, gen), [])
    journal.note(5, inputs.Funded(), [])
    journal.note(6, candidates(CALLER), [])
    counts = [each.details.get("count", 1) for each in journal.entries() if each.details]
    assert counts == [1, 1, 1, 1]


def test_what_is_stored_reads_as_what_was_noted() -> None:
    journal = Journal()
    journal.note(1, REQUESTED, [made.Tell(CALLER, TICK, 1)])
    for at_ms in range(FIRST_MAX + LAST_MAX):
        journal.note(at_ms, inputs.ChargePosted(100, 50, 7), [])
    assert journal.left_out
    assert unpacked(journal.packed()) == journal.entries()
    assert Journal().packed() == b"[]"
    assert unpacked(b"[]") == []


def test_what_was_stored_with_names_is_still_read() -> None:
    entries = one(inputs.ChargePosted(100, 50, 7))
    assert unpacked(msgspec.json.encode(entries)) == entries
