"""What operators see of live calls: asked of the node that runs each, and never waited for long."""

from __future__ import annotations

from uuid import UUID

import pytest

from signalling.calls import oversight as module
from signalling.codes import Code, Refused, State
from signalling.nodes.parcels import Asked
from tests.signalling.cluster import Apart, Cluster
from tests.signalling.harness import Node

NOTHING = UUID(int=99)


async def looked(
    node: Node, at: Node, call: str, *, journal: bool = False
) -> module.LiveCall | None:
    call_id = UUID(call)
    found = await node.live.oversight.look({at.bus.address: [call_id]}, journal=journal)
    assert set(found) <= {call_id}
    return found.get(call_id)


async def test_a_call_is_seen_the_same_from_every_node(cluster: Cluster, apart: Apart) -> None:
    await apart.connect()
    near = await looked(apart.west, apart.west, apart.call, journal=True)
    far = await looked(apart.east, apart.west, apart.call, journal=True)
    assert near is not None
    assert near == far
    assert (near.state, near.claim) == (State.CONNECTED, 0)
    assert (near.caller.device, near.caller.quality) == ("phone", "good")
    assert (near.callee.device, near.callee.media) == ("tab", True)
    assert (near.meter.charged, near.meter.held, near.meter.running) == (100, 100, True)
    assert near.meter.funded_until == near.connected_at + 120_000  # type: ignore[operator]
    assert near.journal is not None
    assert near.journal.entries[0].name == "call_request"


async def test_without_its_journal_a_call_is_small(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    view = await looked(apart.east, apart.west, apart.call)
    assert view is not None
    assert view.journal is None
    assert (view.state, view.caller.quality) == (State.RINGING, None), "nothing to judge by yet"
    assert (view.meter.charged, view.meter.running) == (0, False)


async def test_what_is_not_there_is_missing(cluster: Cluster, apart: Apart) -> None:
    await apart.ring()
    look = apart.east.live.oversight.look
    call_id = UUID(apart.call)
    assert await look({apart.east.bus.address: [call_id]}) == {}, "another node runs it"
    assert await look({"west.99": [call_id]}) == {}, "a life that is over"
    found = await look({apart.west.bus.address: [NOTHING, call_id]})
    assert list(found) == [call_id]


async def test_a_node_that_does_not_answer_is_not_waited_for(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_S", 0.05)
    await apart.ring()
    cluster.space.lose = lambda parcel: isinstance(parcel, Asked)
    assert await looked(apart.east, apart.west, apart.call) is None


async def test_a_node_that_refuses_counts_as_silent(
    cluster: Cluster, apart: Apart, monkeypatch: pytest.MonkeyPatch
) -> None:
    def decline(*_: object, **__: object) -> None:
        raise Refused(Code.UNAVAILABLE, "not now")

    monkeypatch.setattr(apart.west.live.oversight, "here", decline)
    await apart.ring()
    assert await looked(apart.east, apart.west, apart.call) is None


async def test_the_new_owner_begins_a_journal_of_its_own(cluster: Cluster, apart: Apart) -> None:
    parted: list[tuple[int, int]] = []
    await apart.connect()
    handover = apart.west.live.handover
    handover._parted = lambda host: parted.append((host.claim, len(host.journal)))
    await cluster.drain(apart.west)
    [owner] = [node for node in cluster.nodes if node.registry.find(UUID(apart.call))]
    view = await looked(apart.east, owner, apart.call, journal=True)
    assert view is not None
    assert view.journal is not None
    assert (view.claim, view.journal.entries[0].name) == (1, "taken_over")
    [(claim, notes)] = parted
    assert claim == 0
    assert notes > 5


async def test_calls_that_are_taken_from_a_node_leave_their_journals_as_well(
    cluster: Cluster, apart: Apart
) -> None:
    await apart.connect()
    parted: list[UUID] = []
    object.__setattr__(apart.west.live.ground, "parted", lambda host: parted.append(host.id))
    apart.west.live.abandon_calls()
    assert parted == [UUID(apart.call)]
