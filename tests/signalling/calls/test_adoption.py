"""Taking calls over: what a node begins with, whose legs are here, and what cannot be gone on with.

What parties see of it is tested with whole nodes, in `test_node_faults` and `test_node_handover`.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

import pytest

from signalling.core import revival
from signalling.nodes.parcels import Handed
from storage.errors import Unavailable
from storage.nodes import Orphan
from tests.signalling.cluster import Apart, Cluster, move


def count(cluster: Cluster, number: int) -> list[str]:
    """How the node of that number has taken calls over, from now on."""
    found: list[str] = []
    cluster.nodes[number].live.adopter._adopted = found.append
    return found


async def test_each_way_of_taking_over_is_counted(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    cluster.nodes[2].bus.drain()
    ways = count(cluster, 1)
    await cluster.drain(apart.west)
    assert ways == ["handed"]
    again = await cluster.join("west")
    await cluster.kill(apart.east)
    revived: list[str] = []
    again.live.adopter._adopted = revived.append
    await cluster.sweep(again)
    assert revived == ["revived"]
    await cluster.leave(apart.west)
    await cluster.kill(again, silent_ms=60_000)
    settled = count(cluster, 0)
    await cluster.sweep(cluster.nodes[0])
    assert settled == ["settled"]
    await cluster.check_books()


async def test_a_state_that_cannot_be_read_leaves_the_books_to_go_by(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    ways = [count(cluster, 1), count(cluster, 2)]
    monkeypatch.setattr(revival, "_encode", lambda _call: b"of another release")
    await cluster.drain(apart.west)
    assert [*ways[0], *ways[1]] == ["revived"]
    assert (apart.state.state, apart.state.meter.billable_ms) == ("reconnecting", 10_000)
    await move(apart.phone, cluster.nodes[1])
    await move(apart.tab, cluster.nodes[1])
    await apart.media()
    assert (await apart.hang_up(apart.phone))["total"] == 100
    await cluster.check_books()


async def test_a_leg_that_is_here_is_here_at_once(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    cluster.nodes[2].bus.drain()
    east = cluster.nodes[1]
    await apart.west.live.hand_over()
    await cluster.quiet()
    assert cluster.owners(apart.call) == ["east"]
    assert apart.tab.device.in_call
    assert apart.state.callee.here
    assert east.live.guests.all() == []


async def test_a_node_that_goes_away_takes_nothing(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    await cluster.kill(apart.west)
    east, north = cluster.nodes
    east.live.adopter.close()
    await cluster.sweep(east)
    await east.live.adopter.take([UUID(apart.call)])
    assert cluster.owners(apart.call) == []
    await cluster.sweep(north)
    assert cluster.owners(apart.call) == ["north"]


async def test_one_call_that_cannot_be_gone_on_with_does_not_hold_up_the_others(
    cluster: Cluster, apart: Apart, caplog: pytest.LogCaptureFixture
) -> None:
    await apart.connect()
    bob = await apart.west.handset(await apart.west.person("Bob", funds=500), "bob")
    mia = await apart.east.handset(await apart.west.provider("Mia"), "mia")
    other = (await bob.ok("call_request", toUserId=str(mia.person.id)))["call"]["id"]
    await cluster.kill(apart.west)
    adopter = cluster.nodes[0].live.adopter
    begin = adopter._begin

    def broken(orphan: object, *places: frozenset[str]) -> None:
        if str(orphan.call_id) == apart.call:  # type: ignore[attr-defined]
            raise RuntimeError("broken")
        begin(orphan, *places)  # type: ignore[arg-type]

    adopter._begin = broken  # type: ignore[method-assign, assignment]
    await cluster.sweep(cluster.nodes[0])
    assert cluster.owners(other) == ["east"]
    assert "a call cannot be gone on with" in caplog.text


async def test_without_the_database_what_was_handed_waits(
    cluster: Cluster, apart: Apart, caplog: pytest.LogCaptureFixture
) -> None:
    await apart.connect()

    async def away(_: object) -> object:
        raise Unavailable("away")

    adopter = apart.east.live.adopter
    adopter._claims.adopt = away  # type: ignore[method-assign, assignment]
    adopter._handed("west.1", Handed((UUID(apart.call),)))
    await cluster.until(lambda: not adopter._tasks)
    assert "calls handed over could not be taken" in caplog.text
    assert cluster.owners(apart.call) == ["west"]


async def test_an_adoption_whose_answer_is_lost_is_gone_on_with(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    await apart.connect()
    await apart.talk(10_000)
    await cluster.kill(apart.west)
    east = cluster.nodes[0]
    claims = east.live.ground.claims
    adopt = claims.adopt

    async def adopt_unheard(call_ids: Sequence[UUID]) -> list[Orphan]:
        await adopt(call_ids)
        raise Unavailable("the answer is lost")

    monkeypatch.setattr(claims, "adopt", adopt_unheard)
    with pytest.raises(Unavailable):
        await cluster.sweep(east)
    assert cluster.owners(apart.call) == []
    monkeypatch.setattr(claims, "adopt", adopt)
    await cluster.sweep(east)
    assert cluster.owners(apart.call) == ["east"]
    # Its meter stands at what was written, not at what the old owner had seen since.
    assert (apart.state.state, apart.state.meter.billable_ms) == ("reconnecting", 1)
    await move(apart.phone, east)
    await move(apart.tab, east)
    await apart.media()
    assert (await apart.hang_up(apart.phone))["total"] == 100
    await cluster.check_books()


async def test_one_look_for_the_dead_serves_all_who_ask(cluster: Cluster, apart: Apart) -> None:
    looks = 0
    adopter = apart.east.live.adopter
    fence = adopter._claims.fence_dead

    async def counted() -> int:
        nonlocal looks
        looks += 1
        return await fence()

    adopter._claims.fence_dead = counted  # type: ignore[method-assign]
    await asyncio.gather(*[adopter.fence_dead() for _ in range(5)])
    assert looks == 1
    assert not await adopter.sweep()
    assert looks == 2
