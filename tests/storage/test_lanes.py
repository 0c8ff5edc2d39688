from uuid import UUID

from msgspec.structs import replace

from storage.ids import new_id
from storage.lanes import Lanes, answer, merge
from storage.works import Authorise, Charged, Note, Noted, NoteLegs, Outcome, Settled, Work
from tests.storage.world import NOW_MS, TARIFF, charge_of, settle_of


def ignore(_outcome: Outcome) -> None:
    pass


def call_of(*, payer: int = 1, caller: UUID | None = None, callee: UUID | None = None) -> Authorise:
    return Authorise(
        call_id=new_id(),
        caller_id=caller or new_id(),
        callee_id=callee or new_id(),
        caller_device="phone",
        request_id=None,
        kind="audio",
        connect_on="media",
        note=None,
        tariff=TARIFF,
        hold_minor=0,
        payer=payer,
        payee=None,
        platform=9,
        created_ms=NOW_MS,
    )


def taken(lanes: Lanes, limit: int = 100, now_s: float = 0.0) -> list[Work]:
    return [item.work for item in lanes.take(limit, now_s)]


def test_one_item_of_each_call_is_taken_in_the_order_of_arrival() -> None:
    lanes = Lanes()
    first, second = call_of(payer=1), call_of(payer=2)
    for work in (first, second, charge_of(first, 1)):
        lanes.put(work, ignore, 0)
    items = lanes.take(100, 0.0)
    assert [item.work for item in items] == [first, second]
    assert lanes.take(100, 0.0) == []
    for item in items:
        lanes.remove(item)
    assert taken(lanes) == [charge_of(first, 1)]


def test_no_more_than_the_limit_is_taken() -> None:
    lanes = Lanes()
    works = [call_of(payer=n) for n in range(5)]
    for work in works:
        lanes.put(work, ignore, 0)
    assert taken(lanes, limit=3) == works[:3]
    assert taken(lanes, limit=3) == works[3:]


def test_when_there_are_too_many_new_calls_come_after_the_others_and_notes_last() -> None:
    lanes = Lanes()
    note = Note(call_id=new_id(), state="ringing", ringing_ms=NOW_MS)
    new, old, over = call_of(payer=1), call_of(payer=2), call_of(payer=3)
    works = [note, new, charge_of(old, 1), settle_of(over, 1)]
    for work in works:
        lanes.put(work, ignore, 0)
    assert taken(lanes, limit=3) == [works[2], works[3], new]
    assert taken(lanes, limit=3) == [note]


def test_calls_that_share_a_user_are_not_taken_together() -> None:
    lanes = Lanes()
    first = call_of(payer=1)
    same_callee = call_of(payer=2, callee=first.callee_id)
    crossing = call_of(payer=3, caller=first.callee_id)
    apart = call_of(payer=4)
    for work in (first, same_callee, crossing, apart):
        lanes.put(work, ignore, 0)
    items = lanes.take(100, 0.0)
    assert [item.work for item in items] == [first, apart]
    for item in items:
        lanes.remove(item)
    assert taken(lanes) == [same_callee]


def test_charges_of_one_payer_are_not_taken_together() -> None:
    lanes = Lanes()
    first, second = call_of(payer=1), call_of(payer=1)
    lanes.put(charge_of(first, 1), ignore, 0)
    lanes.put(charge_of(second, 1), ignore, 0)
    lanes.put(settle_of(call_of(payer=1), 1), ignore, 0)
    assert len(taken(lanes)) == 2


def test_an_item_put_off_is_taken_when_it_is_due() -> None:
    lanes = Lanes()
    item = lanes.put(call_of(), ignore, 0)
    assert lanes.next_s() == 0.0
    item.after_s = 7.0
    assert lanes.next_s() == 7.0
    assert taken(lanes, now_s=6.9) == []
    assert taken(lanes, now_s=7.0) == [item.work]


