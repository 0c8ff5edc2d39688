"""Figures of calls, from the states they go through; no clock and no socket is needed."""

from __future__ import annotations

import logging
from uuid import UUID

import pytest
from msgspec.structs import replace
from prometheus_client import generate_latest

from server.call_watch import CallWatch, charged_minor, lateness_ms, relayed_legs
from server.metrics import Metrics
from signalling.codes import By, Reason, State
from signalling.core import meter as metering
from signalling.core.call import open_call
from signalling.core.model import Call
from signalling.core.tariff import minute
from signalling.events import Final, Profile
from signalling.limits import CallLimits

START_MS = 1_800_000_000_000
SLICE_MS = 60_000


@pytest.fixture
def call() -> Call:
    opened, _ = open_call(
        call_id=UUID(int=3),
        kind="audio",
        connect_on="media",
        caller=Profile(user_id=UUID(int=1), name="Ann"),
        callee=Profile(user_id=UUID(int=2), name="Kai"),
        device="phone",
        has_socket=True,
        tariff=minute(100),
        held_minor=100,
        available_minor=400,
        limits=CallLimits(),
        note=None,
        created_ms=START_MS,
        now_ms=START_MS,
    )
    return opened


def connected(call: Call, at_ms: int) -> Call:
    meter = metering.run(call.meter, at_ms)
    return replace(call, state=State.CONNECTED, connected_ms=at_ms, meter=meter)


def ticked(call: Call, told_slice: int, charged: int) -> Call:
    return replace(call, meter=replace(call.meter, told_slice=told_slice, charged_minor=charged))


def value(metrics: Metrics, line: str) -> float:
    for each in generate_latest(metrics.registry).decode().splitlines():
        if each.startswith(f"{line} "):
            return float(each.split()[-1])
    raise AssertionError(f"{line} is not there")


def test_setup_and_ring_are_measured_from_the_request_once(call: Call) -> None:
    metrics = Metrics()
    watch = CallWatch(metrics)
    watch.moved(None, call, START_MS)
    rung = replace(call, state=State.RINGING, ringing_ms=START_MS + 200)
    watch.moved(call, rung, START_MS + 200)
    talking = connected(rung, START_MS + 3_000)
    watch.moved(rung, talking, START_MS + 3_000)
    away = replace(talking, state=State.RECONNECTING)
    watch.moved(talking, away, START_MS + 9_000)
    watch.moved(away, replace(away, state=State.CONNECTED), START_MS + 10_000)
    assert value(metrics, 'talktime_calls_started_total{kind="audio"}') == 1
    assert value(metrics, "talktime_call_ring_seconds_count") == 1
    assert value(metrics, "talktime_call_ring_seconds_sum") == pytest.approx(0.2)
    assert value(metrics, "talktime_call_setup_seconds_count") == 1
    assert value(metrics, "talktime_call_setup_seconds_sum") == pytest.approx(3.0)


def test_units_and_money_are_counted_as_they_are_told_and_the_rest_at_the_end(call: Call) -> None:
    metrics = Metrics()
    watch = CallWatch(metrics)
    before = connected(call, START_MS)
    for told, charged in ((0, 100), (2, 300)):  # The second posting was late: two units at once.
        after = ticked(before, told, charged)
        watch.moved(before, after, START_MS + told * SLICE_MS + 40)
        before = after
    assert value(metrics, "talktime_meter_ticks_total") == 3
    assert value(metrics, 'talktime_money_charged_minor_total{currency="PTS"}') == 300
    assert value(metrics, "talktime_meter_drift_seconds_sum") == pytest.approx(0.08)
    final = Final(ring_seconds=0, talk_seconds=200, billed_seconds=240, units=4, total=400)
    ended = replace(before, state=State.ENDED, reason=Reason.HANGUP, by=By.CALLER)
    watch.moved(before, ended, START_MS)
    watch.moved(ended, replace(ended, final=final), START_MS)
    assert value(metrics, 'talktime_money_charged_minor_total{currency="PTS"}') == 400
    assert value(metrics, 'talktime_calls_ended_total{reason="hangup"}') == 1


def test_lateness_is_counted_from_the_beginning_of_the_slice(call: Call) -> None:
    running = ticked(connected(call, START_MS + 500), 1, 200)
    assert lateness_ms(running, START_MS + 500 + SLICE_MS + 70) == 70
    paused = replace(running, meter=metering.pause(running.meter, START_MS + 1_000))
    assert lateness_ms(paused, START_MS + 2_000) is None


def test_a_settlement_that_failed_is_not_money(call: Call) -> None:
    final = Final(ring_seconds=0, talk_seconds=1, billed_seconds=60, units=2, total=200)
    talking = ticked(connected(call, START_MS), 0, 100)
    assert charged_minor(replace(talking, final=replace(final, settled=False))) == 100
    assert charged_minor(replace(talking, final=final)) == 200


def test_the_end_is_one_line_with_ids_and_figures(
    call: Call, caplog: pytest.LogCaptureFixture
) -> None:
    watch = CallWatch(Metrics())
    ended = replace(call, state=State.ENDED, reason=Reason.NO_ANSWER, by=By.SERVER)
    final = Final(ring_seconds=30, talk_seconds=0, billed_seconds=0, units=0, total=0)
    told = replace(ended, final=replace(final, settled=False))
    with caplog.at_level(logging.INFO):
        watch.moved(call, ended, START_MS)
        watch.moved(ended, told, START_MS)
        watch.moved(told, replace(ended, final=final), START_MS)
    (line,) = caplog.records
    said = {name: getattr(line, name) for name in ("call_id", "reason", "by", "units", "talk_s")}
    assert said == {
        "call_id": str(call.id),
        "reason": "no_answer",
        "by": "server",
        "units": 0,
        "talk_s": 0,
    }


def test_media_is_counted_by_route_and_timed_where_the_app_says(call: Call) -> None:
    metrics = Metrics()
    watch = CallWatch(metrics)
    for relay, ms in ((True, 400), (False, 90), (False, 0), (None, 0)):
        watch.flows(relay, ms)
    for route, legs in (("relay", 1), ("direct", 2), ("unknown", 1)):
        assert value(metrics, f'talktime_media_legs_total{{route="{route}"}}') == legs
    assert value(metrics, 'talktime_media_setup_seconds_sum{route="relay"}') == pytest.approx(0.4)
    assert value(metrics, 'talktime_media_setup_seconds_count{route="direct"}') == 1


def test_relayed_legs_are_those_that_last_said_so(call: Call) -> None:
    one = replace(call, caller=replace(call.caller, relay=True))
    both = replace(one, callee=replace(call.callee, relay=True))
    assert relayed_legs([call, one, both]) == 3
