"""Calls and sessions outlive sockets, tabs and connections."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, connect, handset, road

pytestmark = pytest.mark.chromium

KEEP = "(window.kept = client._media._peer._pc)"
# At least once: the browser complains of that.
TRIED_IN_VAIN = "s.link === 'waiting' && client._socket._attempt > 1"
IS_KEPT = "window.kept === client._media._peer._pc"


async def test_a_cut_socket_is_resumed_and_the_media_never_stops(people: Visitors) -> None:
    async with road(people) as way:
        mia, kai = await handset(people, MIA), await handset(people, KAI)
        await connect(mia, kai)
        for each in (mia, kai):
            await each.run(KEEP + ".connectionState")
        way.cut()
        for each in (mia, kai):
            assert (await each.until_event("welcome", 2))["resumed"] is True
            assert (await each.until_event("call_connected", 2))["resumed"] is True
            await each.until_call("connected")
            await each.hears()

        # A server that has nothing to resume: the same call from its snapshot.
        await mia.run("client._socket._session = null")
        way.cut()
        assert (await mia.until_event("welcome", 3))["resumed"] is False
        await mia.until_event("call_connected", 3)
        for each in (mia, kai):
            await each.until_call("connected")
            await each.hears()
            assert await each.run(IS_KEPT), "media needs no socket, so it was not built anew"
            assert await each.faults() == []


async def test_what_is_said_while_the_road_is_closed_arrives_once(people: Visitors) -> None:
    async with road(people) as way:
        mia, kai = await handset(people, MIA), await handset(people, KAI)
        await connect(mia, kai)
        way.close()
        await mia.until(TRIED_IN_VAIN + " && s.retryAt > 0")
        await mia.run("void (window.sent = client.sendChat('are you still there?'))")
        await mia.run("void (window.muted = client.setMedia({ audio: false }))")
        code = await mia.refusal("api.get('/wallet/balance')")
        assert code == "OFFLINE"
        await kai.hears()
        way.is_open = True
        assert (await mia.run("window.sent"))["text"] == "are you still there?"
        await mia.run("window.muted")
        await kai.until("s.call.messages.length > 0 && !s.call.peerMedia.audio")
        way.cut()
        await mia.until("events.filter((e) => e.type === 'welcome').length === 3")
        await mia.run("client.sendChat('good')")
        await kai.until("s.call.messages.at(-1)?.text === 'good'")
        assert len((await kai.call())["messages"]) == 2
        people.expected("WebSocket connection to .* failed")
        people.expected("Failed to load resource")


async def test_a_call_goes_on_in_another_tab_when_the_first_is_closed(people: Visitors) -> None:
    kai = await handset(people, KAI)
    context = await people.visitor()
    first = await handset(people, MIA, device="tab-1", context=context)
    await connect(first, kai)
    second = await handset(people, MIA, device="tab-2", context=context, login=False)
    await second.until("s.elsewhere && !s.elsewhere.canTake")
    await first.page.close()
    await kai.until_call("reconnecting")
    await second.until("s.elsewhere?.canTake")
    await second.run("client.take().then((c) => c.you)")
    for each in (second, kai):
        await each.until_call("connected")
        await each.hears()
    assert await second.run("client.state.elsewhere") is None
    await second.run("client.hangUp()")
    await kai.until_call("ended")


async def test_a_tab_that_is_loaded_anew_goes_on_by_itself(people: Visitors) -> None:
    mia = await handset(people, MIA)
    context = await people.visitor()
    kai = await handset(people, KAI, device="tab", context=context)
    await connect(mia, kai)
    await kai.run("client.setMedia({ audio: false })")
    await kai.page.close()
    await mia.until_call("reconnecting")
    again = await handset(people, KAI, device="tab", context=context, login=False)
    for each in (mia, again):
        await each.until_call("connected")
        await each.until("s.call.remote")
    await again.hears()
    assert (await again.call())["media"]["audio"] is False, "who was silent stays silent"
    await again.run("client.setMedia({ audio: true })")
    await mia.until("s.call.peerMedia.audio")
    await mia.hears()


async def test_a_lost_connection_is_mended_and_else_built_anew(people: Visitors) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await connect(mia, kai)
    await mia.run(KEEP + ".connectionState")
    lose = "client._media._peer._lose(client._media._peer._pc)"
    await mia.run(lose)
    assert (await kai.until_event("call_reconnecting"))["why"] == "ice"
    await mia.until_event("call_connected", 2)
    await kai.hears()
    assert await mia.run(IS_KEPT)

    await mia.run("client._media._peer._retried = true")
    await mia.run(lose)
    for each in (mia, kai):
        await each.until_event("call_connected", 3)
        await each.hears()
        assert await each.run(IS_KEPT) is False
    assert (await kai.call())["state"] == "connected"


async def test_a_client_that_is_not_wanted_stops_and_says_why(people: Visitors) -> None:
    context = await people.visitor()
    first = await handset(people, MIA, context=context)
    second = await handset(people, MIA, context=context, login=False)
    await first.until("s.link === 'stopped' && s.stopCode === 4503")
    assert await first.refusal("client.command('ping')") == "stopped"

    await second.run("api.logout()")
    await second.until("s.link === 'stopped' && s.stopCode === 4504")
    await first.until("api.session === null")
    await second.run("client.start()")
    await second.until("s.link === 'stopped' && s.stopCode === 4401")


async def test_who_hangs_up_before_the_server_has_heard_of_the_call_rings_nobody_for_long(
    people: Visitors,
) -> None:
    # He comes by another road: whom the server cannot reach would not be rung at all.
    kai = await handset(people, KAI)
    async with road(people) as way:
        mia = await handset(people, MIA)
        to = await kai.user_id()
        way.close()
        await mia.until(TRIED_IN_VAIN)
        await mia.run("void (window.asked = client.request(it).then((c) => c.id))", to)
        await mia.run("void (window.out = client.hangUp())")
        way.is_open = True
        assert (await mia.run("window.out"))["call"] == await mia.run("window.asked")
        await mia.until("s.call.state === 'ended' && s.call.reason === 'cancelled'")
        await kai.until("s.link === 'online' && s.call?.state !== 'ringing'")
        people.expected("WebSocket connection to .* failed")


async def test_a_ring_outlives_its_sockets_and_is_answered_when_the_road_opens(
    people: Visitors,
) -> None:
    async with road(people) as way:
        mia, kai = await handset(people, MIA), await handset(people, KAI)
        await mia.run("client.request(it).then((c) => c.state)", await kai.user_id())
        await mia.until_call("ringing")
        for each in (mia, kai):
            await each.run("client._socket._session = null")
        way.cut()
        for each in (mia, kai):
            assert (await each.until_event("welcome", 2))["resumed"] is False
        assert (await kai.call())["you"] == "ringing"
        way.close()
        for each in (mia, kai):
            await each.until(TRIED_IN_VAIN)
        await kai.run("void (window.answered = client.accept())")
        way.is_open = True
        await kai.run("window.answered.then((c) => c.state)")
        for each in (mia, kai):
            await each.until_call("connected")
            await each.hears()
            assert await each.faults() == []
        people.expected("WebSocket connection to .* failed")


async def test_a_new_session_watches_who_was_watched_before(people: Visitors) -> None:
    async with road(people) as way:
        mia, kai = await handset(people, MIA), await handset(people, KAI)
        shown = f"e.type === 'presence_updated' && e.data.userId === '{await kai.user_id()}'"
        await mia.run("client.watch({ directory: true })")
        await mia.until(f"events.some((e) => {shown} && e.data.presence === 'online')")
        await mia.run("client._socket._session = null")
        way.cut()
        assert (await mia.until_event("welcome", 2))["resumed"] is False
        await kai.run("client.setPresence('break', 'at lunch')")
        await mia.until(f"events.some((e) => {shown} && e.data.statusMessage === 'at lunch')")


async def test_a_network_that_is_back_is_used_at_once(people: Visitors) -> None:
    async with road(people) as way:
        slow = {"backoffMs": 600_000, "backoffMaxMs": 600_000, "probeMs": 100}
        mia = await handset(people, MIA, timing=slow)
        back = "void dispatchEvent(new Event('online'))"
        # Nothing passes, and nobody was told.
        way.proxy.hang()
        await mia.run(back)
        await mia.until("s.link === 'waiting' && s.retryAt > Date.now() + 200_000")
        await mia.run(back)
        assert (await mia.until_event("welcome", 2))["resumed"] is True
        await mia.until("s.link === 'online'")


async def test_an_answer_that_nobody_heard_of_is_still_one(people: Visitors) -> None:
    async with road(people) as way:
        mia, kai = await handset(people, MIA), await handset(people, KAI)
        await mia.run("client.request(it).then((c) => c.state)", await kai.user_id())
        await kai.until("s.call?.you === 'ringing'")
        # The server takes it, and all that follows gets lost with the session.
        await kai.run("void (client._socket._receive = () => {})")
        await kai.run("void (window.answered = client.accept())")
        await mia.until_call("accepted")
        await kai.run("delete client._socket._receive && (client._socket._session = null)")
        way.cut()
        await kai.run("window.answered.then((c) => c.you)")
        for each in (mia, kai):
            await each.until_call("connected")
            await each.hears()
            assert await each.faults() == []
