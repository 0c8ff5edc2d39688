from __future__ import annotations

import pytest

from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import FakeClock, Rest
from tests.rest.providers.shop import Presence, tables


@pytest.fixture
def presence() -> Presence:
    return Presence()


@pytest.fixture
async def rest(start: Start, pool: Pool, clock: FakeClock, presence: Presence) -> Rest:
    return await start(*tables(pool, clock, presence))
