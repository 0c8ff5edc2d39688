"""Who is being welcomed on one node while calls begin on another."""

import asyncio
from uuid import UUID

import pytest

from signalling.codes import Refused
from signalling.events import Profile
from signalling.handlers.visits import Visit
from signalling.sockets.identity import Identity
from tests.signalling.cluster import Cluster
from tests.signalling.handsets import Handset, Person
from tests.signalling.harness import Node


async def where(node: Node, person: Person) -> list[str]:
    """The other nodes that are known to have devices of a user."""
    [found] = await node.live.desk._presence.where([person.id])
    return [address.partition(".")[0] for address in found]


class Street:
    """Ann has a phone on the first node; Kai has nothing yet."""

    def __init__(self, cluster: Cluster, ann: Person, kai: Person, phone: Handset) -> None:
        self.west, self.east = cluster.nodes[:2]
        self.cluster, self.ann, self.kai, self.phone = cluster, ann, kai, phone

    async def request(self) -> str:
        answer = await self.phone.ok("call_request", toUserId=str(self.kai.id))
        await self.cluster.quiet()
        call: str = answer["call"]["id"]
        return call

    def identity(self) -> Identity:
        return Identity(
            user_id=self.kai.id,
            session_id=self.kai.session_id,
            profile=Profile(user_id=self.kai.id, name="Kai"),
            roles=frozenset(),
            expires_ms=self.east.time() + 900_000,
        )


@pytest.fixture
async def street(cluster: Cluster) -> Street:
    west = cluster.nodes[0]
    ann, kai = await west.person("Ann", funds=500), await west.provider("Kai")
    return Street(cluster, ann, kai, await west.handset(ann, "phone"))


async def test_who_is_welcomed_can_be_rung(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, so = asyncio.Event(), asyncio.Event()

    async def known(_: UUID) -> None:
        asked.set()
        await so.wait()

    monkeypatch.setattr(street.east.live.desk._presence, "known", known)
    tab = street.east.device(street.kai, "tab")
    connecting = asyncio.create_task(tab.connect())
    await asked.wait()
    assert tab.link.frames == [], "the other nodes may not know of the device yet"
    call = await street.request()
    so.set()
    welcome = await connecting
    assert (welcome["call"]["id"], welcome["call"]["state"]) == (call, "requested")


@pytest.mark.parametrize(("ends", "told"), [(False, ["call_incoming"]), (True, [])])
async def test_a_call_that_begins_behind_the_look_for_calls_follows_the_welcome(
    street: Street, monkeypatch: pytest.MonkeyPatch, ends: bool, told: list[str]
) -> None:
    visits = street.east.live.visits
    attach = visits.attach

    async def slow(visit: Visit) -> None:
        await attach(visit)
        call = await street.request()
        if ends:
            await street.phone.ok("call_end", call=call)
            await street.cluster.quiet()

    monkeypatch.setattr(visits, "attach", slow)
    tab = street.east.device(street.kai, "tab")
    assert "call" not in await tab.connect()
    await street.cluster.quiet()
    assert [frame["type"] for frame in tab.told()] == told
    assert street.cluster.leftovers() == {} or not ends


async def test_who_is_not_welcomed_after_all_is_nowhere(street: Street) -> None:
    desk = street.east.desk
    await desk.prepare(street.identity(), "tab")
    await desk.prepare(street.identity(), "desk")
    assert await where(street.west, street.kai) == ["east"]
    desk.dismissed(street.identity())
    assert await where(street.west, street.kai) == ["east"], "the other one is still on its way"
    desk.dismissed(street.identity())
    assert await where(street.west, street.kai) == []


async def test_who_cannot_be_welcomed_is_nowhere(street: Street) -> None:
    street.east.doorman.ended.add(street.kai.session_id)
    with pytest.raises(Refused):
        await street.east.device(street.kai, "tab").connect()
    assert await where(street.west, street.kai) == []


async def test_a_device_that_leaves_while_another_comes_takes_nobody_away(street: Street) -> None:
    tab = await street.east.handset(street.kai, "tab")
    desk = street.east.device(street.kai, "desk")
    prepared = await street.east.desk.prepare(street.identity(), "desk")
    tab.drop(bye=True)
    assert await where(street.west, street.kai) == ["east"]
    street.east.desk.dismissed(street.identity())
    assert prepared.recent == []
    assert await where(street.west, street.kai) == []
    await desk.connect()
    assert await where(street.west, street.kai) == ["east"]
