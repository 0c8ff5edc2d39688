"""Calls that end before they ring: in both histories, and told once to each device."""

from uuid import UUID

import pytest

from signalling.codes import Code, Refused
from signalling.commands import CallRequest
from signalling.core.model import REST
from storage import works
from storage.errors import Unavailable
from storage.ids import new_id
from tests.signalling.cluster import Apart, Cluster
from tests.signalling.handsets import Handset, Json
from tests.signalling.harness import Node


async def break_of(node: Node) -> tuple[Handset, Handset, Json]:
    """Ann's two devices, and the answer to her request: Kai is on a break."""
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai")
    phone, watch = await node.handset(ann, "phone"), await node.handset(ann, "watch")
    tab = await node.handset(kai, "tab")
    await tab.ok("presence_set", presence="break")
    answer = await phone.ok("call_request", toUserId=str(kai.id), id="r1", note="hi")
    await phone.event("call_rejected")
    assert tab.told("call_incoming") == []
    return phone, watch, answer


async def test_the_answer_comes_first_and_then_the_one_end(node: Node) -> None:
    phone, watch, answer = await break_of(node)
    assert (answer["call"]["state"], answer["call"]["by"]) == ("ended", "callee")
    assert answer["iceServers"] == []
    kinds = [frame["type"] for frame in phone.link.frames[1:]]
    assert kinds == ["ok", "call_rejected"]
    [here], [there] = phone.told("call_rejected"), watch.told("call_rejected")
    assert (here["re"], here["rev"], here["call"]) == ("r1", 1, answer["call"]["id"])
    assert "re" not in there
    assert (here["data"]["elsewhere"], there["data"]["elsewhere"]) == (False, True)
    assert here["data"]["final"]["total"] == 0


async def test_it_is_stored_as_ended(node: Node) -> None:
    _, _, answer = await break_of(node)
    row = await node.pool.fetchrow("select * from call where id = $1", UUID(answer["call"]["id"]))
    assert row is not None
    assert (row["state"], row["reason"], row["note"]) == ("ended", answer["call"]["reason"], "hi")
    assert row["ended_at"] == row["created_at"]
    assert await node.pool.fetchval("select count(*) from meter") == 0


async def test_by_request_nobody_is_named_as_its_cause(node: Node) -> None:
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai")
    phone = await node.handset(ann, "phone")
    wish = CallRequest(to_user_id=kai.id, call_id=new_id())
    opened = await node.actions.request(
        caller=ann.id, device=REST, wish=wish, request_id=None, connect_on="media"
    )
    assert (opened.call_id, opened.snapshot.state) == (wish.call_id, "ended")
    event = await phone.event("call_rejected")
    assert "re" not in event
    assert event["data"]["elsewhere"]


async def test_what_cannot_be_stored_is_to_be_asked_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, kai = await node.person("Ann", funds=500), await node.provider("Kai")
    phone = await node.handset(ann, "phone")
    put = node.combiner.put

    def refuse(work: works.Work, done: object) -> None:
        if isinstance(work, works.Record):
            done(works.Failed(Unavailable("away")))  # type: ignore[operator]
        else:
            put(work, done)  # type: ignore[arg-type]

    monkeypatch.setattr(node.combiner, "put", refuse)
    with pytest.raises(Refused) as caught:
        await node.actions.request(
            caller=ann.id,
            device="phone",
            wish=CallRequest(to_user_id=kai.id),
            request_id=None,
            connect_on="media",
        )
    assert (caught.value.code, caught.value.retry_after_ms) == (Code.UNAVAILABLE, 1_000)
    assert phone.told() == []


async def test_the_callers_devices_on_other_nodes_hear_of_it(
    cluster: Cluster, apart: Apart
) -> None:
    tablet = await cluster.nodes[2].handset(apart.ann, "tablet")
    await apart.tab.ok("presence_set", presence="break")
    await cluster.quiet()
    await apart.phone.ok("call_request", toUserId=str(apart.kai.id))
    await cluster.quiet()
    assert [len(one.told("call_rejected")) for one in (apart.phone, apart.watch, tablet)] == [1] * 3
    assert apart.desk.told("call_rejected") == []
