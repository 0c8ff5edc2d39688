"""The witness sees what it is there for."""

from typing import Any

from tests.faults.witness import Witness

CALL = "01a1fd97-fe37-7326-ac5a-7e093d090463"
FINAL = {"total": 240, "units": 2, "settled": True}


class Stand:
    """A witness on a socket that has been welcomed."""

    def __init__(self, *, leg: bool = True) -> None:
        self.faults: list[str] = []
        self.seq = 1
        self.witness = Witness("phone", self.faults.append, leg=leg)
        self.witness.heard({"type": "welcome", "seq": 1, "data": {}})

    def event(self, kind: str, rev: int | None, /, **data: Any) -> None:
        self.seq += 1
        frame = {"type": kind, "seq": self.seq, "call": CALL, "data": data}
        self.witness.heard(frame if rev is None else {**frame, "rev": rev})

    def tick(self, rev: int, unit: int, charged: int, total: int) -> None:
        self.event("call_tick", rev, unit=unit, charged=charged, total=total)

    def ok(self, name: str, **data: Any) -> None:
        self.witness.heard({"type": "ok", "re": name, "data": data})


def test_a_good_call_is_found_good() -> None:
    stand = Stand()
    stand.event("call_incoming", 1)
    stand.tick(2, 1, 120, 120)
    stand.event("signal", None, kind="offer")
    stand.tick(3, 2, 120, 240)
    stand.event("call_ended", 4, final=FINAL)
    stand.ok("c1", call=CALL, final=FINAL)
    stand.ok("c1", call=CALL, final=FINAL)
    assert stand.faults == []
    assert stand.witness.repeated == 1
    assert stand.witness.finals == {CALL: [FINAL]}
    assert stand.witness.calls[CALL].total == 240


def test_a_gap_in_seq_or_rev_is_blamed() -> None:
    stand = Stand()
    stand.event("call_incoming", 1)
    stand.seq += 1
    stand.event("call_ringing", 3)
    assert len(stand.faults) == 2


def test_a_call_that_another_node_took_over_goes_on_far_above() -> None:
    stand = Stand()
    stand.event("call_incoming", 7)
    stand.event("call_reconnecting", 1_000_001)
    stand.event("call_connected", 1_000_002)
    assert stand.faults == []
    assert [jump.call for jump in stand.witness.jumps] == [CALL]
    stand.event("call_reconnecting", 9)
    assert len(stand.faults) == 1


def test_a_jump_that_lands_in_the_middle_of_nowhere_is_blamed() -> None:
    stand = Stand()
    stand.event("call_incoming", 7)
    stand.event("call_reconnecting", 1_000_400)
    assert len(stand.faults) == 1


def test_a_takeover_that_a_new_session_reads_of_in_its_snapshot_is_a_jump_too() -> None:
    stand = Stand()
    stand.event("call_incoming", 7)
    call = {"id": CALL, "rev": 1_000_001, "state": "reconnecting"}
    stand.witness.heard({"type": "welcome", "seq": 1, "data": {"call": call}})
    stand.seq = 1
    stand.event("call_connected", 1_000_002)
    assert stand.faults == []
    assert len(stand.witness.jumps) == 1


def test_a_resumed_session_is_told_what_it_missed_after_a_snapshot_from_later() -> None:
    stand = Stand()
    call = {"id": CALL, "rev": 4, "state": "connected"}
    data = {"resumed": True, "replayTo": 3, "call": call}
    stand.witness.heard({"type": "welcome", "seq": 1, "data": data})
    stand.event("call_accepted", 3)
    stand.event("call_connected", 4)
    assert stand.faults == []
    stand.witness.heard({"type": "welcome", "seq": 1, "data": data})
    assert len(stand.faults) == 1


def test_where_parcels_are_lost_a_hole_must_be_mended_by_a_new_session() -> None:
    stand = Stand()
    stand.witness.lossy = True
    stand.event("call_incoming", 1)
    stand.event("call_connected", 4)
    assert (stand.faults, len(stand.witness.holes)) == ([], 1)
    stand.witness.heard({"type": "welcome", "seq": 1, "data": {}})
    assert stand.witness.holes == []
    stand.seq = 1
    stand.event("call_connected", 4)
    stand.event("call_ended", 8, final=FINAL)
    assert (stand.faults, stand.witness.holes) == ([], [])


def test_an_error_that_is_tried_on_purpose_is_forgiven_and_no_other() -> None:
    stand = Stand()
    stand.witness.heard({"type": "error", "re": "c1", "data": {"code": "internal"}})
    stand.witness.forgiven.add("internal")
    stand.witness.heard({"type": "error", "re": "c2", "data": {"code": "internal"}})
    assert len(stand.faults) == 1


def test_a_second_end_and_anything_after_the_end_are_blamed() -> None:
    stand = Stand()
    stand.event("call_ended", 4, final=FINAL)
    stand.event("call_ended", 5, final=FINAL)
    stand.tick(6, 3, 120, 360)
    assert len(stand.faults) == 2


def test_an_end_whose_books_were_open_may_be_told_again_when_they_are_closed() -> None:
    stand = Stand()
    stand.event("call_ended", 4, final={**FINAL, "settled": False})
    stand.event("call_ended", 5, final=FINAL)
    assert stand.faults == []


def test_totals_that_fall_and_slices_that_do_not_add_up_are_blamed() -> None:
    stand = Stand()
    stand.tick(1, 1, 120, 120)
    stand.tick(2, 2, 120, 250)
    stand.tick(3, 2, 120, 250)
    stand.event("call_ended", 4, final={**FINAL, "total": 120})
    assert len(stand.faults) == 3


def test_a_signal_to_a_device_that_is_no_leg_is_blamed() -> None:
    stand = Stand(leg=False)
    stand.event("signal", None, kind="offer")
    assert len(stand.faults) == 1


def test_another_answer_to_the_same_command_is_blamed() -> None:
    stand = Stand()
    stand.ok("c1", call=CALL)
    stand.witness.heard({"type": "error", "re": "c1", "data": {"code": "wrong_state"}})
    assert len(stand.faults) == 1


def test_another_call_for_the_same_request_is_blamed_across_sockets_too() -> None:
    stand = Stand()
    stand.ok("c1", call=CALL)
    stand.witness.heard({"type": "welcome", "seq": 1, "data": {}})
    stand.ok("c1", call="another")
    assert len(stand.faults) == 1


def test_what_was_missed_with_a_socket_is_no_gap() -> None:
    stand = Stand()
    stand.tick(2, 1, 120, 120)
    stand.witness.heard({"type": "welcome", "seq": 1, "data": {}})
    stand.seq = 1
    stand.tick(7, 4, 120, 480)
    assert stand.faults == []
