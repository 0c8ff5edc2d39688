"""Recorded frames of a good call are taken; each planted fault is found, and shown."""

import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from signalling.client.load import checks
from signalling.client.load.checks import Witness
from signalling.client.load.measure import Violation

Json = dict[str, Any]
CALL = "01900000-0000-7000-8000-00000000000a"
OTHER = "01900000-0000-7000-8000-00000000000b"
TARIFF = {
    "name": "minute",
    "pricePerMinute": 100,
    "currency": "PTS",
    "firstMs": 60_000,
    "nextMs": 60_000,
    "freeMs": 0,
    "connectFee": 0,
}
FINAL = {"ringSeconds": 3, "talkSeconds": 8, "billedSeconds": 60, "units": 1, "total": 100}


def snapshot(call: str = CALL, **changed: object) -> Json:
    base = {"id": call, "state": "requested", "rev": 1, "role": "callee", "acceptedAt": None}
    return {**base, "tariff": TARIFF, **changed}


def event(
    name: str, seq: int, rev: int | None = None, about: str = CALL, /, **data: object
) -> Json:
    numbers = {} if rev is None else {"rev": rev}
    return {"type": name, "seq": seq, "call": about, **numbers, "ts": 1, "data": data}


def tick(seq: int, rev: int, unit: int, total: int, charged: int = 100) -> Json:
    return event("call_tick", seq, rev, unit=unit, charged=charged, total=total)


def ended(seq: int, rev: int, **final: object) -> Json:
    whole = {**FINAL, "settled": True, **final}
    return event("call_ended", seq, rev, reason="hangup", by="caller", final=whole)


def welcome(seq: int = 1, **data: object) -> Json:
    return {"type": "welcome", "seq": seq, "data": {"resumed": False, "recent": [], **data}}


def good_call() -> list[Json]:
    """What a callee's leg is told of a call with one unit."""
    return [
        welcome(secret="hidden-secret"),
        event("call_incoming", 2, 1, call=CALL, caller={}) | {"data": {"call": snapshot()}},
        event("call_ringing", 3, 2),
        event("call_accepted", 4, 3, elsewhere=False),
        event("signal", 5, kind="offer"),
        event("call_connected", 6, 4),
        tick(7, 5, 1, 100),
        event("wallet_updated", 8, reason="earnings", earnings=70),
        ended(9, 6),
    ]


class Listening:
    def __init__(self, *, leg: bool = True) -> None:
        self.found: list[Violation] = []
        self.witness = Witness("load-callee", self.found.append, leg=leg)

    def hear(self, *frames: Json) -> "Listening":
        for frame in frames:
            self.witness.heard(msgspec.json.encode(frame))
            if frame["type"] == "call_accepted":
                self.witness.reported_media(CALL)
        return self

    @property
    def rules(self) -> list[str]:
        return [violation.rule for violation in self.found]


def test_a_good_call_keeps_every_promise() -> None:
    heard = Listening().hear(*good_call())
    heard.witness.finish()
    assert heard.found == []
    assert heard.witness.earned == {CALL: 70}
    assert heard.witness.calls[CALL].final is not None


def without(index: int) -> Callable[[list[Json]], list[Json]]:
    return lambda frames: frames[:index] + frames[index + 1 :]


def doubled(index: int) -> Callable[[list[Json]], list[Json]]:
    return lambda frames: frames[: index + 1] + frames[index:]


def instead(index: int, frame: Json) -> Callable[[list[Json]], list[Json]]:
    return lambda frames: [*frames[:index], frame, *frames[index + 1 :]]


def followed(*more: Json) -> Callable[[list[Json]], list[Json]]:
    return lambda frames: [*frames, *more]


