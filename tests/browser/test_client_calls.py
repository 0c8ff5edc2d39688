"""Calls between two browsers, or more, by the client that apps copy."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, connect, handset

pytestmark = pytest.mark.chromium


async def test_two_people_hear_and_see_each_other_and_the_receipt_agrees(people: Visitors) -> None:
    mia = await handset(people, MIA)
    kai = await handset(people, KAI)
    await connect(mia, kai, kind="video")
    for each in (mia, kai):
        await each.hears()
        await each.sees()
        assert (await each.call())["media"] == {"audio": True, "video": True, "hold": False}
    await mia.until("s.call.tick && s.call.quality?.inKbps > 0")
    await kai.run("(await client.hangUp()).final")
    for each in (mia, kai):
        await each.until_call("ended")
        call = await each.call()
        assert (call["reason"], call["by"]) == ("hangup", "callee")
        assert call["final"]["total"] == 120 * call["final"]["units"]
        assert (call["local"], call["remote"]) == (None, None)
        assert await each.faults() == []
