"""The steps of a call when something goes wrong; when all goes well: `test_scenarios.py`."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from server.config import Config
from signalling.client.load.crew import Couple, Crew
from signalling.client.load.device import Login, Meter, Pair
from signalling.client.load.plan import Plan
from signalling.client.load.talk import CallFailed, Talk
from tests.served import served
from tests.signalling.client.load.conftest import Town

PLAN = Plan(scenarios={"answered": 1}, resend=0)


class Stage:
    """One couple, connected."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.couple: Couple = crew.couples[0]

    def talk(self) -> Talk:
        made = Talk(self.crew.meter, self.crew.dice, PLAN, self.couple.caller, self.couple.callee)
        made.attach()
        return made


async def stage(town: Town) -> Stage:
    crew = Crew(Meter(), town.url, await town.pairs(1), Random(1))
    await crew.connect()
    return Stage(crew)


async def test_a_call_that_ends_otherwise_says_how_and_in_which_phase(town: Town) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    await talk.ring()
    waiting = asyncio.create_task(talk.until("caller", "call_accepted"))
    await talk.reject()
    with pytest.raises(CallFailed) as failed:
        await waiting
    assert failed.value.code == "ended_declined"
    with pytest.raises(CallFailed, match="ended_declined"):
        await talk.ended("hangup", rejected=True)
    await talk.clear()
    assert on.crew.meter.tally.violations == []
    await on.crew.close()


async def test_what_does_not_come_in_time_is_a_failure_and_the_call_is_ended_all_the_same(
    town: Town,
) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    with pytest.raises(CallFailed) as failed:
        await talk.until("caller", "call_accepted", within_s=0.05)
    assert (failed.value.code, failed.value.phase) == ("no_call_accepted", "request")
    await talk.clear()
    assert talk.seen["caller", "call_ended"] == 1
    talk.detach()
    assert on.couple.caller.talk is None
    await on.crew.close()


async def test_a_refused_report_fails_the_call(town: Town) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    await talk.ring()
    on.couple.callee.media(talk.call)  # Before the answer it is no leg.
    with pytest.raises(CallFailed) as failed:
        await talk.until("caller", "call_accepted")
    assert (failed.value.phase, failed.value.code) in {
        ("report", "wrong_state"),
        ("report", "not_your_leg"),
    }
    await talk.clear()
    await on.crew.close()


async def test_a_lost_socket_fails_the_call(town: Town) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    waiting = asyncio.create_task(talk.until("caller", "call_accepted"))
    await asyncio.sleep(0)
    assert on.couple.caller._line is not None
    on.couple.caller._line.abort()
    with pytest.raises(CallFailed, match="closed_1006"):
        await waiting
    await talk.clear()
    await on.crew.close()


async def test_a_pause_ends_with_the_call(town: Town) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    await talk.ring()
    await talk.pause(0)
    waiting = asyncio.create_task(talk.pause(3_600))
    await talk.hang_up("callee")
    with pytest.raises(CallFailed, match="ended_declined"):
        await waiting
    await on.crew.close()


async def test_a_refused_request_is_counted_by_its_code(town: Town) -> None:
    [pair] = await town.pairs(1)
    own = Pair(pair.caller, Login(pair.caller.user_id, pair.callee.token))
    crew = Crew(Meter(), town.url, [own], Random(1))
    await crew.connect()
    with pytest.raises(CallFailed) as failed:
        await Stage(crew).talk().request()
    assert (failed.value.phase, failed.value.code) == ("request", "self_call")
    await crew.close()


async def test_a_request_that_came_too_fast_is_sent_again_when_the_server_says(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALKTIME_CALL_REQUEST_BURST", "1")
    async with served(dsn, tmp_path, monkeypatch) as url:
        on = await stage(Town(url, dsn, Config.load(dev=True)))
        for _ in range(2):
            talk = on.talk()
            await talk.request()
            await talk.ring()
            await talk.hang_up()
            await talk.ended("cancelled")
            talk.detach()
        assert on.crew.meter.tally.errors == {"request": {"rate_limited": 1}}
        await on.crew.close()


async def test_candidates_that_are_missing_or_in_another_order_are_a_violation(town: Town) -> None:
    on = await stage(town)
    talk = on.talk()
    await talk.request()
    await talk.ring()
    await talk.accept()
    talk._sent_ns["callee"] = 1 << 62
    await talk.exchange()
    rules = {violation.rule for violation in on.crew.meter.tally.violations}
    assert rules == {"relay"}
    await talk.clear()
    await on.crew.close()
