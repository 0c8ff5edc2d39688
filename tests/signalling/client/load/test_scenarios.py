"""Each scenario against a whole server: it goes as it must, and no promise is broken."""

import pytest

from server.loading import PRICE_MINOR
from signalling.client.load.plan import SCENARIOS
from signalling.client.load.scenarios import TABLE
from tests.signalling.client.load.conftest import UNIT_MS, Town


def test_there_is_a_scenario_for_each_name() -> None:
    assert list(TABLE) == list(SCENARIOS)


@pytest.mark.parametrize("name", sorted(set(SCENARIOS) - {"out-of-money"}))
async def test_a_scenario_is_played_to_its_end(town: Town, name: str) -> None:
    report = await town.load({name: 1}, calls=3, couples=8, resend=0.5)
    assert report.violations == []
    assert report.errors == {}
    assert report.outcomes == {name: {"done": 3}}
    assert report.exit_code == 0


@pytest.mark.usefixtures("short_units")
async def test_money_runs_out_in_mid_call_and_then_there_is_none(town: Town) -> None:
    report = await town.load({"out-of-money": 1}, calls=2, couples=1, poor=1, resend=0)
    assert (report.violations, report.errors) == ([], {})
    assert report.outcomes == {"out-of-money": {"done": 2}}
    assert report.charged_minor == PRICE_MINOR
    assert report.compared == 1


@pytest.mark.usefixtures("short_units")
async def test_a_longer_talk_costs_more_units_and_tells_how_late_they_were(town: Town) -> None:
    units = 3
    talk_s = (units - 0.5) * UNIT_MS / 1_000
    report = await town.load({"answered": 1}, calls=2, couples=2, talk_s=talk_s)
    assert (report.violations, report.errors, report.done) == ([], {}, 2)
    assert report.phases["lateness"].count >= 2 * (units - 1)
    assert report.charged_minor >= 2 * units * PRICE_MINOR
