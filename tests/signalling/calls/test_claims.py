"""What the database says of owners, asked by a node that knows how steady it is itself."""

from uuid import UUID

import pytest

from signalling.calls.claims import LEASE_MS, STEADY_MS, PgClaims
from storage import nodes
from storage.errors import Unavailable
from storage.pool import connect
from tests.signalling.cluster import Apart, Cluster


class Steadiness:
    def __init__(self, steady_ms: int) -> None:
        self.steady_ms = steady_ms


def claims(cluster: Cluster, steady_ms: int) -> PgClaims:
    """Those of the second node."""
    return PgClaims(cluster.pool, cluster.nodes[1].claim, Steadiness(steady_ms))


async def test_who_runs_a_call_and_who_is_in_it(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    asked = claims(cluster, 0)
    assert asked.address == apart.east.bus.address
    found = await asked.of_call(UUID(apart.call))
    assert found is not None
    assert (found.address, found.orphaned) == (apart.west.bus.address, False)
    assert await asked.of_user(apart.ann.id) == await asked.of_user(apart.kai.id) == found
    await apart.hang_up(apart.phone)
    assert await asked.of_call(UUID(apart.call)) is None
    assert await asked.of_user(apart.kai.id) is None


@pytest.mark.parametrize(
    ("steady_ms", "silent_ms", "fenced"),
    [
        (STEADY_MS - 1, 3_600_000, 0),  # Who has slept may not judge.
        (STEADY_MS, 3_000, 1),
        (STEADY_MS, 1_000, 0),
        (LEASE_MS, 1_000, 0),
    ],
)
async def test_only_who_is_steady_judges_others(
    cluster: Cluster, apart: Apart, steady_ms: int, silent_ms: int, fenced: int
) -> None:
    await cluster.kill(cluster.nodes[0], silent_ms=silent_ms)
    assert await claims(cluster, steady_ms).fence_dead() == fenced


async def test_a_node_that_holds_its_name_is_judged_only_after_a_lease_of_our_own(
    cluster: Cluster, apart: Apart, dsn: str
) -> None:
    holds = await connect(dsn)
    assert await nodes.hold_name(holds, "west")
    await cluster.kill(cluster.nodes[0], silent_ms=3_600_000)
    assert await claims(cluster, LEASE_MS - 1).fence_dead() == 0
    assert await claims(cluster, LEASE_MS).fence_dead() == 1
    await holds.close()


async def test_orphans_are_adopted_once(cluster: Cluster, apart: Apart) -> None:
    await apart.request()
    asked = claims(cluster, LEASE_MS)
    assert await asked.orphaned() == []
    await cluster.kill(cluster.nodes[0])
    await asked.fence_dead()
    [call_id] = await asked.orphaned()
    assert str(call_id) == apart.call
    assert [orphan.call_id for orphan in await asked.adopt([call_id])] == [call_id]
    assert await asked.adopt([call_id]) == []


async def test_a_database_that_does_not_answer_is_unavailable(cluster: Cluster) -> None:
    class Broken:
        def acquire(self) -> object:
            raise ConnectionRefusedError

    asked = claims(cluster, LEASE_MS)
    asked._pool = Broken()  # type: ignore[assignment]
    for question in (
        asked.of_call(UUID(int=1)),
        asked.of_user(UUID(int=1)),
        asked.fence_dead(),
        asked.orphaned(),
        asked.adopt([]),
    ):
        with pytest.raises(Unavailable):
            await question
