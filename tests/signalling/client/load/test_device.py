"""Devices, against a whole server."""

import time
from random import Random

import msgspec
import pytest

from signalling.client.load.crew import Crew
from signalling.client.load.device import CALL_FRAMES, Device, Login, Meter, Pair, code_of
from signalling.client.load.line import Address, UpgradeRefused
from signalling.client.load.plan import Plan
from signalling.client.load.talk import Talk
from signalling.limits import RATES
from tests.signalling.client.load.conftest import Town
from tests.signalling.client.waiting import until

NOBODY = Login("01900000-0000-7000-8000-000000000001", "no token")
HERE = "http://127.0.0.1:9"


def crew_of(town_url: str, pairs: list[Pair]) -> Crew:
    return Crew(Meter(), town_url, pairs, Random(1))


async def test_a_device_that_loses_its_socket_comes_back_to_its_session(town: Town) -> None:
    crew = crew_of(town.url, await town.pairs(1))
    await crew.connect()
    caller = crew.couples[0].caller
    assert caller._line is not None
    caller._line.abort()
    await until(lambda: not caller.connected)
    assert crew.take() is None
    await until(lambda: caller.connected, timeout_s=20)
    assert caller.witness.resumes == 1
    assert crew.meter.tally.errors == {"socket": {"closed_1006": 1}}
    assert crew.meter.users == 2
    await crew.close()
    assert crew.meter.tally.violations == []


async def test_a_call_that_an_earlier_run_has_left_is_ended(town: Town) -> None:
    pairs = await town.pairs(1)
    first = crew_of(town.url, pairs)
    await first.connect()
    caller, callee = first.couples[0].caller, first.couples[0].callee
    wish = {"type": "call_request", "id": "r1", "data": {"toUserId": callee.login.user_id}}
    assert (await caller.command("r1", msgspec.json.encode(wish))).type == "ok"
    for device in first.devices:
        device.cut()
    again = crew_of(town.url, pairs)
    await again.connect()
    told = [device.witness.calls for device in again.devices]
    await until(lambda: any(each.end for calls in told for each in calls.values()))
    await first.close()
    await again.close()


async def test_pings_and_proofs_are_sent_when_they_are_due(town: Town) -> None:
    crew = crew_of(town.url, await town.pairs(1))
    await crew.connect()
    caller = crew.couples[0].caller
    before = crew.meter.tally.sent
    now_s = time.perf_counter() + 100
    caller.pause()
    caller.beat(now_s)
    assert crew.meter.tally.sent == before
    caller.resume()
    caller.beat(now_s)
    caller.beat(now_s + 1)
    assert crew.meter.tally.sent == before + 1
    caller.media("01900000-0000-7000-8000-00000000000a")
    caller.beat(now_s + 9)
    assert crew.meter.tally.sent == before + 4  # The report, a ping and a proof.
    await until(lambda: crew.meter.tally.errors.get("report", {}).get("not_found", 0) == 2)
    assert crew.meter.tally.phases["ping"].count == 2
    await crew.close()


async def test_pings_come_faster_from_the_request_of_a_call_on(town: Town) -> None:
    crew = crew_of(town.url, await town.pairs(1))
    await crew.connect()
    [couple] = crew.couples
    plan = Plan(scenarios={"answered": 1})
    now_s = time.perf_counter() + 100
    for device, pings in ((couple.caller, 2), (couple.callee, 1)):
        device.beat(now_s)
        before = crew.meter.tally.sent
        if pings == 2:
            Talk(crew.meter, crew.dice, plan, device, couple.callee).attach()
            couple.callee.talk = None
        device.beat(now_s + 4.5)
        assert crew.meter.tally.sent == before + pings - 1
    await crew.close()


def test_a_device_rests_until_the_server_takes_the_frames_of_a_whole_call() -> None:
    device = Device(Meter(), Address.of(HERE), NOBODY, "load-caller", leg=True)
    rate, calls, now_s = RATES["frames"], 0, 1_000.0
    while device.rested(now_s):
        device.tire(now_s)
        calls += 1
    assert calls == rate.burst // CALL_FRAMES
    assert device.rested(now_s + CALL_FRAMES * rate.every_ms / 1_000)


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (UpgradeRefused(429), "http_429"),
        (TimeoutError(), "timeout"),
        (ConnectionError("closed_4503"), "closed_4503"),
        (ConnectionRefusedError(111, "no"), "ConnectionRefusedError"),
    ],
)
def test_faults_of_the_network_are_one_word(fault: Exception, code: str) -> None:
    assert code_of(fault) == code
