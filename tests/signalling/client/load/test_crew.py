"""Devices and couples, against a whole server."""

from random import Random

from signalling.client.load.crew import WATCH_EVERY, Crew
from signalling.client.load.device import Login, Meter, Pair
from tests.signalling.client.load.conftest import Town

NOBODY = Login("01900000-0000-7000-8000-000000000001", "no token")
HERE = "http://127.0.0.1:9"


def crew_of(town_url: str, pairs: list[Pair]) -> Crew:
    return Crew(Meter(), town_url, pairs, Random(1))


async def test_everybody_is_connected_and_some_providers_have_a_second_device(town: Town) -> None:
    crew = crew_of(town.url, await town.pairs(WATCH_EVERY + 1))
    assert await crew.connect() == set()
    assert crew.meter.users == 2 * (WATCH_EVERY + 1)
    assert [couple.watch is not None for couple in crew.couples].count(True) == 2
    assert crew.meter.tally.phases["connect"].count == 2 * (WATCH_EVERY + 1) + 2
    await crew.close()


async def test_who_is_not_let_in_is_counted_by_the_close_code(town: Town) -> None:
    crew = crew_of(town.url, [Pair(NOBODY, NOBODY)])
    assert await crew.connect() == {"closed_4401"}
    assert crew.meter.users == 0
    assert crew.meter.tally.errors == {"connect": {"closed_4401": 3}}
    assert not crew.anybody()
    assert crew.take() is None
    await crew.close()


def test_who_has_been_free_for_longest_is_taken_first_and_the_poor_only_when_asked_for() -> None:
    pairs = [Pair(NOBODY, NOBODY, poor=number == 2) for number in range(3)]
    crew = crew_of(HERE, pairs)
    for device in crew.devices:
        device.connected = True
    first, second = crew.take(), crew.take()
    assert [first, second] == crew.couples[:2]
    assert crew.take() is None
    assert crew.take(poor=True) is crew.couples[2]
    assert second is not None
    assert first is not None
    crew.give_back(second)
    crew.give_back(first)
    assert crew.take() is second
