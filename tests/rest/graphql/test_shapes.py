"""What storage reads becomes what operators see."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import pytest

from rest.graphql.desk import Sample
from rest.graphql.shapes import call_of, counter_of
from storage.live_calls import read_any
from storage.pool import Pool
from tests.storage.world import NOW_MS, charge_of, make_world


async def test_a_call_shows_its_times_and_money(pool: Pool) -> None:
    async with make_world(pool) as world, pool.acquire() as conn:
        wanted = await world.call()
        await world.combiner.do(charge_of(wanted, 1, connected_ms=NOW_MS + 7))
        found = await read_any(conn, wanted.call_id)
    assert found is not None
    call = call_of(found)
    assert (call.id, call.node) == (str(wanted.call_id), world.node.name)
    assert call.caller.id == str(wanted.caller_id)
    assert (call.charged_minor, call.earned_minor, call.hold_minor) == (120, 84, 120)
    assert (call.tariff, call.currency) == ("minute", None)
    assert call.connected_at == datetime.fromtimestamp((NOW_MS + 7) / 1000, UTC)
    assert call.ended_at is None


@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_figure_that_is_no_number_is_null(odd: float) -> None:
    assert counter_of(Sample("a", {}, odd)).value is None
    shown = counter_of(Sample("a", {"le": "+Inf"}, 2.0))
    assert (shown.value, shown.labels[0].name, shown.labels[0].value) == (2.0, "le", "+Inf")