PLANTED = {
    "a hole in seq": (instead(3, event("call_accepted", 5, 3, elsewhere=False)), "seq"),
    "an event twice": (doubled(4), "seq"),
    "a hole in rev": (instead(6, tick(7, 6, 1, 100)), "rev"),
    "a rev twice": (instead(6, tick(7, 4, 1, 100)), "rev"),
    "two ends": (followed(ended(10, 7)), "one end"),
    "an event after the end": (followed(tick(10, 7, 2, 200)), "one end"),
    "a signal after the end": (followed(event("signal", 10, kind="end")), "one end"),
    "a signal before the answer": (instead(3, event("signal", 4, kind="offer")), "legs only"),
    "a unit left out": (instead(6, tick(7, 5, 2, 100)), "ticks"),
    "a sum that is none": (instead(6, tick(7, 5, 1, 150)), "ticks"),
    "an end below the ticks": (instead(8, ended(9, 6, total=0, units=0)), "ticks"),
    "a price that is none": (instead(8, ended(9, 6, total=130)), "ticks"),
    "time that was not": (instead(8, ended(9, 6, billedSeconds=180, units=3, total=300)), "billed"),
    "a second live call": (
        instead(
            5,
            event("call_incoming", 6, 1, OTHER, call=snapshot(OTHER)),
        ),
        "one live call",
    ),
    "earnings twice": (
        followed(event("wallet_updated", 10, reason="earnings", earnings=70)),
        "one end",
    ),
    "a welcome with another number": (instead(0, welcome(2)), "seq"),
    "no mistake of ours": (
        followed({"type": "error", "re": None, "data": {"code": "internal", "incident": "x"}}),
        "no mistakes",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found(name: str) -> None:
    plant, rule = PLANTED[name]
    heard = Listening().hear(*plant(good_call()))
    assert any(found.startswith(rule) for found in heard.rules), heard.found


def test_a_call_without_an_end_is_found_when_all_is_quiet() -> None:
    heard = Listening().hear(*good_call()[:-1])
    heard.witness.finish()
    assert heard.rules == ["one end"]


def test_a_violation_shows_the_frames_around_it_without_secrets() -> None:
    heard = Listening()
    heard.hear(welcome(secret="hidden-secret"))
    heard.witness.sent(b'{"type":"call_end"}')
    heard.hear(event("call_ringing", 4, 2))
    [violation] = heard.found
    assert violation.device == "load-callee"
    assert [frame[0] for frame in violation.frames] == ["<", ">", "<"]
    assert "call_ringing" in violation.frames[-1]
    assert "hidden-secret" not in "".join(violation.frames)


def test_many_signals_leave_room_for_what_else_there_was() -> None:
    heard = Listening().hear(*good_call()[:4])
    heard.hear(*(event("signal", 5 + number, kind="candidates") for number in range(40)))
    heard.hear(event("call_connected", 99, 4))
    [violation] = heard.found
    kinds = [msgspec.json.decode(frame[2:])["type"] for frame in violation.frames]
    assert kinds == [
        *("welcome", "call_incoming", "call_ringing", "call_accepted"),
        *["signal"] * checks.SIGNALS_SHOWN,
        "call_connected",
    ]


def test_a_device_that_only_watches_gets_no_signal_and_is_elsewhere() -> None:
    heard = Listening(leg=False).hear(welcome(), event("call_accepted", 2, 3, elsewhere=True))
    assert heard.found == []
    heard.hear(event("signal", 3, kind="offer"))
    assert heard.rules == ["legs only"]
    heard = Listening(leg=False).hear(welcome(), event("call_accepted", 2, 3, elsewhere=False))
    assert heard.rules == ["legs only"]


def test_a_resumed_session_goes_on_where_it_was() -> None:
    frames = good_call()
    resumed = welcome(6, resumed=True, replayTo=7)
    heard = Listening().hear(*frames[:6], resumed, *frames[6:])
    assert heard.found == []
    assert heard.witness.resumes == 1
    gone = Listening().hear(*frames[:6], resumed, *frames[7:])
    assert set(gone.rules) == {"seq", "rev"}
    wrong = Listening().hear(*frames[:6], welcome(5, resumed=True))
    assert wrong.rules == ["seq"]


def test_a_new_session_begins_with_a_snapshot_and_may_have_missed_units() -> None:
    live = snapshot(rev=9, state="connected", acceptedAt=1)
    anew = welcome(call=live)
    heard = Listening().hear(*good_call()[:6], anew, tick(2, 10, 4, 400), ended(3, 11, total=400))
    assert heard.rules == ["ticks"]  # 1 unit for 400: the price does not fit.
    assert heard.witness.lost_sessions == 1


def test_a_call_that_has_ended_does_not_live_again() -> None:
    heard = Listening().hear(*good_call(), welcome(call=snapshot(state="connected", rev=4)))
    assert heard.rules == ["one end"]


def test_another_node_may_take_over_far_above() -> None:
    frames = good_call()[:6]
    heard = Listening().hear(*frames, event("call_reconnecting", 7, 1_000_001))
    assert heard.found == []


def answer(name: str = "ok", command: str = "r1", **data: object) -> Json:
    return {"type": name, "re": command, "data": data}


def test_the_same_command_has_the_same_answer() -> None:
    first = answer(call=snapshot(role="caller"))
    later = answer(call=snapshot(role="caller", rev=3, state="accepted"))
    heard = Listening().hear(welcome(), first, later)
    assert (heard.found, heard.witness.repeated) == ([], 1)
    heard.hear(answer("error", code="wrong_state"))
    assert heard.rules == ["same answer"]
    assert Listening().hear(first, answer(call=snapshot(OTHER))).rules == ["same answer"]


def test_what_is_to_be_tried_again_is_no_answer() -> None:
    busy = answer("error", code="unavailable", retryAfterMs=1)
    assert Listening().hear(busy, answer(call=snapshot())).found == []


def test_what_a_call_came_to_is_said_once_and_for_all() -> None:
    heard = Listening().hear(*good_call(), answer(call=CALL, final={**FINAL, "settled": True}))
    assert heard.found == []
    heard.hear(answer(command="e2", call=CALL, final={**FINAL, "settled": True, "total": 200}))
    assert heard.rules == ["same answer"]
    unsure = good_call()[:-1]
    late = Listening().hear(*unsure, ended(9, 6, settled=False, total=0), ended(10, 7))
    assert late.found == []


def test_time_is_billed_up_to_a_unit_beyond_what_was_proved(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now_s[0])
    frames = good_call()[:-1]
    heard = Listening().hear(*frames)
    now_s[0] += 121
    heard.hear(ended(9, 6, billedSeconds=180, units=3, total=300))
    assert heard.found == []


def test_what_is_no_frame_is_a_violation() -> None:
    heard = Listening()
    with pytest.raises(msgspec.DecodeError):
        heard.witness.heard(b'{"seq": 1}')
    assert heard.rules == ["frames"]


def test_old_calls_are_forgotten() -> None:
    heard = Listening().hear(welcome())
    for number in range(200):
        call = f"01900000-0000-7000-8000-{number:012}"
        whole = {**FINAL, "settled": True, "total": 0, "units": 0, "billedSeconds": 0}
        heard.hear(
            event("call_rejected", 2 + number, 1, call, reason="busy", by="callee", final=whole)
        )
    assert heard.found == []
    assert len(heard.witness.calls) <= checks.CALLS_MAX
