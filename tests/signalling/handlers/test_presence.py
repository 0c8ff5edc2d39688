"""Who of the providers is there, as those see it who watch."""

from uuid import UUID

import pytest

from signalling.limits import SocketLimits
from storage import providers
from storage.ids import new_id
from tests.signalling.conftest import StartNode
from tests.signalling.handsets import Handset, Person
from tests.signalling.harness import Node
from tests.signalling.pairs import Pair, make_pair


def seen(watcher: Handset, person: Person) -> list[str]:
    return [
        event["data"]["presence"]
        for event in watcher.told("presence_updated")
        if event["data"]["userId"] == str(person.id)
    ]


@pytest.fixture
async def watcher(node: Node) -> Handset:
    return await node.handset(await node.person("Watcher"), "watcher")


async def test_a_provider_is_there_from_the_first_socket_to_the_last(
    node: Node, watcher: Handset
) -> None:
    kai = await node.provider()
    await watcher.ok("presence_watch", users=[str(kai.id)])
    tab, desk = await node.handset(kai, "tab"), await node.handset(kai, "desk")
    tab.drop()
    assert seen(watcher, kai) == ["offline", "online"]
    desk.drop()
    assert seen(watcher, kai) == ["offline", "online", "offline"]


async def test_a_call_makes_busy_and_its_end_restores_what_was_set(
    node: Node, watcher: Handset
) -> None:
    pair: Pair = await make_pair(node)
    await watcher.ok("presence_watch", users=[str(pair.kai.id)])
    await pair.request()
    await pair.phone.ok("call_end", call=pair.call)
    await node.quiet()
    assert seen(watcher, pair.kai) == ["online", "busy", "online"]
    await pair.ring()
    await pair.tab.ok("presence_set", presence="break")
    await pair.tab.ok("call_reject", call=pair.call)
    await node.quiet()
    assert seen(watcher, pair.kai)[3:] == ["busy", "break"]


async def test_offline_by_hand_is_offline_with_a_socket(node: Node, watcher: Handset) -> None:
    kai = await node.provider()
    await watcher.ok("presence_watch", users=[str(kai.id)])
    tab = await node.handset(kai, "tab")
    await tab.ok("presence_set", presence="offline")
    await tab.ok("presence_set", presence="offline")
    assert seen(watcher, kai) == ["offline", "online", "offline"]
    tab.drop()
    await tab.connect()
    assert node.board.of(kai.id) == "offline"
    assert node.board.of(kai.id, "online") == "online", "whoever knows better may say so"


async def test_who_is_present_is_known_without_asking_one_by_one(node: Node) -> None:
    pair: Pair = await make_pair(node)
    gone = await node.provider("Gone")
    shy = await node.handset(await node.provider("Shy"), "shy")
    await shy.ok("presence_set", presence="offline")
    assert node.board.present() == {pair.kai.id: "online"}
    await pair.request()
    assert node.board.present() == {pair.kai.id: "busy"}
    await pair.phone.ok("call_end", call=pair.call)
    await node.quiet()
    await pair.tab.ok("presence_set", presence="break")
    back = await node.handset(gone, "phone")
    assert node.board.present() == {pair.kai.id: "break", gone.id: "online"}
    back.drop()
    assert node.board.present() == {pair.kai.id: "break"}


async def test_the_directory_is_everybody_and_tells_of_newcomers(
    node: Node, watcher: Handset
) -> None:
    kai, lea = await node.provider(), await node.provider("Lea")
    await node.handset(kai)
    await watcher.ok("presence_watch", directory=True)
    await node.handset(lea)
    assert (seen(watcher, kai), seen(watcher, lea)) == (["online"], ["online"])


async def test_a_new_watch_replaces_the_old_one(node: Node, watcher: Handset) -> None:
    kai, lea = await node.provider(), await node.provider("Lea")
    await watcher.ok("presence_watch", users=[str(kai.id)], directory=True)
    await watcher.ok("presence_watch", users=[str(lea.id)])
    await node.handset(kai)
    await node.handset(lea)
    assert (seen(watcher, kai), seen(watcher, lea)) == (["offline"], ["offline", "online"])


async def test_a_watch_ends_with_its_socket(node: Node, watcher: Handset) -> None:
    kai = await node.provider()
    await watcher.ok("presence_watch", users=[str(kai.id)], directory=True)
    watcher.drop()
    await watcher.connect()
    await node.handset(kai)
    assert seen(watcher, kai) == []


async def test_a_watch_ends_when_a_newer_socket_replaces_the_older(
    node: Node, watcher: Handset
) -> None:
    kai = await node.provider()
    await watcher.ok("presence_watch", users=[str(kai.id)], directory=True)
    await watcher.connect()
    await node.handset(kai)
    assert seen(watcher, kai) == []


async def test_nothing_comes_before_the_welcome_of_a_provider_who_watches(node: Node) -> None:
    kai = await node.provider()
    tab = await node.handset(kai, "tab")
    await tab.ok("presence_watch", users=[str(kai.id)])
    async with node.pool.acquire() as conn:
        await providers.set_availability(conn, kai.id, "break")
    await tab.connect()  # looks at the first frame
    assert node.board.of(kai.id) == "break"


async def test_whom_nobody_watches_costs_nothing(node: Node, watcher: Handset) -> None:
    kai = await node.provider()
    await watcher.ok("presence_watch", users=[str(kai.id)])
    await watcher.ok("presence_watch")
    assert not node.board._watchers
    tab = await node.handset(kai, "tab")
    tab.drop()
    assert not node.board._told
    assert not node.board._set_by_hand


async def test_a_device_watches_so_many_and_no_more(start_node: StartNode) -> None:
    node = await start_node(socket_limits=SocketLimits(watches_max=2))
    phone = await node.handset(await node.person())
    users: list[UUID] = [new_id() for _ in range(3)]
    error = await phone.refused("presence_watch", users=[str(user) for user in users])
    assert (error["code"], error["field"]) == ("bad_frame", "data.users")
    await phone.ok("presence_watch", users=[str(user) for user in users[:2]])
