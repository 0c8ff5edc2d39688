"""The commands about presence."""

from storage import providers
from tests.signalling.harness import Node


async def test_what_a_provider_sets_is_stored_and_told(node: Node) -> None:
    kai = await node.provider()
    tab, watcher = await node.handset(kai, "tab"), await node.handset(await node.person())
    await watcher.ok("presence_watch", users=[str(kai.id)])
    assert await tab.ok("presence_set", presence="break", statusMessage="Back at 8") == {}
    assert [event["data"] for event in watcher.told("presence_updated")] == [
        {"userId": str(kai.id), "presence": "online", "statusMessage": None},
        {"userId": str(kai.id), "presence": "break", "statusMessage": "Back at 8"},
    ]
    async with node.pool.acquire() as conn:
        stored = await providers.read_provider(conn, kai.id)
    assert stored is not None
    assert (stored.availability, stored.status_message) == ("break", "Back at 8")


async def test_a_status_message_stays_until_it_is_replaced_or_cleared(node: Node) -> None:
    kai = await node.provider()
    tab = await node.handset(kai, "tab")
    await tab.ok("presence_watch", users=[str(kai.id)])
    await tab.ok("presence_set", presence="online", statusMessage="Hi")
    await tab.ok("presence_set", presence="break")
    await tab.ok("presence_set", presence="break", statusMessage="")
    messages = [event["data"]["statusMessage"] for event in tab.told("presence_updated")]
    assert messages == [None, "Hi", "Hi", None]


async def test_only_providers_have_a_presence(node: Node) -> None:
    phone = await node.handset(await node.person())
    error = await phone.refused("presence_set", presence="online")
    assert error["code"] == "forbidden"


async def test_watching_is_answered_after_what_is_so_now(node: Node) -> None:
    kai, bob = await node.provider(), await node.person("Bob")
    await node.handset(kai)
    phone = await node.handset(await node.person())
    await phone.ok("presence_watch", users=[str(kai.id), str(bob.id)])
    assert [frame["type"] for frame in phone.link.frames[1:]] == [
        "presence_updated",
        "presence_updated",
        "ok",
    ]
    assert {
        event["data"]["userId"]: event["data"]["presence"]
        for event in phone.told("presence_updated")
    } == {str(kai.id): "online", str(bob.id): "offline"}


async def test_a_watch_goes_on_with_a_resumed_session_and_ends_with_it(node: Node) -> None:
    kai = await node.provider()
    watcher = await node.handset(await node.person())
    await watcher.ok("presence_watch", users=[str(kai.id)])
    watcher.drop()
    tab = await node.handset(kai, "tab")
    assert (await watcher.connect(resume=True))["resumed"] is True
    await tab.ok("presence_set", presence="break")
    assert [event["data"]["presence"] for event in watcher.told()] == ["online", "break"]
    watcher.drop()
    await node.passes(60_000)
    tab.link.heard_ms = node.time()
    node.hub.sweep()
    assert node.hub.rings == 0
    assert (await watcher.connect(resume=True))["resumed"] is False
    await tab.ok("presence_set", presence="online")
    assert watcher.told() == []


async def test_a_provider_who_watches_is_welcomed_before_any_event(node: Node) -> None:
    kai = await node.provider()
    tab = await node.handset(kai, "tab")
    await tab.ok("presence_watch", directory=True)
    tab.drop()
    welcome = await tab.connect(resume=True)
    assert (welcome["resumed"], welcome["replayTo"]) == (True, 3)
    # Of the time without a socket, which was missed; and of the return, which is live.
    assert [event["data"]["presence"] for event in tab.told()] == ["offline", "online"]