def test_a_taken_item_is_not_merged_until_it_is_put_back() -> None:
    lanes = Lanes()
    call = call_of()
    lanes.put(charge_of(call, 1), ignore, 5)
    [item] = lanes.take(100, 0.0)
    lanes.put(charge_of(call, 2), ignore, 6)
    lanes.put(charge_of(call, 3), ignore, 7)
    assert len(lanes) == 2
    lanes.put_back(item)
    assert len(lanes) == 1
    [merged] = lanes.take(100, 0.0)
    assert merged.work == charge_of(call, 3)
    assert merged.put_ms == 5
    assert [work for work, _ in merged.asked] == [charge_of(call, n) for n in (1, 2, 3)]


def test_the_oldest_of_what_is_left_is_known() -> None:
    lanes = Lanes()
    first, second = call_of(payer=1), call_of(payer=2)
    lanes.put(first, ignore, 3)
    lanes.put(second, ignore, 4)
    lanes.put(charge_of(first, 1), ignore, 5)
    items = lanes.take(100, 0.0)
    assert lanes.oldest_ms([]) == 3
    assert lanes.oldest_ms(items[:1]) == 4
    assert lanes.oldest_ms(items) == 5
    lanes.remove(items[0])
    [last] = lanes.take(100, 0.0)
    assert lanes.oldest_ms([items[1], last]) is None


def test_draining_leaves_nothing() -> None:
    lanes = Lanes()
    call = call_of()
    lanes.put(call, ignore, 0)
    lanes.put(charge_of(call, 1), ignore, 0)
    assert [item.work for item in lanes.drain()] == [call, charge_of(call, 1)]
    assert len(lanes) == 0
    assert lanes.next_s() is None
    assert lanes.oldest_ms([]) is None


def test_a_charge_keeps_the_moment_of_connection_of_the_one_it_replaces() -> None:
    call = call_of()
    merged = merge(charge_of(call, 1, connected_ms=NOW_MS), charge_of(call, 2))
    assert merged == charge_of(call, 2, connected_ms=NOW_MS)
    again = merge(charge_of(call, 1, connected_ms=1), charge_of(call, 2, connected_ms=2))
    assert again == charge_of(call, 2, connected_ms=2)


def test_notes_add_up() -> None:
    call_id = new_id()
    older = Note(call_id=call_id, state="ringing", ringing_ms=1, callee_device="tablet")
    newer = Note(call_id=call_id, state="accepted", accepted_ms=2)
    assert merge(older, newer) == Note(
        call_id=call_id, state="accepted", ringing_ms=1, accepted_ms=2, callee_device="tablet"
    )


def legs_of(call: Authorise, caller_device: str = "watch") -> NoteLegs:
    return NoteLegs(call_id=call.call_id, caller_device=caller_device, callee_device="tablet")


def test_works_of_different_meaning_stay_apart() -> None:
    call = call_of()
    note, charge = Note(call_id=call.call_id, state="ringing"), charge_of(call, 1)
    legs, settle = legs_of(call), settle_of(call, 1)
    for other in (note, charge):
        assert merge(legs, other) is merge(other, legs) is None
    assert merge(call, charge) is None
    assert merge(note, charge) is None
    assert merge(charge, note) is None
    assert merge(settle, settle) is None
    assert merge(note, settle) is merge(charge, settle) is merge(legs, settle) is settle


def test_of_those_who_take_a_leg_the_last_one_counts() -> None:
    call, lanes = call_of(), Lanes()
    lanes.put(legs_of(call), ignore, 1)
    lanes.put(legs_of(call, "desk"), ignore, 2)
    assert lanes.oldest_ms([]) is None, "no money depends on it"
    assert taken(lanes) == [legs_of(call, "desk")]


def test_askers_hear_what_they_asked_for() -> None:
    call = call_of()
    settled = Settled(True, 120, 84, 1, 1, 500)
    assert answer(charge_of(call, 1), settled) == Charged(120, 84, 0, 500)
    assert answer(charge_of(call, 2), settled) == Charged(120, 84, 0, 500, True)
    assert answer(Note(call_id=call.call_id, state="ringing"), settled) == Noted()
    assert answer(legs_of(call), settled) == Noted()
    assert answer(settle_of(call, 1), settled) is settled
    newer = Charged(240, 168, 120, 1)
    assert answer(replace(charge_of(call, 1), running=False), newer) is newer
